"""``facts``: what personalities look up."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from bot.cli.commands import completion, start

_WRONG = 1

app = start.commands("The folders of documents that personalities look things up in.")

_NAME = "Who looks things up there; all if not given."

Name = Annotated[
    str, typer.Argument(metavar="PERSONALITY", autocompletion=completion.personalities)
]
AnyName = Annotated[
    str | None,
    typer.Argument(metavar="[PERSONALITY]", help=_NAME, autocompletion=completion.personalities),
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.command()
def add(
    personality: Name,
    files: Annotated[list[Path], typer.Argument(help="Markdown, text, CSV, PDF, DOCX or HTML.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Overwrite files of the same name.")
    ] = False,
) -> None:
    """Copy files into the folder; a Parley that runs looks them up seconds later."""
    from bot.cli.facts import add

    add(start.settings(), personality, files, typer.echo, replace=replace)


@app.command("list")
def list_facts(personality: AnyName = None, as_json: AsJson = False) -> None:
    """List who has how many facts, or the files of one with their passages."""
    from bot.cli import facts

    bases = facts.indexed(start.settings(), personality)
    if as_json:
        typer.echo(json.dumps([each.record() for each in bases], ensure_ascii=False))
    else:
        lines = facts.as_table(bases) if personality is None else facts.as_files(bases)
        sys.stdout.writelines(f"{line}\n" for line in lines)


@app.command()
def search(
    personality: Name,
    question: Annotated[list[str], typer.Argument(help="As it would be asked.")],
    limit: Annotated[int, typer.Option(min=1, max=50, help="How many passages.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Print the passages that a question finds, the best first; 1 if there is none."""
    from bot.cli import facts

    found = facts.search(start.settings(), personality, " ".join(question), limit)
    if as_json:
        typer.echo(json.dumps([each.record() for each in found], ensure_ascii=False))
    else:
        sys.stdout.writelines(f"{each}\n" for each in found)
    if not found:
        if not as_json:
            typer.echo("Nothing fits this question.", err=True)
        raise typer.Exit(_WRONG)


@app.command()
def check(personality: AnyName = None, as_json: AsJson = False) -> None:
    """Tell which files are not read, and why; 1 if there is one."""
    from bot.cli import facts

    bases = facts.indexed(start.settings(), personality)
    unread = [(base.folder / path, why) for base in bases for path, why in base.unread.items()]
    if as_json:
        rows = [{"file": str(file), "why": why} for file, why in unread]
        typer.echo(json.dumps(rows, ensure_ascii=False))
    else:
        lines = [f"{file} {why}." for file, why in unread] or [facts.all_right(bases)]
        sys.stdout.writelines(f"{line}\n" for line in lines)
    raise typer.Exit(_WRONG if facts.has_faults(bases) else 0)

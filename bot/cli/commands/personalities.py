"""``personalities``: who answers."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from bot.cli.commands import completion, start

_WRONG = 1

app = start.commands("The system prompts that answer.")


AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.command("list")
def list_personalities(as_json: AsJson = False) -> None:
    """List who answers; * is who does unless somebody chooses."""
    from bot.cli.personality_list import as_table, facts_of, read

    settings = start.settings()
    found = read(settings)
    if as_json:
        typer.echo(json.dumps([facts_of(each) for each in found], ensure_ascii=False))
    else:
        sys.stdout.writelines(f"{line}\n" for line in as_table(found, settings.personality))


@app.command()
def show(
    name: Annotated[str, typer.Argument(autocompletion=completion.personalities)],
    as_json: AsJson = False,
) -> None:
    """Print one, with its system prompt; 1 if there is none of that name."""
    from bot.cli.personality_list import facts_of, named, shown

    found = named(start.settings(), name)
    typer.echo(json.dumps(facts_of(found), ensure_ascii=False) if as_json else shown(found))


@app.command()
def check(
    folder: Annotated[
        Path | None, typer.Argument(help="PARLEY_PERSONALITIES if not given.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell every mistake with its file and line, without starting Parley; 1 if there is one."""
    from bot.cli.personality_list import check

    settings = start.settings()
    names, faults = check(settings, folder)
    if as_json:
        found = [
            {"file": str(each.file), "line": each.line, "sentence": each.sentence}
            for each in faults
        ]
        typer.echo(json.dumps({"personalities": names, "faults": found}, ensure_ascii=False))
    else:
        lines = list(map(str, faults)) or [f"All is right: {', '.join(names) or 'none is there'}."]
        sys.stdout.writelines(f"{line}\n" for line in lines)
    raise typer.Exit(_WRONG if faults else 0)


@app.command("import")
def import_personalities(
    sources: Annotated[
        list[Path], typer.Argument(help="Files of csps-llm, or folders such as personalities.d.")
    ],
    to: Annotated[
        Path | None, typer.Option(help="Where to write; PARLEY_PERSONALITIES if not given.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Overwrite personalities of the same name.")
    ] = False,
) -> None:
    """Read csps-llm's JSON files, and say what has no counterpart here."""
    from bot.cli.personalities import import_personalities
    from bot.config import load_settings

    settings = load_settings(os.environ, Path())
    folder, default = to or settings.personalities, settings.personality
    import_personalities(sources, folder, typer.echo, default=default, replace=replace)

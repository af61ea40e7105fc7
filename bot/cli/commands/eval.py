"""``eval``: questions with checks, asked of personalities and models."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from bot.cli.commands import completion, start
from bot.errors import StartError

_ABOUT = """Judge prompts: ask the questions of a file, and check the answers.

eval FILE is short for eval run FILE."""


class _RunsFiles(TyperGroup):
    """A first word that is no command, and no request for help, is a file's."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, *ctx.help_option_names}:
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_RunsFiles,
    help=_ABOUT,
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def run(
    file: Annotated[Path, typer.Argument(help="Questions with checks, in YAML.")],
    personality: Annotated[
        list[str] | None,
        typer.Option(
            "--personality",
            "-p",
            help="Who is asked, instead of whom the file names; may be given several times.",
            autocompletion=completion.personalities,
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="With which model; may be given several times."),
    ] = None,
    url: Annotated[
        str, typer.Option(help="A server with OpenAI's API that runs the model instead.")
    ] = "",
    key: Annotated[str, typer.Option(help="Its key, or @ and the file that holds it.")] = "",
    judge: Annotated[
        str, typer.Option(help="The model that judges; the default one if not given.")
    ] = "",
    repeat: Annotated[
        int | None, typer.Option("--repeat", "-n", min=1, max=100, help="Times that each is asked.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, max=2**31 - 1, help="Of the first time; the next ones follow it."),
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(min=0, max=2, help="Instead of the personality's.")
    ] = None,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=1, max=64, help="Questions at once.")
    ] = 8,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where the report goes, as JSON.")
    ] = None,
    compare: Annotated[
        Path | None, typer.Option(help="An earlier report; 1 if this one is worse.")
    ] = None,
    bound: Annotated[
        float, typer.Option(min=0, max=100, help="Points of the pass rate that may be lost.")
    ] = 5.0,
) -> None:
    """Ask them, behind everybody else who asks, and print how many answers are right.

    Ctrl-C stops it; what was answered is shown, and kept with --output.
    """
    from bot.cli.evaluation.run import EvalOptions, run

    options = EvalOptions(
        personalities=tuple(personality or ()),
        models=tuple(model or ()),
        url=url,
        key=key,
        judge=judge,
        repeat=repeat,
        seed=seed,
        temperature=temperature,
        num_at_once=jobs,
        output=output,
        compare=compare,
        bound=bound,
    )
    if key and not url:
        raise StartError("--key is for the server at --url.")
    raise typer.Exit(asyncio.run(run(start.settings(), file, options)))


@app.command("from-votes")
def from_votes(
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A new file for the cases; needs --with-text."),
    ] = None,
    with_text: Annotated[
        bool,
        typer.Option(
            "--with-text",
            help="Yes, copy what people wrote: their questions, what was said before, and the "
            "answers they voted on. Whoever reads the file reads that.",
        ),
    ] = False,
    since: Annotated[
        str, typer.Option(help="How long ago, as in 24h or 7d, or a day; all if not given.")
    ] = "",
) -> None:
    """Make cases of the thumbs up and down; without --with-text only count them."""
    from bot.cli import usage
    from bot.cli.evaluation.votes import cases_of, counted, write_cases
    from bot.clock import SystemClock
    from bot.history.rated import read_rated
    from bot.history.store import database_path

    if with_text != (output is not None):
        raise StartError("Cases hold what people wrote: --output and --with-text go together.")
    since_at = usage.moment(since, SystemClock().now()) if since else None
    rated = read_rated(database_path(start.settings().database_url), since_at, with_text=with_text)
    if output is None:
        sys.stdout.writelines(f"{line}\n" for line in counted(rated))
        return
    num_cases = write_cases(output, cases_of(rated))
    typer.echo(f"Written: {output} with {num_cases:,} cases of {len(rated):,} votes.")

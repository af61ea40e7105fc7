"""``usage``: who asked when."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

from bot.cli.commands import start

app = start.commands()


@app.command()
def usage(
    since: Annotated[
        str, typer.Option(help="How long ago, as in 24h or 7d, or a day; all if not given.")
    ] = "",
    by: Annotated[
        Literal["person", "personality", "model", "platform"] | None,
        typer.Option(help="A line for each of them; for each answer if not given."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Print who asked when, how long it took, and the votes; also while Parley runs."""
    from bot.cli import usage
    from bot.clock import SystemClock
    from bot.history.store import database_path
    from bot.history.usage import read

    since_at = usage.moment(since, SystemClock().now()) if since else None
    rows = read(database_path(start.settings().database_url), since_at)
    lines = usage.as_json(rows, by) if as_json else usage.as_table(rows, by)
    sys.stdout.writelines(f"{line}\n" for line in lines)

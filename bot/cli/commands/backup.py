"""``backup``: a copy of the history."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bot.cli.commands.start import commands, settings

app = commands()


@app.command()
def backup(
    to: Annotated[
        Path | None,
        typer.Argument(help="A new file, or a folder; backups in the data folder if not given."),
    ] = None,
) -> None:
    """Copy the history, also while Parley runs."""
    from bot.clock import SystemClock
    from bot.history.backups import Backups
    from bot.history.store import database_path

    made = Backups(database_path(settings().database_url)).make(to, SystemClock().now())
    typer.echo(f"Written: {made} ({made.stat().st_size / 1e6:.1f} MB).")

"""``personalities``: who answers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from bot.cli.commands import start

app = start.commands("The system prompts that answer.")


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

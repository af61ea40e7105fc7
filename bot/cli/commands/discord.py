"""``discord``: setting up its app."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Annotated

import typer

from bot.cli.commands import start

app = start.commands("What a Discord server needs for Parley.")


@app.command()
def invite(
    application: Annotated[
        str, typer.Option(help="The application's id; read from DISCORD_TOKEN if not given.")
    ] = "",
) -> None:
    """Print the link with which Parley is added to a server."""
    from bot.config import load_settings

    adapter = importlib.import_module("adapters.discord.application")
    if not application:
        token = load_settings(os.environ, Path()).discord.token
        application = adapter.application_id(token.get_secret_value() if token else "")
    typer.echo(adapter.invite_link(application))

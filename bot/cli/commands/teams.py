"""``teams``: setting up its app."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from bot.cli.commands import start

app = start.commands("What a Teams app for Parley needs.")


@app.command()
def package(
    domain: Annotated[str, typer.Option("--domain", help="Name under which Teams reaches Parley.")],
    app_id: Annotated[
        str, typer.Option("--app-id", help="App id of the bot; TEAMS_APP_ID if not given.")
    ] = "",
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")] = Path(
        "parley-teams.zip"
    ),
) -> None:
    """Write the app package to upload to Teams."""
    from bot.cli.teams_package import write_package
    from bot.config import load_settings

    app_id = app_id or load_settings(os.environ, Path()).teams.app_id or ""
    write_package(output, app_id=app_id, domain=domain)
    typer.echo(f"Written: {output}. Upload it in Teams: Apps, Manage your apps, Upload an app.")

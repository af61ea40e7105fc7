"""``slack``: setting up its app."""

from __future__ import annotations

import importlib
import json
from typing import Annotated

import typer

from bot.cli.commands import start

app = start.commands("What a Slack app for Parley needs.")

_HEAD = "# The Slack app of Parley: https://api.slack.com/apps, Create New App, From a manifest.\n"


@app.command()
def manifest(
    http: Annotated[
        str,
        typer.Option(
            metavar="URL", help="Slack delivers to Parley at this public address, by HTTPS."
        ),
    ] = "",
    socket: Annotated[
        bool,
        typer.Option(
            "--socket", help="Parley fetches what Slack delivers (Socket Mode); the default."
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print it as JSON, which Slack takes as well.")
    ] = False,
) -> None:
    """Print the app manifest to paste at api.slack.com/apps."""
    from bot.errors import SettingsError

    if http and socket:
        raise SettingsError(["Give --http or --socket, not both."])
    adapter = importlib.import_module("adapters.slack.manifest")
    found = adapter.manifest(adapter.webhook_address(http) if http else None)
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        typer.echo(_HEAD + adapter.as_yaml(found), nl=False)

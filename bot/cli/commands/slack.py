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
        str | None,
        typer.Option(
            metavar="URL",
            help="Slack delivers to Parley at this public address, https://parley.example.com.",
        ),
    ] = None,
    socket: Annotated[
        bool,
        typer.Option(
            "--socket", help="Parley fetches it (Socket Mode), with no public address; the default."
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print it as JSON, which Slack takes as well.")
    ] = False,
) -> None:
    """Print the app manifest, of which Slack makes the app with all it needs.

    For a new app paste it at api.slack.com/apps, Create New App, From a manifest.
    For one that is there: App Manifest; then install the app again.
    """
    from bot.errors import SettingsError

    if http is not None and socket:
        raise SettingsError(["Give --http or --socket, not both."])
    adapter = importlib.import_module("adapters.slack.manifest")
    found = adapter.manifest(None if http is None else adapter.webhook_address(http))
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        typer.echo(_HEAD + adapter.as_yaml(found), nl=False)

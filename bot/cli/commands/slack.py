"""``slack``: setting up its app."""

from __future__ import annotations

from pathlib import Path

import typer

from bot.cli.commands import start

_MANIFEST = Path(__file__).parents[3] / "deploy" / "slack" / "manifest.yaml"

app = start.commands("What a Slack app for Parley needs.")


@app.command()
def manifest() -> None:
    """Print the app manifest to paste at api.slack.com/apps."""
    typer.echo(_MANIFEST.read_text(encoding="utf-8"), nl=False)

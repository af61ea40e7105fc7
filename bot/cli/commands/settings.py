"""``settings``: all of them."""

from __future__ import annotations

import typer

from bot.cli.commands import start

app = start.commands()


@app.command("settings")
def print_settings() -> None:
    """Print every setting with its default and meaning, and older names, as Markdown tables."""
    from bot.config import old_names_table, settings_table

    typer.echo(f"{settings_table()}\n{old_names_table()}", nl=False)

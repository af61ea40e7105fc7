"""What commands begin with: their part of the command line, and the settings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from bot.errors import SettingsError

if TYPE_CHECKING:
    from bot.config import Settings


def commands(about: str = "") -> typer.Typer:
    """For the ``app`` of a module: a group with a sentence ``about`` it, or one command."""
    app = typer.Typer(
        help=about or None,
        no_args_is_help=bool(about),
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    if about:
        app.callback()(_of_one_command_too)
    return app


def _of_one_command_too() -> None:
    pass


def settings() -> Settings:
    """Raises ``SettingsError`` for those that this version cannot start with."""
    from bot.config import load_settings, not_in_this_version

    settings = load_settings(os.environ, Path())
    if problems := not_in_this_version(settings):
        raise SettingsError(problems)
    return settings

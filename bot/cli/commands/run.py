"""``run``: the bot."""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import os
from contextlib import suppress

import typer

from bot import __version__
from bot.cli.commands import start

NICENESS = -5
"""Three times the CPU share of a program without a priority, since people wait for each word."""

app = start.commands()


@app.command()
def run() -> None:
    """Start the bot, with the settings of the environment and parley.toml."""
    typer.echo(f"{typer.style(f'Parley {__version__}', bold=True)} starts ...")  # at once
    faulthandler.enable()
    gc.disable()  # what is imported stays: to look for garbage in it takes a tenth of the start

    from bot.config import inner_pages, without_effect
    from bot.running.logs import start_logging

    settings = start.settings()
    start_logging(settings.log_level, settings.log_format)
    for note in (*without_effect(settings), *inner_pages(settings)):
        typer.echo(note, err=True)

    from bot.app import run as run_app

    gc.freeze()
    gc.enable()
    go_first()
    raise typer.Exit(asyncio.run(run_app(settings)))


def go_first() -> None:
    """Raise the priority of threads that begin from now on, where the system allows it (to root,
    or in the systemd unit).

    A priority with which a person started Parley is kept.
    """
    with suppress(OSError, AttributeError):  # not allowed, or not on this system
        if os.getpriority(os.PRIO_PROCESS, 0) == 0:
            os.setpriority(os.PRIO_PROCESS, 0, NICENESS)

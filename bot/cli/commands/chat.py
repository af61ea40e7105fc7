"""``chat``: the terminal as a place to talk."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from bot.cli.commands import completion, start

_WRONG = 1

app = start.commands()


@app.command()
def chat(
    goes_on: Annotated[
        bool, typer.Option("--continue", "-c", help="Go on with the chat of last time.")
    ] = False,
    personality: Annotated[
        str,
        typer.Option(
            "--personality",
            "-p",
            help="Who answers; the default one if not given.",
            autocompletion=completion.personalities,
        ),
    ] = "",
) -> None:
    """Talk with Parley here, through the bot that runs or by itself; /help shows how."""
    from bot.cli.chat.begin import chat

    is_well = asyncio.run(chat(start.settings(), personality, goes_on=goes_on))
    raise typer.Exit(0 if is_well else _WRONG)

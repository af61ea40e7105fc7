"""``ask``: one question."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.commands import start
from bot.errors import EmptyQuestion, EngineFailed, ParleyError

if TYPE_CHECKING:
    from bot.config import Settings

_INTERRUPTED = 130
_NOTHING_ASKED = 'There is no question; say what to ask, as in: ask "What is a llama?"'
_NO_ANSWER = "The model gave no answer; ask again, or for something smaller."

app = start.commands()


@app.command()
def ask(
    question: Annotated[
        list[str] | None, typer.Argument(help="The question; - stands for what stdin holds.")
    ] = None,
    personality: Annotated[
        str, typer.Option("--personality", "-p", help="Who answers; the default one if not given.")
    ] = "",
) -> None:
    """Ask one question and print the answer as it grows. Ctrl-C stops it."""
    text = _question(question or ["-"])
    settings = start.settings()
    try:
        asyncio.run(_print_answer(settings, text, personality or settings.personality))
    except KeyboardInterrupt:
        raise typer.Exit(_INTERRUPTED) from None


def _question(words: list[str]) -> str:
    from bot.prompt import clean

    text = clean("\n".join(_read_stdin() if word == "-" else word for word in words))
    if not text.strip():
        raise EmptyQuestion(_NOTHING_ASKED)
    return text


def _read_stdin() -> str:
    if sys.stdin.isatty():
        raise EmptyQuestion(_NOTHING_ASKED)
    return sys.stdin.buffer.read().decode("utf-8", "replace").strip()


async def _print_answer(settings: Settings, question: str, personality: str) -> None:
    """Ends a line that was begun, even after an error. Raises if there is no answer."""
    from bot.prompt import clean

    has_begun = False
    try:
        async with aclosing(_answer(settings, question, personality)) as answer:
            async for text in answer:
                typer.echo(clean(text), nl=False)
                has_begun = True
        if not has_begun:
            raise EngineFailed(_NO_ANSWER)
    finally:
        if has_begun:
            typer.echo()


def _answer(settings: Settings, question: str, personality: str) -> AsyncGenerator[str, None]:
    """Ask the Parley that runs on this data folder, else a model loaded for this question."""
    from bot.lock import is_held, running_key, running_url

    if not is_held(settings.data_dir):
        from bot.app import ask_alone

        return ask_alone(settings, question, personality)
    from bot.cli.ask import ask_running

    url, key = running_url(settings.data_dir), running_key(settings.data_dir)
    if url is None or key is None:
        raise ParleyError("Parley is just starting; ask again in a moment.")
    return ask_running(url, key, question, personality)

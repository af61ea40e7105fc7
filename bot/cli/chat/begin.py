"""``chat`` with the Parley that runs, or with one of its own."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, nullcontext

from rich.console import Console

from bot.cli.chat.client import PageClient
from bot.cli.chat.screen import silent_keys
from bot.cli.chat.talk import Talk
from bot.config import Settings
from bot.errors import DataError
from bot.lock import is_held, running_url
from bot.model_names import hub_model

_STARTS_SECONDS = 300.0


async def chat(settings: Settings, personality: str, *, goes_on: bool) -> bool:
    """Until the person leaves; whether all was well."""
    folder = settings.data_dir
    parley = nullcontext() if is_held(folder) else _own(settings)
    async with parley, PageClient(folder) as client:
        with nullcontext() if running_url(folder) else _status("Parley is starting …"):
            await client.until_there(_STARTS_SECONDS)
        talk = Talk(client, await client.state(), personality)
        with silent_keys():
            await talk.greet(goes_on=goes_on)
            return await talk.run()


@asynccontextmanager
async def _own(settings: Settings) -> AsyncIterator[None]:
    """A Parley in this process, whose log is nobody's matter."""
    logging.getLogger().addHandler(logging.NullHandler())
    if hub_model(settings.model):
        from bot.running.fetching import fetch_default
        from bot.running.progress import on_stderr

        await fetch_default(settings, on_stderr)  # seen, and not under the line below
    async with AsyncExitStack() as stack:
        with _status(f"Loading {settings.model} …"):
            from bot.app import serving_alone

            try:
                await stack.enter_async_context(serving_alone(settings))
            except DataError:
                if not is_held(settings.data_dir):  # else another one was faster, and will do
                    raise
        yield


def _status(sentence: str) -> AbstractContextManager[object]:
    console = Console(stderr=True)
    return console.status(sentence) if console.is_terminal else nullcontext()

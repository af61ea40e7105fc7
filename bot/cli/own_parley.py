"""A Parley in this process, for a command that finds none running."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, nullcontext

from rich.console import Console

from bot.config import Settings
from bot.errors import DataError
from bot.lock import is_held
from bot.model_names import hub_model


@asynccontextmanager
async def own_parley(settings: Settings) -> AsyncIterator[None]:
    """It is found through the data folder, and its log is nobody's matter."""
    logging.getLogger().addHandler(logging.NullHandler())
    if hub_model(settings.model):
        from bot.running.fetching import fetch_default
        from bot.running.progress import on_stderr

        await fetch_default(settings, on_stderr)  # seen, and not under the line below
    async with AsyncExitStack() as stack:
        with status(f"Loading {settings.model} …"):
            from bot.app import serving_alone

            try:
                await stack.enter_async_context(serving_alone(settings))
            except DataError:
                if not is_held(settings.data_dir):  # else another one was faster, and will do
                    raise
        yield


def status(sentence: str) -> AbstractContextManager[object]:
    """On stderr while it is entered, where a person sees it."""
    console = Console(stderr=True)
    return console.status(sentence) if console.is_terminal else nullcontext()

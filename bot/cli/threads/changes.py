"""Forgetting and importing threads: by the Parley that runs, or with its data while none does."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from bot.attachments.uploads import Uploads
from bot.chat.records import turns_to_store
from bot.chats import Chat, Owner
from bot.clock import SystemClock
from bot.config import Settings
from bot.errors import DataError, ParleyError, RequestError, StorageError
from bot.history.store import SqlThreadStore, open_store
from bot.inference.state_store.folders import StateFolders
from bot.lock import DataLock, is_held, running_key, running_url
from bot.ports import LOCAL_ACCOUNT
from bot.types import Place

TERMINAL = Owner(LOCAL_ACCOUNT, "terminal")
"""Whose chats those of the terminal are."""

_TIMEOUT = aiohttp.ClientTimeout(total=120.0, sock_connect=5.0)
_STARTING = "Parley is just starting or stopping; try again in a moment."


async def forget(settings: Settings, place: Place) -> None:
    """With its files and saved states. Raises ``ParleyError``."""
    if is_held(settings.data_dir):
        await _ask(settings, "/threads/forget", json.dumps({"thread": str(place)}).encode())
        return
    async with _store(settings) as store:
        await store.forget(place)
        await Uploads(settings.data_dir / "uploads").forget(place)
        StateFolders(settings.data_dir / "parked").forget(place.workspace_form, str(place), ())


async def add(settings: Settings, raw: bytes, chat: Chat) -> Place:
    """``chat`` as it was read from ``raw``; where it is kept. Raises ``ParleyError``."""
    if is_held(settings.data_dir):
        answer = await _ask(settings, "/page/chats/import", raw)
        return TERMINAL.place(str(answer["chat"]["id"]))
    place = TERMINAL.place(uuid.uuid4().hex)
    async with _store(settings) as store:
        await store.add_thread(
            place,
            turns_to_store(chat, place, TERMINAL.person),
            title=chat.summary.title,
            personality=chat.summary.personality or None,
        )
    return place


@asynccontextmanager
async def _store(settings: Settings) -> AsyncIterator[SqlThreadStore]:
    async with DataLock(settings.data_dir):
        store = await open_store(settings.database_url, SystemClock())
        try:
            yield store
        except StorageError as error:
            raise DataError(error.detail) from error
        finally:
            await store.close()


async def _ask(settings: Settings, path: str, body: bytes) -> Any:
    url, key = running_url(settings.data_dir), running_key(settings.data_dir)
    if url is None or key is None:
        raise ParleyError(_STARTING)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT, headers=headers) as client,
            client.post(f"{url}{path}", data=body) as response,
        ):
            answer = await response.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise ParleyError(f"The running Parley at {url} does not answer: {error}.") from error
    if response.status >= 400:
        raise RequestError(_message(answer, response.status))
    return json.loads(answer) if answer else None


def _message(answer: bytes, status: int) -> str:
    try:
        return str(json.loads(answer)["error"]["message"])
    except (ValueError, LookupError, TypeError):
        return f"The running Parley answered with HTTP status {status}."

"""Reply chains: the root message of a chain, and the messages before a question."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from adapters.discord.api.ids import MessageRef, created_at
from adapters.discord.api.messages import BotUser, name_of, read_text
from adapters.discord.api.quotes import quoted_reply, text_of_message
from adapters.discord.api.recent import Recent
from adapters.discord.api.rest import Rest
from bot.adapter_support.payloads import Json, Payload, table_of, tables_of, text_of
from bot.errors import PlatformError
from bot.types import Place

_MAX_ROOTS = 10_000
_MAX_STEPS = 20
_NUM_EARLIER = 50
_MAX_EARLIER = 8_000
_EARLIER_SECONDS = 5.0
_MAX_PAGE = 100
_STARTER = 21
_SAID = frozenset({0, 19, 20, _STARTER, 23})
"""Messages, replies, answers to commands: of other types Discord speaks itself."""


class ReplyChains:
    """Remembers the root of each chain, so that a reply costs at most one look-up a step."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._roots: Recent[str, str] = Recent(_MAX_ROOTS)

    def remember(self, message: str, root: str) -> None:
        self._roots[message] = root

    async def root_of(self, message: Payload) -> str:
        """The id of the message (or interaction) at the start of this message's chain."""
        channel, chain = text_of(message, "channel_id"), [text_of(message, "id")]
        above = message
        root = ""
        for _ in range(_MAX_STEPS):
            following = _replied_to(above)
            root = self._roots.get(following, "") or _interaction_id(above)
            if root or not following:
                break
            chain.append(following)
            above = table_of(above, "referenced_message") or await self._get(channel, following)
        root = root or chain[-1]
        for each in chain:
            self.remember(each, root)
        return root

    async def earlier(self, place: Place, ref: MessageRef, me: BotUser) -> list[tuple[str, str]]:
        """Names and texts before a question; none where reading them takes too long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_EARLIER_SECONDS):
                if ref.channel != place.channel:
                    lines = await self._in_thread(ref.channel, ref.message, me)
                else:
                    lines = await self._up_the_chain(ref, me)
                return _newest(lines)
        return []

    async def lately(self, channel: str, since: datetime, me: BotUser) -> list[tuple[str, str]]:
        """What people and bots said there since then, but for the wish to be told."""
        found = await self._messages(channel)
        said = [each for each in found if each.get("type", 0) in _SAID and not _is_wish(each, me)]
        newest = [each for each in said if created_at(text_of(each, "id")) >= since]
        lines = (_line(_origin(each), me) for each in reversed(newest[:_NUM_EARLIER]))
        return _newest([line for line in lines if line[1]])

    async def _up_the_chain(self, ref: MessageRef, me: BotUser) -> list[tuple[str, str]]:
        """The messages up the chain, oldest first, without the one that the question quotes."""
        said: list[tuple[str, str]] = []
        above = question = await self._get(ref.channel, ref.message)
        for _ in range(_MAX_STEPS):
            following = _replied_to(above)
            if not following:
                break
            above = table_of(above, "referenced_message") or await self._get(ref.channel, following)
            if above is not quoted_reply(question, me):
                said.append(_line(above, me))
        return [line for line in reversed(said) if line[1]]

    async def _in_thread(self, thread: str, before: str, me: BotUser) -> list[tuple[str, str]]:
        """The latest messages of a thread, and the message that it was opened from."""
        messages = await self._messages(thread, before=before, limit=_NUM_EARLIER)
        lines = (_line(_origin(each), me) for each in reversed(messages))
        return [line for line in lines if line[1]]

    async def _messages(self, channel: str, **query: Any) -> list[Json]:
        """Newest first."""
        found = await self._rest.call(
            "GET",
            "/channels/{channel_id}/messages",
            channel_id=channel,
            query={"limit": _MAX_PAGE, **query},
        )
        return [each for each in found if isinstance(each, dict)] if found else []

    async def _get(self, channel: str, message: str) -> Payload:
        """Empty if the message is gone or not readable."""
        try:
            found = await self._rest.call(
                "GET",
                "/channels/{channel_id}/messages/{message_id}",
                channel_id=channel,
                message_id=message,
            )
        except PlatformError:
            return {}
        return found if isinstance(found, dict) else {}


def _newest(lines: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The newest lines that fit into ``_MAX_EARLIER`` characters, oldest first."""
    kept: list[tuple[str, str]] = []
    room = _MAX_EARLIER
    for name, said in reversed(lines):
        room -= len(said)
        if room < 0:
            break
        kept.append((name, said))
    return kept[::-1]


def _replied_to(message: Payload) -> str:
    """The id of the message replied to. A forward has a reference too, and is not a reply."""
    reference = table_of(message, "message_reference")
    is_answer = reference.get("type", 0) == 0 and message.get("type") != _STARTER
    return text_of(reference, "message_id") if is_answer else ""


def _interaction_id(message: Payload) -> str:
    return text_of(table_of(message, "interaction_metadata"), "id")


def _origin(message: Payload) -> Payload:
    is_starter = message.get("type") == _STARTER
    return table_of(message, "referenced_message") if is_starter else message


def _is_wish(message: Payload, me: BotUser) -> bool:
    return read_text(message, me).text.lower().strip(" .!") == "catch up"


def _line(message: Payload, me: BotUser) -> tuple[str, str]:
    files = " ".join(f"[{text_of(file, 'filename')}]" for file in tables_of(message, "attachments"))
    said = f"{text_of_message(message, me)} {files}".strip()
    return name_of(table_of(message, "author")), said

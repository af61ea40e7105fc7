"""The messages of a thread, and those that a channel has had lately, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from adapters.slack.api.labels import label_of
from bot.adapter_support.payloads import Payload, table_of, tables_of, text_of
from bot.errors import PlatformError
from bot.types import Label, Place

_PAGE_SIZE = 200
_MAX_PAGES = 10


class ChannelHistory:
    def __init__(self, call: Callable[..., Awaitable[dict[str, Any]]]) -> None:
        self._call = call

    async def messages(self, place: Place) -> AsyncIterator[Payload]:
        """Of a thread oldest first; of a direct message without one its latest, newest first."""
        method = "conversations.replies" if place.thread else "conversations.history"
        query: dict[str, Any] = {"channel": place.channel, "limit": _PAGE_SIZE}
        query["include_all_metadata"] = True
        if place.thread:
            query["ts"] = place.thread
        for _ in range(_MAX_PAGES):
            page = await self._call(method, **query)
            for message in tables_of(page, "messages"):
                yield message
            query["cursor"] = table_of(page, "response_metadata").get("next_cursor")
            if not query["cursor"]:
                return

    async def has_replies(self, place: Place) -> bool:
        """False also where Slack does not say so."""
        query = {"channel": place.channel, "ts": place.thread, "limit": 2}
        try:
            page = await self._call("conversations.replies", **query) if place.thread else {}
        except PlatformError:
            return False
        return len(tables_of(page, "messages")) > 1

    async def posts(
        self, place: Place, turn_id: str, user: str
    ) -> tuple[dict[int, str], list[str]]:
        """The parts of a turn that ``user`` posted, and what they posted without a label."""
        found: dict[int, str] = {}
        unlabelled: list[str] = []
        async for message in self.messages(place):
            label, ts = label_of(message), text_of(message, "ts")
            if not ts or message.get("user") != user:
                continue
            if label is None:
                unlabelled.append(ts)
            elif label.turn_id == turn_id:
                found[label.part] = min(ts, found.get(label.part, ts))
        return found, unlabelled

    async def labelled(self, place: Place, label: Label, user: str) -> str:
        """The oldest message of ``user`` with this label, as far as is looked; else empty."""
        found = [
            text_of(message, "ts")
            async for message in self.messages(place)
            if message.get("user") == user and label_of(message) == label
        ]
        return min(filter(None, found), default="")

    async def newest(self, channel: str, since: float) -> list[Payload]:
        """At most a page of what stands in the channel itself, oldest first."""
        page = await self._call(
            "conversations.history", channel=channel, limit=_PAGE_SIZE, oldest=f"{since:.6f}"
        )
        return tables_of(page, "messages")[::-1]

"""Replies with buttons: Stop while they grow, others under their last message once they ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from adapters.slack.interactions.buttons import (
    MAX_BLOCKS,
    size_of_blocks,
    when_ended,
    when_offering,
    while_growing,
)
from bot.adapter_support.payloads import Json
from bot.errors import MessageTooLong, PlatformRefused
from bot.types import Choice, Label, Place, Rendered, ReplyEnd

Post = Callable[[Place, Rendered, Label, list[Json]], Awaitable[str]]
Update = Callable[[Place, str, Rendered, list[Json]], Awaitable[None]]

_REFUSED = frozenset({"invalid_blocks", "invalid_blocks_format"})


class ButtonedReplies:
    """Every edit says text and buttons, for Slack takes away what an edit leaves out.

    ``post`` and ``update`` are those of one message with its blocks.
    """

    def __init__(self, post: Post, update: Update) -> None:
        self._post = post
        self._update = update

    async def begin(self, place: Place, text: Rendered, label: Label) -> str:
        return await self._post_with(place, text, label, while_growing(text, place.thread))

    async def grow(self, place: Place, message_id: str, text: Rendered) -> None:
        await self._edit_with(place, message_id, text, while_growing(text, place.thread))

    async def finish(
        self,
        place: Place,
        message_id: str | None,
        text: Rendered,
        label: Label,
        end: ReplyEnd | None,
    ) -> str:
        blocks = when_ended(text, place.thread, label.turn_id, end)
        if message_id is None:
            return await self._post_with(place, text, label, blocks)
        await self._edit_with(place, message_id, text, blocks)
        return message_id

    async def offer(
        self, place: Place, text: Rendered, choices: Sequence[Choice], label: Label
    ) -> str:
        blocks = when_offering(text, place.thread, choices)
        if not blocks or size_of_blocks(blocks) > MAX_BLOCKS:
            raise MessageTooLong("There is no room for buttons under a text of this size.")
        return await self._post(place, text, label, blocks)

    async def _post_with(
        self, place: Place, text: Rendered, label: Label, blocks: list[Json]
    ) -> str:
        """Better without its buttons than not at all; so it is with an edit."""
        try:
            return await self._post(place, text, label, blocks)
        except PlatformRefused as error:
            if error.code not in _REFUSED:
                raise
        return await self._post(place, text, label, [])

    async def _edit_with(
        self, place: Place, message_id: str, text: Rendered, blocks: list[Json]
    ) -> None:
        try:
            await self._update(place, message_id, text, blocks)
        except PlatformRefused as error:
            if error.code not in _REFUSED:
                raise
            await self._update(place, message_id, text, [])

"""Replies with buttons: Stop while they grow, others under their last message once they ended."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence

from adapters.slack.interactions.buttons import (
    MAX_BLOCKS,
    size_of_blocks,
    when_concluded,
    when_ended,
    when_offering,
    while_growing,
)
from bot.adapter_support.payloads import Json
from bot.errors import MessageTooLong, PlatformRefused
from bot.types import Choice, Label, Place, Rendered

Post = Callable[[Place, Rendered, Label, list[Json]], Awaitable[str]]
Update = Callable[[Place, str, Rendered, list[Json]], Awaitable[None]]

_REFUSED = frozenset({"invalid_blocks", "invalid_blocks_format"})
_MAX_ENDED = 2_000


class ButtonedReplies:
    """Every edit says text and buttons, for Slack takes away what an edit leaves out.

    ``post`` and ``update`` are those of one message with its blocks.
    """

    def __init__(self, post: Post, update: Update) -> None:
        self._post = post
        self._update = update
        self._ended: OrderedDict[str, Rendered] = OrderedDict()  # the text of each message

    async def begin(self, place: Place, text: Rendered, label: Label) -> str:
        return await self._post_with(place, text, label, while_growing(text, place.thread))

    async def grow(self, place: Place, message_id: str, text: Rendered) -> None:
        self._ended.pop(message_id, None)
        await self._edit_with(place, message_id, text, while_growing(text, place.thread))

    async def finish(
        self, place: Place, message_id: str | None, text: Rendered, label: Label
    ) -> str:
        if message_id is None:
            message_id = await self._post_with(place, text, label, when_ended(text))
        else:
            await self._edit_with(place, message_id, text, when_ended(text))
        self._ended[message_id] = text
        if len(self._ended) > _MAX_ENDED:
            self._ended.popitem(last=False)
        return message_id

    async def conclude(
        self, place: Place, turn_id: str, message_id: str, *, can_continue: bool
    ) -> None:
        """Nothing is done to a message that grows again by now."""
        text = self._ended.get(message_id)
        if text is not None:
            blocks = when_concluded(text, place.thread, turn_id, can_continue=can_continue)
            await self._edit_with(place, message_id, text, blocks)

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

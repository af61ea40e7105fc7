"""ReplyMessages: the messages of one reply on the platform, and the next call to make."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal

from bot.errors import MessageGone, NotPermitted, PlatformRefused, StorageError
from bot.ports import Adapter, CitesSources, Clock, FindsPosts, GrowsReplies, HasEditDeadlines
from bot.types import Label, Place, Post, Rendered, Source

logger = logging.getLogger(__name__)

Record = Callable[[int, str | None], Awaitable[None]]
"""Persist part -> message id; None: that part was deleted."""


_NO_TEXT = Rendered("")


@dataclass(slots=True)
class Message:
    """``shown`` is None for a message of an earlier run; times are monotonic.

    ``is_finished``: the platform knows that this text is the last.
    """

    id: str
    shown: Rendered | None = None
    is_finished: bool = False
    posted_at: float = inf
    called_at: float = -inf

    @property
    def is_inherited(self) -> bool:
        return self.shown is None


@dataclass(frozen=True, slots=True)
class Step:
    """One call to the platform. ``message_id`` is None for a post and a search.

    ``is_last``: no other text follows in this message. ``is_text``: it is no placeholder.
    ``sources``: what the reply that ends with this text was made from.
    """

    method: Literal["find_posts", "post", "edit", "delete"]
    part: int
    message_id: str | None = None
    text: Rendered = _NO_TEXT
    is_last: bool = False
    is_text: bool = True
    sources: tuple[Source, ...] = ()

    @property
    def target(self) -> tuple[str, int, str | None]:
        return self.method, self.part, self.message_id


class ReplyMessages:
    """``search`` asks the platform, if it can be asked, before the first post.

    ``grows`` is False for a notice, which no platform shall take for a reply.
    """

    def __init__(
        self,
        adapter: Adapter,
        clock: Clock,
        place: Place,
        turn_id: str,
        record: Record,
        posts: Iterable[Post],
        *,
        search: bool,
        grows: bool = True,
        question_id: str | None = None,
    ) -> None:
        self._adapter = adapter
        self._growing = adapter if grows and isinstance(adapter, GrowsReplies) else None
        self._clock = clock
        self._place = place
        self._turn_id = turn_id
        self._question_id = question_id
        self._record = record
        self._by_part = {post.part: Message(post.message_id) for post in posts}
        self._outdated: list[str] = []
        self._sources: tuple[Source, ...] = ()
        self._is_searching = False
        if search:
            self.search()

    def __len__(self) -> int:
        return len(self._by_part)

    def get(self, part: int) -> Message | None:
        return self._by_part.get(part)

    def search(self) -> bool:
        """Look for posts of this turn before the next post; False if that cannot be."""
        self._is_searching = isinstance(self._adapter, FindsPosts)
        return self._is_searching

    def abandon(self, part: int) -> None:
        """The platform will not change this message: another one takes its place."""
        self._outdated.append(self._by_part.pop(part).id)

    def cite(self, sources: Sequence[Source]) -> None:
        """What the reply was made from, for a platform that shows it."""
        self._sources = tuple(sources)

    def step_to_show(
        self, texts: Sequence[Rendered], *, is_final: bool = False, is_text: bool = True
    ) -> Step | None:
        """The next call on the way to show ``texts``, earlier parts first."""
        for part, text in enumerate(texts):
            message = self._by_part.get(part)
            is_end = part == len(texts) - 1
            is_last = is_final or not is_end
            sources = self._sources if is_final and is_end else ()
            if message is None and self._is_searching:
                return Step("find_posts", part)
            if message is None or (message.shown != text and self._is_too_old(message)):
                return Step("post", part, None, text, is_last, is_text, sources)
            if message.shown != text or self._must_finish(message, is_last):
                return Step("edit", part, message.id, text, is_last, is_text, sources)
        return None

    def _must_finish(self, message: Message, is_last: bool) -> bool:
        return is_last and self._growing is not None and not message.is_finished

    def step_to_tidy(self, num_parts: int) -> Step | None:
        """The next call on the way to have ``num_parts`` messages and no other."""
        for part, message in sorted(self._by_part.items(), reverse=True):
            if part >= num_parts:
                return Step("delete", part, message.id)
        return Step("delete", -1, self._outdated[0]) if self._outdated else None

    async def take(self, step: Step) -> None:
        """Make the call, and keep what came of it."""
        match step.method:
            case "find_posts":
                await self._find()
            case "post":
                await self._post(step)
            case "edit":
                await self._edit(step)
            case "delete":
                await self._delete(step)

    async def _find(self) -> None:
        found: Mapping[int, str] = {}
        try:
            if isinstance(self._adapter, FindsPosts):
                found = await self._adapter.find_posts(self._place, self._turn_id)
        except (NotPermitted, PlatformRefused, MessageGone) as error:
            logger.warning("posts cannot be looked for: %s", error)
        self._is_searching = False
        for part in sorted(set(found) - set(self._by_part)):
            await self._keep(part, Message(found[part]))

    async def _post(self, step: Step) -> None:
        called_at = self._clock.monotonic()
        message_id = await self._send_post(step)
        if step.part in self._by_part:
            self.abandon(step.part)
        message = Message(message_id, step.text, step.is_last, called_at, called_at)
        await self._keep(step.part, message)

    async def _send_post(self, step: Step) -> str:
        label = Label(self._turn_id, step.part, self._question_id)
        if self._growing is None:
            return await self._adapter.post(self._place, step.text, label)
        if step.is_last:
            return await self._finish(self._growing, step, None)
        return await self._growing.begin(self._place, step.text, label, is_text=step.is_text)

    async def _finish(self, grows: GrowsReplies, step: Step, message_id: str | None) -> str:
        label = Label(self._turn_id, step.part, self._question_id)
        if step.sources and isinstance(grows, CitesSources):
            return await grows.finish_citing(
                self._place, message_id, step.text, label, step.sources
            )
        return await grows.finish(self._place, message_id, step.text, label)

    async def _edit(self, step: Step) -> None:
        message = self._by_part[step.part]
        message.called_at = self._clock.monotonic()
        message_id = await self._send_edit(step, message.id)
        message.shown, message.is_finished = step.text, step.is_last
        if message_id != message.id:
            message.id = message_id
            await self._persist(step.part, message_id)

    async def _send_edit(self, step: Step, message_id: str) -> str:
        """The message's id, which is another one where it had to be posted anew."""
        if self._growing is None:
            await self._adapter.edit(self._place, message_id, step.text)
        elif step.is_last:
            return await self._finish(self._growing, step, message_id)
        else:
            await self._growing.grow(self._place, message_id, step.text, is_text=step.is_text)
        return message_id

    async def _delete(self, step: Step) -> None:
        """A message that cannot be deleted is left: the reply itself stands above it."""
        try:
            await self._adapter.delete(self._place, step.message_id or "")
        except (NotPermitted, PlatformRefused, MessageGone) as error:
            logger.info("a left-over message was not deleted: %s", error)
        if step.message_id in self._outdated:
            self._outdated.remove(step.message_id)
        else:
            del self._by_part[step.part]
            await self._persist(step.part, None)

    async def _keep(self, part: int, message: Message) -> None:
        self._by_part[part] = message
        await self._persist(part, message.id)

    async def _persist(self, part: int, message_id: str | None) -> None:
        """The person's reply matters more than our note of where it is."""
        try:
            await self._record(part, message_id)
        except StorageError as error:
            logger.warning("the place of a reply was not stored: %s", error)

    def _is_too_old(self, message: Message) -> bool:
        deadline = self._edit_deadline(message)
        if deadline is None:
            return False
        age = self._clock.monotonic() - message.posted_at
        return deadline <= 0 or age > deadline - min(
            self._adapter.limits.call_timeout, deadline / 10
        )

    def _edit_deadline(self, message: Message) -> float | None:
        own = None
        if isinstance(self._adapter, HasEditDeadlines):
            own = self._adapter.edit_deadline(message.id)
        return self._adapter.limits.edit_deadline if own is None else own

"""ReplyMessages: the messages of one reply on the platform, and the next call to make."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Literal

from bot.capabilities import Capabilities, GrowsReplies
from bot.errors import MessageGone, NotPermitted, PlatformRefused, StorageError
from bot.ports import Adapter, Clock
from bot.stored import Post
from bot.types import PLAIN_END, Label, Person, Place, Rendered, ReplyEnd

logger = logging.getLogger(__name__)

Record = Callable[[int, str | None], Awaitable[None]]
"""Persist part -> message id; None: that part was deleted."""


_NO_TEXT = Rendered("")
_MAX_SHOWN = 500


@dataclass(slots=True)
class SentMessage:
    """``shown`` is None where that is not known; times are monotonic.

    ``is_inherited``: it is of an earlier run, and was not edited since.
    ``is_finished``: the platform knows that this text is the last; ``end`` came with it.
    """

    id: str
    shown: Rendered | None = None
    is_finished: bool = False
    end: ReplyEnd | None = None
    posted_at: float = inf
    called_at: float = -inf
    is_inherited: bool = False


class ShownMessages:
    """What the messages of the newest replies show, as far as this process knows.

    So a reply that goes on has only those of its messages edited whose text changes.
    """

    def __init__(self) -> None:
        self._finished: OrderedDict[tuple[str, str], SentMessage] = OrderedDict()

    def of(self, place: Place, message_id: str) -> SentMessage:
        known = self._finished.get((place.channel_form, message_id), SentMessage(message_id))
        return replace(known, is_inherited=True, posted_at=inf, called_at=-inf)

    def forget(self, place: Place, message_id: str) -> None:
        """It is about to change, and may have changed though the call fails."""
        self._finished.pop((place.channel_form, message_id), None)

    def note(self, place: Place, message: SentMessage) -> None:
        """Nothing is kept of the text but its characters."""
        if message.shown is not None and message.is_finished:
            kept = replace(message, shown=Rendered(str(message.shown)))
            self._finished[place.channel_form, message.id] = kept
            if len(self._finished) > _MAX_SHOWN:
                self._finished.popitem(last=False)


@dataclass(frozen=True, slots=True)
class PlatformCall:
    """``message_id`` is None for a post and a search.

    ``is_last``: no other text follows in this message. ``is_text`` is False for a placeholder.
    ``end``: what comes with this text, for the reply ends with it.
    """

    method: Literal["find_posts", "post", "edit", "delete"]
    part: int
    message_id: str | None = None
    text: Rendered = _NO_TEXT
    is_last: bool = False
    is_text: bool = True
    end: ReplyEnd | None = None

    @property
    def target(self) -> tuple[str, int, str | None]:
        return self.method, self.part, self.message_id


class ReplyMessages:
    """``search`` asks the platform, if it can be asked, before the first post.

    ``grows`` is False for a notice, which is posted whole and not streamed.
    ``by_part``: the messages that exist. ``end``: what comes with the last of them once the reply
    has ended, for a platform that shows it; None: something else follows.
    """

    def __init__(
        self,
        adapter: Adapter,
        can: Capabilities,
        clock: Clock,
        place: Place,
        turn_id: str,
        record: Record,
        posts: Iterable[Post],
        *,
        search: bool,
        grows: bool = True,
        question_id: str | None = None,
        asker: Person | None = None,
        shown: ShownMessages | None = None,
    ) -> None:
        self._adapter = adapter
        self._can = can
        self._growing = can.grows if grows else None
        self._clock = clock
        self._place = place
        self._turn_id = turn_id
        self._question_id = question_id
        self._asker = asker
        self._record = record
        self._shown = shown or ShownMessages()
        self.by_part = {post.part: self._shown.of(place, post.message_id) for post in posts}
        self._outdated: list[str] = []
        self.end: ReplyEnd | None = PLAIN_END
        self._is_searching = False
        if search:
            self.search()

    def search(self) -> bool:
        """Look for posts of this turn before the next post; False if the platform cannot."""
        self._is_searching = self._can.finds_posts is not None
        return self._is_searching

    def abandon(self, part: int) -> None:
        """The platform does not let us change this message: another one replaces it."""
        self._outdated.append(self.by_part.pop(part).id)

    def call_to_show(
        self, texts: Sequence[Rendered], *, is_final: bool = False, is_text: bool = True
    ) -> PlatformCall | None:
        """The next call on the way to show ``texts``, earlier parts first."""
        for part, text in enumerate(texts):
            message = self.by_part.get(part)
            is_end = part == len(texts) - 1
            is_last = is_final or not is_end
            end = self.end if is_final and is_end else None
            if message is None and self._is_searching:
                return PlatformCall("find_posts", part, is_text=is_text)
            if message is None or (message.shown != text and self._is_too_old(message)):
                return PlatformCall("post", part, None, text, is_last, is_text, end)
            is_as_finished = message.is_finished and message.end == end
            must_finish = is_last and self._growing is not None and not is_as_finished
            if message.shown != text or must_finish:
                return PlatformCall("edit", part, message.id, text, is_last, is_text, end)
        return None

    def call_to_tidy(self, num_parts: int) -> PlatformCall | None:
        """The next call on the way to have ``num_parts`` messages and no other."""
        for part, message in sorted(self.by_part.items(), reverse=True):
            if part >= num_parts:
                return PlatformCall("delete", part, message.id)
        return PlatformCall("delete", -1, self._outdated[0]) if self._outdated else None

    async def make(self, call: PlatformCall) -> None:
        """Make the call, and keep its result."""
        match call.method:
            case "find_posts":
                await self._find()
            case "post":
                await self._post(call)
            case "edit":
                await self._edit(call)
            case "delete":
                await self._delete(call)

    async def _find(self) -> None:
        found: Mapping[int, str] = {}
        try:
            if self._can.finds_posts:
                found = await self._can.finds_posts.find_posts(self._place, self._turn_id)
        except (NotPermitted, PlatformRefused, MessageGone) as error:
            logger.warning("posts cannot be looked for: %s", error)
        self._is_searching = False
        for part in sorted(set(found) - set(self.by_part)):
            await self._keep(part, SentMessage(found[part], is_inherited=True))

    async def _post(self, call: PlatformCall) -> None:
        called_at = self._clock.monotonic()
        label = self._label(call)
        if self._growing is None:
            message_id = await self._adapter.post(self._place, call.text, label)
        elif call.is_last:
            message_id = await self._finish(self._growing, call, None)
        else:
            message_id = await self._growing.begin(
                self._place, call.text, label, is_text=call.is_text
            )
        if call.part in self.by_part:
            self.abandon(call.part)
        message = SentMessage(message_id, call.text, call.is_last, call.end, called_at, called_at)
        self._shown.note(self._place, message)
        await self._keep(call.part, message)

    async def _edit(self, call: PlatformCall) -> None:
        message = self.by_part[call.part]
        message.called_at = self._clock.monotonic()
        message_id = message.id
        self._shown.forget(self._place, message_id)
        if self._growing is None:
            await self._adapter.edit(self._place, message_id, call.text)
        elif call.is_last:
            message_id = await self._finish(self._growing, call, message_id)
        else:
            await self._growing.grow(self._place, message_id, call.text, is_text=call.is_text)
        message.shown, message.is_finished, message.end = call.text, call.is_last, call.end
        message.is_inherited = False
        if message_id != message.id:
            message.id = message_id
            await self._keep(call.part, message)
        self._shown.note(self._place, message)

    async def _finish(
        self, growing: GrowsReplies, call: PlatformCall, message_id: str | None
    ) -> str:
        """The message's id, which is another one where it had to be posted again."""
        return await growing.finish(self._place, message_id, call.text, self._label(call), call.end)

    def _label(self, call: PlatformCall) -> Label:
        return Label(self._turn_id, call.part, self._question_id, self._asker)

    async def _delete(self, call: PlatformCall) -> None:
        """A message that cannot be deleted stays: the reply itself stands above it."""
        try:
            await self._adapter.delete(self._place, call.message_id or "")
        except (NotPermitted, PlatformRefused, MessageGone) as error:
            logger.info("a left-over message was not deleted: %s", error)
        if call.message_id in self._outdated:
            self._outdated.remove(call.message_id)
        else:
            await self._keep(call.part, None)

    async def _keep(self, part: int, message: SentMessage | None) -> None:
        """A failure to store it is only logged: the person's reply matters more."""
        if message is None:
            del self.by_part[part]
        else:
            self.by_part[part] = message
        try:
            await self._record(part, message.id if message else None)
        except StorageError as error:
            logger.warning("the place of a reply was not stored: %s", error)

    def _is_too_old(self, message: SentMessage) -> bool:
        deadline = self._adapter.limits.edit_deadline
        if self._can.edit_deadlines:
            own = self._can.edit_deadlines.edit_deadline(message.id)
            deadline = deadline if own is None else own
        if deadline is None:
            return False
        age = self._clock.monotonic() - message.posted_at
        margin = min(self._adapter.limits.call_timeout, deadline / 10)
        return deadline <= 0 or age > deadline - margin

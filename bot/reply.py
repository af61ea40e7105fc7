"""ReplyEditor: a stream of text -> posts and edits that fit a platform.

The latest text wins, one call is in flight per reply, and the last edit is always made. The
one task that calls the platform is never cancelled: a caller of ``finish`` who is cancelled
while it waits leaves the call in flight, and the text, to that task.

Calls that fail:

- ``RateLimited``: the next call waits as long as asked, and carries the text as it is by then.
- ``Unavailable``: retried with back-off; an edit may be repeated. A post that may have
  happened is looked for first where the platform can be asked (``FindsPosts``). Where it
  cannot, only the final text is posted again: an orphan may remain, nothing is lost.
- ``MessageTooLong``: that part is cut at half the size.
- ``PlatformRefused``: the reply grows no more, but the final text is tried. One sentence stands
  in place of a final text that is refused. Where that sentence is refused, too, or the message is
  of an earlier run, it is the edit that is refused: another message replaces this one.
- ``MessageGone`` on an edit: somebody deleted the reply; nothing more is posted.
- ``NotPermitted``: nothing more is tried. Either in the middle of a reply calls ``on_stop``.
- ``ReplyStopped``: the reply grows no more; ``on_stop`` is called, and the final text is sent.

``finish`` raises the refusals that the final text meets, also where the sentence stands in its
place, and ``Unavailable`` when patience is at its end.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any, Self

from bot.capabilities import Capabilities
from bot.delivery.reply_messages import PlatformCall, Record, ReplyMessages, ShownMessages
from bot.delivery.reply_pace import Backoff, PendingIndicator, ReplyPace
from bot.errors import (
    MessageGone,
    MessageTooLong,
    NotPermitted,
    PlatformError,
    PlatformRefused,
    RateLimited,
    ReplyStopped,
    TextRefused,
    Unavailable,
    refusal_for_people,
)
from bot.markdown.layout import Layout
from bot.markdown.tree import Block
from bot.pacing import EditBudget, Permit, Urgency
from bot.ports import Adapter, Clock
from bot.stored import Post
from bot.types import PLAIN_END, Person, Place, ReplyEnd

logger = logging.getLogger(__name__)

_MIN_SIZE = 20
"""Rendered characters; a platform that refuses fewer does not mean the size."""


class ReplyEditor:
    """One per turn; an async context manager around its one task.

    ``posts`` are the turn's messages from an earlier run, which are edited first.
    ``asker`` is who asked. ``question_id`` is the message that carries the 👀 while a post has
    to wait; ``later`` has it removed where there is no room for that yet.
    ``patience``: seconds for which ``finish`` retries while the platform is out of reach.
    ``on_stop``: called when a person uses the platform's own stop, or can see no more.
    ``grows`` is False for a notice, which is posted whole and not streamed. ``change`` is
    applied to each block of the reply. ``shown``: what is known of messages of an earlier run.
    """

    def __init__(
        self,
        adapter: Adapter,
        budget: EditBudget,
        clock: Clock,
        *,
        place: Place,
        turn_id: str,
        record: Record,
        later: Callable[[Coroutine[Any, Any, None]], object],
        posts: Sequence[Post] = (),
        search_first: bool = False,
        question_id: str | None = None,
        asker: Person | None = None,
        patience: float = 600.0,
        rng: random.Random | None = None,
        on_stop: Callable[[], None] = lambda: None,
        grows: bool = True,
        change: Callable[[Block], Block] = lambda block: block,
        shown: ShownMessages | None = None,
    ) -> None:
        can = Capabilities.of(adapter)
        self._adapter = adapter
        self._on_stop = on_stop
        self._later = later
        self._clock = clock
        self._pace = ReplyPace(adapter, budget, clock, place)
        self._indicator = PendingIndicator(
            adapter, can.reacts, budget, place, question_id, is_shown=search_first
        )
        self._backoff = Backoff(patience, rng or random.Random())  # noqa: S311
        self._messages = ReplyMessages(
            adapter,
            can,
            clock,
            place,
            turn_id,
            record,
            posts,
            search=search_first,
            grows=grows,
            question_id=question_id,
            asker=asker,
            shown=shown,
        )
        self._layout = Layout(adapter.drawing, adapter.limits.max_size, change)
        self._is_reply = grows
        self._placeholder = ""
        self._markdown = ""
        self._wake = asyncio.Event()
        self._is_idle = False
        self._may_grow = self._may_post = True
        self.is_cut = False  # more was to be posted
        self._is_final = False
        self._is_leaving = False
        self._refused: tuple[int, PlatformRefused] | None = None  # the part, and why

    async def __aenter__(self) -> Self:
        if self._messages.by_part:
            self._pace.reserve()
        self._task = asyncio.create_task(self._deliver())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nobody waits for the allowance to remove a 👀; of a cancelled turn the next run does."""
        self._is_leaving = True
        self._wake.set()
        await asyncio.wait({self._task})
        await self._indicator.remove(patiently=False)
        if self._indicator.is_shown and kind is not asyncio.CancelledError:
            self._later(self._indicator.remove(patiently=True))
        try:
            self._task.result()
        except PlatformError as failure:
            logger.info("a reply was given up: %s", failure)

    def show_placeholder(self, text: str) -> None:
        """Shown while there is no text; changes only with spare allowance."""
        self._placeholder = text
        if self._is_idle:
            self._wake.set()

    def show(self, markdown: str) -> None:
        """The whole reply so far; never blocks."""
        if self._is_final:
            return
        is_first = not self._markdown
        self._markdown = markdown
        if self._is_idle or is_first:
            self._wake.set()

    async def finish(self, markdown: str, end: ReplyEnd | None = PLAIN_END) -> None:
        """The final text; returns when it is delivered, raises ``PlatformError`` if never.

        ``end`` is None where the reply ends with something else.
        """
        self._messages.end = end
        if not self._adapter.render(markdown).strip():
            raise ValueError("A reply must end with a visible text.")
        self._markdown = markdown
        self._is_final = True
        self._pace.finish()
        self._backoff.reset()
        self._wake.set()
        await asyncio.shield(self._task)
        if self._refused is not None:
            raise self._refused[1]

    def post_no_more(self) -> None:
        """``finish`` delivers as much as the messages hold that there are."""
        self._may_post = False
        self._messages.end = None
        self._wake.set()

    async def _deliver(self) -> None:
        try:
            while self._is_final or not self._is_leaving:
                call = self._next_call()
                if call is not None:
                    await self._make_when_due(call)
                elif self._is_final:
                    return
                else:
                    self._is_idle = True
                    await self._wake.wait()
                    self._is_idle = False
                    self._wake.clear()
        except (MessageGone, NotPermitted):
            if not self._is_final:  # nobody would see the rest
                self._on_stop()
            raise
        finally:
            self._pace.release()

    def _next_call(self) -> PlatformCall | None:
        if not (self._is_final or self._may_grow):
            return None
        texts = self._layout.parts(self._markdown, is_growing=not self._is_final)
        is_text = bool(texts)
        if not (is_text or self._is_final):
            placeholder = self._adapter.render(self._placeholder)
            texts = [placeholder] if placeholder.strip() else []
        if not self._may_post:
            most = max(1, len(self._messages.by_part))
            self.is_cut = len(texts) > most
            texts = texts[:most]
        if self._refused is not None:
            part, error = self._refused
            texts = [*texts[:part], self._adapter.render(refusal_for_people(error))]
        call = self._messages.call_to_show(texts, is_final=self._is_final, is_text=is_text)
        if call is None and self._is_final:
            return self._messages.call_to_tidy(len(texts))
        return call

    async def _make_when_due(self, call: PlatformCall) -> None:
        """Make the call with the text as it is by then; return early when the target changes."""
        due_at = self._pace.not_before(call, self._messages.by_part.get(call.part))
        seconds = max(self._backoff.retry_at, due_at) - self._clock.monotonic()
        if seconds > 0:
            await _first_of(self._clock.sleep(seconds), self._wake.wait())
            if self._wake.is_set():
                self._wake.clear()
                return
        permit = await self._permit_for(call)
        if permit is None:
            return
        try:
            fresh = self._next_call()
            if fresh is None or fresh.target != call.target:
                permit.refund()
            else:
                await self._make(fresh, permit)
        finally:
            permit.end()
        if self._messages.by_part and not self._is_final:
            await self._indicator.remove(patiently=False)

    async def _permit_for(self, call: PlatformCall) -> Permit | None:
        """Queue for the call; None if the text changed before the call was granted."""
        permit = self._pace.request(call)
        try:
            if permit.urgency is Urgency.OPEN and not permit.granted.is_set():
                await self._indicator.show()
            if not permit.granted.is_set():
                await _first_of(permit.granted.wait(), self._wake.wait())
        finally:
            if not permit.granted.is_set():
                self._wake.clear()
                permit.end()
        return permit if permit.granted.is_set() else None

    async def _make(self, call: PlatformCall, permit: Permit) -> None:
        self._pace.serve(permit)
        try:
            await self._messages.make(call)
        except RateLimited as error:
            permit.block(error.retry_after)
        except Unavailable as error:
            self._retry_later(call, error)
        except MessageTooLong as error:
            self._cut_smaller(call, error)
        except PlatformRefused as error:
            self._do_without(call, error)
        except ReplyStopped:
            self._may_grow = False
            self._on_stop()
        else:
            self._backoff.reset()
            self._pace.has_text |= call.is_text

    def _retry_later(self, call: PlatformCall, error: Unavailable) -> None:
        now = self._clock.monotonic()
        self._backoff.fail(now)
        if self._is_final and self._backoff.is_exhausted(now):
            raise error
        if call.method == "post" and error.ambiguous and not self._messages.search():
            self._may_grow = False

    def _cut_smaller(self, call: PlatformCall, error: MessageTooLong) -> None:
        if not call.is_text:
            self._placeholder = ""
        elif len(call.text) < _MIN_SIZE:
            raise error
        else:
            self._layout.shrink(call.part, len(call.text))

    def _do_without(self, call: PlatformCall, error: PlatformRefused) -> None:
        message = self._messages.by_part.get(call.part)
        is_edit = call.method == "edit" and message is not None
        is_old = is_edit and message is not None and message.is_inherited
        if is_edit and (self._refused or (is_old and not isinstance(error, TextRefused))):
            self._refused = None
            self._messages.abandon(call.part)
        elif not self._is_final:
            self._may_grow = False
        elif self._is_reply and self._refused is None:
            self._refused = call.part, error
            self._messages.end = PLAIN_END
        else:
            raise error


async def _first_of(*waits: Coroutine[Any, Any, object]) -> None:
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()

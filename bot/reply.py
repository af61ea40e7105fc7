"""ReplyEditor: a stream of text -> posts and edits that fit a platform.

The latest text wins, one call is in flight per reply, and the last edit always comes. The
one task that calls the platform is never cancelled: whoever is cancelled while it waits in
``finish`` leaves the call in flight, and the text, to that task.

What happens when a call fails:

- ``RateLimited``: wait as long as asked, then go on with the text as it is by then.
- ``Unavailable``: again after a growing pause; an edit may be repeated. A post that may
  have happened is looked for first where the platform can be asked (``FindsPosts``). Where
  it cannot, only the final text is posted again: an orphan may remain, nothing is lost.
- ``MessageTooLong``: that part is cut at half the size.
- ``PlatformRefused``: no more growth, but the final text is tried. A message of an earlier
  run that may not be changed any more is replaced by another one.
- ``MessageGone`` on an edit: somebody deleted the reply; nothing more is posted.
- ``NotPermitted``: nothing more is tried.
- ``ReplyStopped``: no more growth; ``on_stop`` is told, and the final text still comes.

``finish`` raises the last three, and ``Unavailable`` when patience is at its end.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any, Self

from bot.delivery.backoff import Backoff
from bot.delivery.layout import Layout
from bot.delivery.reply_messages import Record, ReplyMessages, Step
from bot.delivery.reply_pace import ReplyPace
from bot.delivery.stand_in import StandIn
from bot.errors import (
    MessageTooLong,
    PlatformError,
    PlatformRefused,
    RateLimited,
    ReplyStopped,
    Unavailable,
)
from bot.pacing import EditBudget, Permit, Urgency
from bot.ports import Adapter, Clock
from bot.types import Place, Post, Rendered, Source

logger = logging.getLogger(__name__)

_MIN_SIZE = 20
"""Rendered characters; a platform that refuses fewer refuses something else."""


class ReplyEditor:
    """One per turn; an async context manager around its one task.

    ``posts`` are the turn's messages from an earlier run, which are edited first.
    ``question_id`` is the message that carries the 👀 while a post has to wait.
    ``patience``: seconds for which ``finish`` goes on while the platform is out of reach.
    ``on_stop``: called when a person uses the platform's own stop. ``grows`` is False for
    what is no reply.
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
        posts: Sequence[Post] = (),
        search_first: bool = False,
        question_id: str | None = None,
        patience: float = 600.0,
        rng: random.Random | None = None,
        on_stop: Callable[[], None] = lambda: None,
        grows: bool = True,
    ) -> None:
        self._adapter = adapter
        self._on_stop = on_stop
        self._clock = clock
        self._pace = ReplyPace(adapter, budget, clock, place)
        self._stand_in = StandIn(adapter, budget, place, question_id, may_be_left=search_first)
        self._backoff = Backoff(patience, rng or random.Random())  # noqa: S311
        self._messages = ReplyMessages(
            adapter,
            clock,
            place,
            turn_id,
            record,
            posts,
            search=search_first,
            grows=grows,
            question_id=question_id,
        )
        self._layout = Layout(adapter.render, adapter.limits.max_size)
        self._placeholder = ""
        self._markdown = ""
        self._wake = asyncio.Event()
        self._is_idle = False
        self._may_grow = True
        self._is_final = False
        self._is_leaving = False

    async def __aenter__(self) -> Self:
        if len(self._messages):
            self._pace.reserve()
        self._task = asyncio.create_task(self._deliver())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_leaving = True
        self._wake.set()
        await asyncio.wait({self._task})
        await self._stand_in.remove(patiently=True)
        try:
            self._task.result()
        except PlatformError as failure:
            logger.info("a reply was given up: %s", failure)

    def wait(self, text: str) -> None:
        """What to show while there is no text; changes only with spare allowance."""
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

    async def finish(self, markdown: str, sources: Sequence[Source] = ()) -> None:
        """The final text; returns when it is delivered, raises ``PlatformError`` if never."""
        self._messages.cite(sources)
        if not self._adapter.render(markdown).strip():
            raise ValueError("A reply must end with a visible text.")
        self._markdown = markdown
        self._is_final = True
        self._pace.finish()
        self._backoff.reset()
        self._wake.set()
        await asyncio.shield(self._task)

    async def _deliver(self) -> None:
        try:
            while self._is_final or not self._is_leaving:
                step = self._next_step()
                if step is not None:
                    await self._take(step)
                elif self._is_final:
                    return
                else:
                    await self._idle()
        finally:
            self._pace.release()

    def _next_step(self) -> Step | None:
        if not (self._is_final or self._may_grow):
            return None
        texts = self._texts()
        step = self._messages.step_to_show(
            texts, is_final=self._is_final, is_text=not self._shows_placeholder
        )
        if step is None and self._is_final:
            return self._messages.step_to_tidy(len(texts))
        return step

    def _texts(self) -> list[Rendered]:
        texts = self._layout.parts(self._markdown)
        if texts or self._is_final:
            return texts
        placeholder = self._adapter.render(self._placeholder)
        return [placeholder] if placeholder.strip() else []

    @property
    def _shows_placeholder(self) -> bool:
        return not self._layout.parts(self._markdown)

    async def _idle(self) -> None:
        self._is_idle = True
        await self._wake.wait()
        self._is_idle = False
        self._wake.clear()

    async def _take(self, step: Step) -> None:
        """Make a call when it is time, with the text as it is by then."""
        if not await self._pause_until(self._not_before(step)):
            return
        permit = await self._permit_for(step)
        if permit is None:
            return
        try:
            fresh = self._next_step()
            if fresh is None or fresh.target != step.target:
                permit.refund()
            else:
                await self._call(fresh, permit)
        finally:
            permit.end()
        if len(self._messages) and not self._is_final:
            await self._stand_in.remove(patiently=False)

    async def _call(self, step: Step, permit: Permit) -> None:
        self._pace.serve(permit)
        is_text = not self._shows_placeholder
        try:
            await self._messages.take(step)
        except RateLimited as error:
            permit.block(error.retry_after)
        except Unavailable as error:
            self._retry_later(step, error)
        except MessageTooLong as error:
            self._cut_smaller(step, error)
        except PlatformRefused as error:
            self._do_without(step, error)
        except ReplyStopped:
            self._may_grow = False
            self._on_stop()
        else:
            self._backoff.reset()
            self._pace.has_text |= is_text

    def _retry_later(self, step: Step, error: Unavailable) -> None:
        now = self._clock.monotonic()
        self._backoff.fail(now)
        if self._is_final and self._backoff.is_exhausted(now):
            raise error
        if step.method == "post" and error.ambiguous and not self._messages.search():
            self._may_grow = False

    def _cut_smaller(self, step: Step, error: MessageTooLong) -> None:
        if not step.is_text:
            self._placeholder = ""
        elif len(step.text) < _MIN_SIZE:
            raise error
        else:
            self._layout.shrink(step.part, len(step.text))

    def _do_without(self, step: Step, error: PlatformRefused) -> None:
        message = self._messages.get(step.part)
        if step.method == "edit" and message and message.is_inherited:
            self._messages.abandon(step.part)
        elif self._is_final:
            raise error
        else:
            self._may_grow = False

    def _not_before(self, step: Step) -> float:
        message = self._messages.get(step.part)
        return max(self._backoff.retry_at, self._pace.not_before(step, message))

    async def _permit_for(self, step: Step) -> Permit | None:
        """Stand in line; None if what is wanted changed before it was our turn."""
        permit = self._pace.request(step, is_text=not self._shows_placeholder)
        try:
            if permit.urgency is Urgency.OPEN and not permit.granted.is_set():
                await self._stand_in.show()
            if not permit.granted.is_set():
                await _first_of(permit.granted.wait(), self._wake.wait())
        finally:
            if not permit.granted.is_set():
                self._wake.clear()
                permit.end()
        return permit if permit.granted.is_set() else None

    async def _pause_until(self, moment: float) -> bool:
        """False if what is wanted changed meanwhile."""
        seconds = moment - self._clock.monotonic()
        if seconds <= 0:
            return True
        await _first_of(self._clock.sleep(seconds), self._wake.wait())
        is_over = not self._wake.is_set()
        self._wake.clear()
        return is_over


async def _first_of(*waits: Coroutine[Any, Any, object]) -> None:
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()

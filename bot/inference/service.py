"""The async front of the engine: one loop that plans on the event loop and computes beside it.

Only ``Model.run`` leaves the event loop, to one worker. While it computes a step, the text
of the step before is published, so reading costs the model nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence as Items
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import Self

from bot.errors import EngineFailed, PromptTooLong, QueueFull
from bot.inference.failures import Failures
from bot.inference.grammar.formats import followed
from bot.inference.loops import LoopGuard
from bot.inference.model import Model, NoRoom, NotRestored
from bot.inference.parking import Parking, ParkingOptions
from bot.inference.prefill import PrefillBudget
from bot.inference.prompts import PromptEncoder
from bot.inference.reasoning import ReplyText
from bot.inference.replies import Replies
from bot.inference.reply import Reply
from bot.inference.scheduler import Scheduler
from bot.inference.sequence import Sequence, Step
from bot.inference.step_metrics import StepMetrics
from bot.inference.stream import GenerationStream
from bot.inference.waits import Waits
from bot.inference.worker import ModelWorker
from bot.metrics import Metrics
from bot.types import AnswerFormat, ChatMessage, FinishReason, GenerationRequest

logger = logging.getLogger(__name__)

_REST_SECONDS = 0.25
NO_PARKING = ParkingOptions()
_FAILED = "The model failed while it worked on this answer. Please ask again."
_NO_ROOM = "The model ran out of memory for this answer. Please ask something shorter."


class InferenceService:
    """``bot.ports.TextGenerator`` over one model. Enter it before use; it closes the model."""

    def __init__(
        self,
        model: Model,
        metrics: Metrics,
        *,
        max_running: int,
        max_waiting: int,
        parking: ParkingOptions = NO_PARKING,
        thread: ThreadPoolExecutor | None = None,
        loop_guard: bool = True,
    ) -> None:
        """``thread``: where several models compute in turn; without it, in one of its own.

        ``loop_guard`` False: no reply is ended for repeating itself, for comparisons.
        """
        self._model = model
        self._metrics = metrics
        self._work = asyncio.Event()
        self._parking = Parking(parking, metrics, self._work.set)
        self._loop_guard = loop_guard
        self._prefill = PrefillBudget(model.max_batch - max_running)
        self._scheduler = Scheduler(
            max_running=max_running,
            max_waiting=max_waiting,
            num_cells=model.num_cells,
            max_batch=model.max_batch,
            num_slots=model.num_slots,
            reuse=model.can_reuse,
            lot=self._parking.lot,
            limits_of=self._prefill.limits,
        )
        self._prompts = PromptEncoder(model)
        self._num_accepted = 0
        self._worked_at = float("-inf")
        self._step_metrics = StepMetrics(metrics, self._scheduler, model)
        self._waits = Waits(max_running)
        self._replies = Replies(metrics, self._waits, self._come_to_stop)
        self._failures = Failures()
        self._worker = ModelWorker(model, thread)
        self._tokenize = ThreadPoolExecutor(1, "parley-tokenizer")
        self._loop_task: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        return self._model.name

    @property
    def window(self) -> int:
        return self._model.window

    @property
    def num_waiting(self) -> int:
        return len(self._scheduler.waiting)

    @property
    def num_running(self) -> int:
        return len(self._scheduler.running)

    @property
    def is_healthy(self) -> bool:
        """False after three failures of the engine loop within a minute."""
        return not self._failures.are_many

    async def count(self, messages: Items[ChatMessage]) -> int:
        tokens, _ = await self._encode(messages)
        return len(tokens)

    async def generate(self, request: GenerationRequest) -> GenerationStream:
        """Queue a request; see ``TextGenerator.generate`` for what it raises."""
        if self._scheduler.is_full:
            raise QueueFull(self._waits.until(self.num_waiting))
        tokens, num_prefix = await self._encode(request.messages)
        grammar = await self._grammar(request.answer_format)
        if len(tokens) >= self.window:
            raise PromptTooLong(len(tokens), self.window - 1)
        self._end_warming(request)
        return self._queue(self._new_reply(request, tokens, num_prefix, grammar))

    async def warm(self, request: GenerationRequest) -> None:
        """See ``bot.ports.Warming``; does nothing where there is no room in the queue."""
        tokens, num_prefix = await self._encode(request.messages)
        if len(tokens) >= self.window or self._scheduler.is_full:
            return
        reply = self._new_reply(replace(request, max_tokens=0), tokens, num_prefix, None)
        reply.sequence.is_background = True
        self._metrics.warmed.inc()
        stream = self._queue(reply)
        try:
            async for _ in stream:
                pass
        finally:
            stream.cancel()

    def _queue(self, reply: Reply) -> GenerationStream:
        self._scheduler.add(reply.sequence, retry_after=self._waits.until(self.num_waiting))
        self._replies.add(reply)
        self._tell_places()
        self._work.set()
        return reply.stream

    async def forget(self, thread: str, scope: str) -> None:
        self._scheduler.forget(scope, thread)
        self._work.set()
        await self._parking.until_gone()

    async def forget_parked(self, before: datetime) -> None:
        """States that were parked earlier and not used since are deleted."""
        await self._parking.forget_before(before)

    def share_parking(self, num_in_memory: int, num_on_disk: int) -> None:
        """So many models have the memory and the disk for idle threads, each as much as others."""
        self._parking.share(num_in_memory, num_on_disk)

    def _end_warming(self, request: GenerationRequest) -> None:
        """Its thread speaks: what is evaluated so far stays, and the question goes on from it."""
        for reply in self._replies:
            sequence = reply.sequence
            is_same = (sequence.scope, sequence.thread) == (request.scope, request.thread)
            if sequence.is_background and is_same:
                self._scheduler.finish(sequence, FinishReason.CANCELLED)
                self._replies.conclude(sequence)

    def _new_reply(
        self, request: GenerationRequest, tokens: list[int], num_prefix: int, grammar: str | None
    ) -> Reply:
        self._num_accepted += 1
        sequence = Sequence(
            id=self._num_accepted,
            person=request.person,
            tokens=tokens,
            max_tokens=min(request.max_tokens, self.window - len(tokens)),
            sampling=request.sampling,
            scope=request.scope,
            thread=request.thread,
            num_prefix=num_prefix,
            grammar=grammar,
        )
        if self._loop_guard and request.loop_guard:
            sequence.guard = LoopGuard(self._model.piece)
        stream = GenerationStream(lambda: self._cancel(sequence))
        text = ReplyText(request.stop, self._model.open_tag)
        return Reply(sequence, stream, text, self._model.piece, time.monotonic())

    async def _encode(self, messages: Items[ChatMessage]) -> tuple[list[int], int]:
        if self._loop_task is None or self._loop_task.done():
            raise EngineFailed("The model is not running. Please ask again in a minute.")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._tokenize, self._prompts.encode, messages)

    async def _grammar(self, answer_format: AnswerFormat | None) -> str | None:
        """Written and tried beside the event loop: a large schema takes a while."""
        if answer_format is None:
            return None
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._tokenize, followed, answer_format, self._model.can_follow
        )

    def _cancel(self, sequence: Sequence) -> None:
        self._metrics.cancelled.inc()
        self._scheduler.finish(sequence, FinishReason.CANCELLED)
        self._replies.conclude(sequence)
        self._tell_places()
        self._work.set()

    async def _run(self) -> None:
        while True:
            try:
                await self._step()
            except Exception:  # the engine loop never dies quietly
                logger.exception("the engine loop failed and is restarted")
                self._recover()
                await self._failures.take()

    async def _step(self) -> None:
        if not self.num_running and time.monotonic() - self._worked_at >= _REST_SECONDS:
            self._scheduler.rest()
        step = self._scheduler.plan()
        self._parking.fetch()
        if step is None:
            self._replies.publish()
            await self._work.wait()
            self._work.clear()
            return
        computing = self._worker.begin(step)
        if step.opens:
            self._tell_places()
        self._replies.publish()
        try:
            sampled, seconds = await computing
        except NoRoom:
            self._parking.settle(step)
            self._replies.fail(self._scheduler.undo(step), _NO_ROOM)
            return
        except NotRestored as refusal:
            self._parking.settle(step, refusal.slots)
            self._scheduler.begin_again(step, refusal.slots)
            return
        seconds -= self._parking.settle(step)
        self._replies.advance(self._scheduler.apply(step, sampled, self._model.is_end))
        self._observe(step, seconds)

    def _come_to_stop(self, sequence: Sequence) -> None:
        self._scheduler.finish(sequence, FinishReason.STOP)
        self._work.set()

    def _observe(self, step: Step, seconds: float) -> None:
        self._worked_at = time.monotonic()
        self._prefill.observe(step, seconds)
        self._parking.lot.pace.evaluated(step, seconds)
        self._step_metrics.observe(step, seconds)

    def _tell_places(self) -> None:
        self._replies.tell_places(self._scheduler.waiting)

    def _recover(self) -> None:
        """Fail what was running; the model's memory starts afresh, and the queue stays."""
        self._metrics.engine_restarts.inc()
        self._replies.fail(self._scheduler.lose_everything(), _FAILED)
        self._parking.lose_unsaved()
        self._worker.is_sound = False

    async def __aenter__(self) -> Self:
        try:
            await self._parking.open(self._model, self._worker)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        self._loop_task = asyncio.create_task(self._run(), name="parley-engine")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._loop_task:
            self._loop_task.cancel()
            await asyncio.wait([self._loop_task])
        for reply in self._replies:
            self._scheduler.finish(reply.sequence, FinishReason.CANCELLED)
            self._replies.conclude(reply.sequence)
        await self._parking.close(self._scheduler, self._worker)
        self._metrics.resident_threads.set(0)
        await asyncio.to_thread(self._shut_down)

    def _shut_down(self) -> None:
        self._tokenize.shutdown()
        self._worker.shutdown()
        self._model.close()

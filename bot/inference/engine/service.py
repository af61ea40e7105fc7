"""InferenceService: the engine loop of one model, with its metrics and its restarts.

Planning and output run on the event loop; only ``Model.run`` runs on a worker. While the
worker runs a step, the loop emits the tokens of the step before and, where that is certain, plans
the one after, so the model waits neither for the output nor for the plan.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import Self, TypeVar

from bot.errors import EngineFailed, PromptTooLong, QueueFull
from bot.generation import FinishReason, GenerationRequest
from bot.inference.core.model import Model, NoRoom, NotRestored
from bot.inference.core.sequence import Sequence, Step
from bot.inference.core.vocabulary import TextCodec, Tokenizing
from bot.inference.engine.intake import Intake
from bot.inference.engine.offloading import Offloading, OffloadOptions
from bot.inference.engine.replies import QueueEstimates, Replies, Reply
from bot.inference.engine.step_metrics import StepMetrics
from bot.inference.engine.worker import Computed, ModelWorker, StepAhead
from bot.inference.scheduling.model_drafts import ModelDrafts
from bot.inference.scheduling.prefill_budget import PrefillBudget
from bot.inference.scheduling.prompt_lookup import PromptLookup
from bot.inference.scheduling.scheduler import Scheduler
from bot.inference.scheduling.speculation import Speculation
from bot.inference.scheduling.stats import SchedulerStats
from bot.metrics import Metrics
from bot.stream import GenerationStream

logger = logging.getLogger(__name__)

T = TypeVar("T")

NO_OFFLOAD = OffloadOptions()

_REST_SECONDS = 0.25
_MAX_FAILURES, _FAILURE_SECONDS = 3, 60.0
_PAUSE_SECONDS = 1.0
_MAX_STEP_SECONDS = 300.0

_NOT_RUNNING = "The model is not running. Please ask again in a minute."
_FAILED = "The model failed while it worked on this answer. Please ask again."
_NO_ROOM = "The model ran out of memory for this answer. Please ask something shorter."


class Failures:
    """Failures of the engine loop.

    After three within a minute ``/readyz`` turns red and the loop pauses before each restart.
    """

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=_MAX_FAILURES)

    @property
    def are_many(self) -> bool:
        if len(self._times) < _MAX_FAILURES:
            return False
        return time.monotonic() - self._times[0] <= _FAILURE_SECONDS

    def note(self) -> None:
        self._times.append(time.monotonic())

    async def pause(self) -> None:
        """Keeps a loop that always fails from filling the log and from using a whole core."""
        await asyncio.sleep(_PAUSE_SECONDS if self.are_many else 0)


class InferenceService(Tokenizing):
    """``bot.ports.TextGenerator`` over one model. Enter it before use; it closes the model."""

    def __init__(
        self,
        model: Model,
        metrics: Metrics,
        *,
        max_running: int,
        max_waiting: int,
        offloading: OffloadOptions = NO_OFFLOAD,
        thread: ThreadPoolExecutor | None = None,
        loop_guard: bool = True,
        speculates: bool = False,
    ) -> None:
        """``thread`` runs the steps; several models may share one. None: an own thread.

        Without ``loop_guard`` no reply ends because it repeats itself; benchmarks need that.
        ``speculates``: a step may evaluate several tokens of a reply (see Speculation), if the
        model can remove those that it does not say.
        """
        self._model = model
        self._metrics = metrics
        self._work = asyncio.Event()
        self._awaited: StepAhead | None = None
        self._ahead: StepAhead | None = None
        self._offloading = Offloading(offloading, metrics, self._wake)
        self._prefill = PrefillBudget(model.max_batch - max_running)
        self._speculation: Speculation | None = None
        self._model_drafts: ModelDrafts | None = None
        if speculates and model.can_reuse:
            self._speculation = Speculation(PromptLookup(), self._prefill.costs.decode)
            self._model_drafts = ModelDrafts(self._speculation.costs) if model.can_draft else None
        self._scheduler = Scheduler(
            max_running=max_running,
            max_waiting=max_waiting,
            num_cells=model.num_cells,
            max_batch=model.max_batch,
            num_slots=model.num_slots,
            reuse=model.can_reuse,
            saved_states=self._offloading.saved_states,
            limits_of=self._prefill.limits,
            lanes=model.lanes,
            window=model.window,
            pass_cells=model.pass_cells,
            speculation=self._speculation,
            model_drafts=self._model_drafts,
            flash_prefill=model.flash_prefill,
        )
        self._intake = Intake(model, self._cancel, loop_guard=loop_guard)
        self._worked_at = float("-inf")
        self._step_metrics = StepMetrics(metrics, self._scheduler, model)
        self._estimates = QueueEstimates(max_running)
        self._replies = Replies(metrics, self._estimates, self._finish_at_stop)
        self._failures = Failures()
        self._worker = ModelWorker(model, thread)
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
        """False when the engine loop has ended, has failed three times within a minute, or waits
        for a step that takes so long that it will not end.
        """
        is_stuck = self._worker.seconds > _MAX_STEP_SECONDS
        return self._is_running and not self._failures.are_many and not is_stuck

    @property
    def _is_running(self) -> bool:
        return self._loop_task is not None and not self._loop_task.done()

    async def read_vocabulary(self, work: Callable[[TextCodec], T]) -> T:
        self._check_running()
        return await self._intake.read(work)

    async def generate(self, request: GenerationRequest) -> GenerationStream:
        """Queue a request; see ``TextGenerator.generate`` for what it raises."""
        if self._scheduler.is_full:
            raise QueueFull(self._estimates.until(len(self._scheduler.waiting)))
        self._check_running()
        reply = await self._intake.take(request)
        self._end_warming(request.scope, request.thread)
        return self._queue(reply)

    async def warm(self, request: GenerationRequest) -> None:
        """See ``bot.ports.Warming``. Does nothing when the queue is full."""
        self._check_running()
        try:
            reply = await self._intake.take(
                replace(request, max_tokens=0, answer_format=None, tool_use=None)
            )
        except PromptTooLong:
            return
        if reply.sequence.is_forgotten or self._scheduler.is_full:
            return
        reply.sequence.is_background = True
        self._metrics.warmed.inc()
        stream = self._queue(reply)
        try:
            async for _ in stream:
                pass
        finally:
            stream.cancel()

    def _check_running(self) -> None:
        if not self._is_running:
            raise EngineFailed(_NOT_RUNNING)

    def _queue(self, reply: Reply) -> GenerationStream:
        self._check_running()  # the loop may have ended while the request was encoded
        retry_after = self._estimates.until(len(self._scheduler.waiting))
        self._scheduler.add(reply.sequence, retry_after=retry_after)
        self._replies.add(reply)
        self._replies.tell_places(self._scheduler.waiting)
        self._wake()
        return reply.stream

    async def forget(self, thread: str, scope: str) -> None:
        self._intake.forget(scope, thread)
        self._end_warming(scope, thread)
        self._scheduler.forget(scope, thread)
        self._wake()
        await self._offloading.until_gone()

    async def forget_saved(self, before: datetime) -> None:
        """Delete saved states that were last used before that time."""
        await self._offloading.forget_before(before)

    def share_offload_space(self, num_in_memory: int, num_on_disk: int) -> None:
        """See ``Offloading.share``."""
        self._offloading.share(num_in_memory, num_on_disk)

    def _end_warming(self, scope: str, thread: str | None) -> None:
        """Cancel the warming of this thread; its next request reuses what is evaluated so far."""
        for reply in self._replies:
            sequence = reply.sequence
            is_same = (sequence.scope, sequence.thread) == (scope, thread)
            if sequence.is_warming and is_same:
                self._scheduler.finish(sequence, FinishReason.CANCELLED)
                self._replies.conclude(sequence)

    def _cancel(self, sequence: Sequence) -> None:
        self._metrics.cancelled.inc()
        self._scheduler.finish(sequence, FinishReason.CANCELLED)
        self._replies.conclude(sequence)
        self._replies.tell_places(self._scheduler.waiting)
        self._wake()

    async def _run(self) -> None:
        while True:
            try:
                await self._step()
            except Exception:  # the engine loop never dies quietly
                logger.exception("the engine loop failed and is restarted")
                self._failures.note()
                await self._recover()
                await self._failures.pause()

    async def _step(self) -> None:
        if not self._scheduler.running and time.monotonic() - self._worked_at >= _REST_SECONDS:
            self._scheduler.rest()
        self._awaited = ahead = self._take_ahead()
        if ahead is not None:
            await self._compute(ahead.step, ahead.computing)
            return
        step = self._scheduler.plan()
        self._offloading.fetch()
        if step is None:
            self._publish()
            await self._work.wait()
            self._work.clear()
            return
        computing = self._worker.begin(step)
        if step.opens:
            self._replies.tell_places(self._scheduler.waiting)
        await self._compute(step, computing)

    async def _compute(self, step: Step, computing: Awaitable[Computed | None]) -> None:
        self._publish()
        if following := self._scheduler.plan_ahead(step):
            self._ahead = self._worker.begin_ahead(following)
        try:
            computed = await computing
        except NoRoom:
            self._take_back_ahead()
            self._offloading.settle(step)
            self._replies.fail(self._scheduler.undo(step), _NO_ROOM)
            return
        except NotRestored as refusal:
            self._take_back_ahead()
            self._offloading.settle(step, refusal.slots)
            self._scheduler.begin_again(step, refusal.slots)
            return
        if computed is None:
            self._take_back_ahead()
            self._scheduler.take_back(step)
            return
        sampled, seconds = computed
        seconds -= self._offloading.settle(step) + step.draft_seconds
        self._replies.advance(self._scheduler.apply(step, sampled, self._model.is_end))
        self._observe(step, seconds)

    def _take_ahead(self) -> StepAhead | None:
        ahead, self._ahead = self._ahead, None
        return ahead

    def _take_back_ahead(self) -> None:
        """The step before was not computed, and so the worker does not compute this one."""
        if ahead := self._take_ahead():
            self._scheduler.take_back(ahead.step)

    def _wake(self) -> None:
        """Plan the next step anew: what it should do has changed.

        One that is awaited may not have begun, behind the step of another model.
        """
        self._work.set()
        for ahead in filter(None, (self._awaited, self._ahead)):
            ahead.withdraw()

    def _publish(self) -> None:
        """Tell of the step before, while the next one is computed."""
        self._step_metrics.publish()
        self._replies.publish()

    def _finish_at_stop(self, sequence: Sequence) -> None:
        self._scheduler.finish(sequence, FinishReason.STOP)
        self._wake()

    def _observe(self, step: Step, seconds: float) -> None:
        self._worked_at = time.monotonic()
        stats = self._scheduler.stats
        if not step.moves:
            self._learn(step, seconds, stats)
        self._step_metrics.note(step, seconds, stats)

    def _learn(self, step: Step, seconds: float, stats: SchedulerStats) -> None:
        """What tokens cost; of a step in which sequences moved that is not known."""
        self._prefill.observe(step, seconds, stats.num_cells_attended)
        if self._speculation is not None:
            self._speculation.observe(step, seconds)
        if self._model_drafts is not None:
            self._model_drafts.observe(step)
        self._offloading.saved_states.costs.evaluated(step, seconds)

    async def _recover(self) -> None:
        """Fail all running sequences and reset the model; the queue is kept."""
        self._metrics.engine_restarts.inc()
        self._take_ahead()
        await self._worker.until_idle()  # a step that still runs would write into the new pool
        self._worker.is_sound = False
        try:
            self._fail_running()
        except Exception:  # every reply must end, whatever is broken
            logger.exception("the engine gives up every question")
            self._scheduler.lose_everything()
            self._scheduler.lose_waiting()
            self._replies.cut_off(_FAILED)

    def _fail_running(self) -> None:
        failed = self._scheduler.lose_everything()
        if not failed and self._failures.are_many:  # the first queued sequence may be the cause
            self._scheduler.lose_waiting(1)
        self._replies.end_finished(_FAILED)
        self._offloading.lose_unsaved()

    def _on_loop_end(self, loop_task: asyncio.Task[None]) -> None:
        """Fail every reply, since the engine loop has ended by itself."""
        if loop_task.cancelled():  # by ``__aexit__``
            return
        logger.critical("the engine loop has ended", exc_info=loop_task.exception())
        self._worker.is_sound = False
        self._replies.cut_off(_NOT_RUNNING)

    async def __aenter__(self) -> Self:
        try:
            await self._offloading.open(self._model, self._worker)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        self._loop_task = asyncio.create_task(self._run(), name="parley-engine")
        self._loop_task.add_done_callback(self._on_loop_end)
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
        try:
            for reply in self._replies:
                self._scheduler.finish(reply.sequence, FinishReason.CANCELLED)
                self._replies.conclude(reply.sequence)
            await self._offloading.close(self._scheduler, self._worker)
        finally:
            self._replies.cut_off(_NOT_RUNNING)
            self._metrics.resident_threads.set(0)
            await asyncio.to_thread(self._shut_down)

    def _shut_down(self) -> None:
        self._intake.close()
        self._worker.shutdown()
        self._model.close()

"""A reply that is made of several calls of engines, as one stream."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from functools import partial

from bot.errors import ANSWER_FAILED
from bot.generation import (
    Delta,
    Finished,
    FinishReason,
    GenerationRequest,
    Progress,
    Usage,
    joint_usage,
)
from bot.ports import EngineGeneration
from bot.stream import GenerationStream

logger = logging.getLogger(__name__)


class JoinedReply:
    """``stream`` has what people see of it; when that ends, all calls end.

    Its usage is the sum over all calls. Its time in the queue is that of the first. ``model``: who
    answers, where that is not the model that was asked.
    """

    def __init__(self) -> None:
        self.stream = GenerationStream(self._cancel)
        self.model = ""
        self._calls: list[EngineGeneration] = []
        self._ended: dict[int, Finished] = {}
        self._task: asyncio.Task[None] | None = None

    def follow(self, call: EngineGeneration) -> EngineGeneration:
        """The call belongs to the reply from now on."""
        number = len(self._calls)
        self._calls.append(call)
        call.when_finished(partial(self._ended.__setitem__, number))
        return call

    def begin(self, work: Coroutine[None, None, None]) -> GenerationStream:
        """Fill the stream by ``work``, which calls ``finish`` last, or fails the stream."""
        self._task = asyncio.create_task(work, name="parley-strategy")
        self._task.add_done_callback(self._end)
        return self.stream

    def say(self, text: str) -> None:
        self.stream.put(Delta(text))

    def tell(self, text: str) -> None:
        """What is done now, while there is no text yet."""
        self.stream.put(Progress(text))

    def finish(self, reason: FinishReason, detail: str = "", num_repeated: int = 0) -> None:
        first = self._ended.get(0)
        queue_seconds = first.queue_seconds if first else None
        self.stream.put(
            Finished(reason, self._usage, detail, num_repeated, queue_seconds, self.model)
        )

    @property
    def _usage(self) -> Usage:
        return joint_usage([self._ended[number].usage for number in sorted(self._ended)], 1)

    def _cancel(self) -> None:
        self._end_calls()
        self.finish(FinishReason.CANCELLED)
        if self._task is not None:
            self._task.cancel()

    def _end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            logger.error("a strategy failed", exc_info=error)
        self._end_calls()
        if not self.stream.is_finished:
            self.finish(FinishReason.ERROR, ANSWER_FAILED)

    def _end_calls(self) -> None:
        for call in self._calls:
            call.cancel()


def is_plain(request: GenerationRequest) -> bool:
    """Whether the reply is text that may consist of several answers.

    A raw prompt has no messages to add to; a format, tools or probabilities hold for one answer.
    """
    is_text = request.answer_format is None and request.tool_use is None
    return bool(request.messages) and is_text and request.num_logprobs is None

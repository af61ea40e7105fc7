"""A reply from a model that must be loaded first."""

from __future__ import annotations

import asyncio
import logging

from bot.errors import ModelError, ParleyError
from bot.generation import Finished, FinishReason, GenerationRequest, Queued
from bot.inference.multi_model.loaded_model import LoadedModel
from bot.metrics import Metrics
from bot.stream import GenerationStream

logger = logging.getLogger(__name__)

_DEFECT = "The model {} failed while it took this question."


def why_unusable(model: str, error: ModelError) -> str:
    """A sentence for people; the error itself, which names files and settings, is logged."""
    logger.error("the model %s cannot be used: %s", model, error)
    return f"The model {model} could not be loaded."


class Relay:
    """``stream`` first emits ``Queued`` with the model's name, then the events of the model."""

    def __init__(self, loaded: LoadedModel, request: GenerationRequest, metrics: Metrics) -> None:
        self._loaded = loaded
        self._request = request
        self._metrics = metrics
        self._task: asyncio.Task[None] | None = None
        self._inner: GenerationStream | None = None
        self.stream = loaded.follow(GenerationStream(self._cancel))
        self.stream.put(Queued(1, loading=loaded.name))

    def start(self, task: asyncio.Task[None]) -> None:
        self._task = task
        task.add_done_callback(self._end)

    async def run(self) -> None:
        try:
            service = await asyncio.shield(self._loaded.opened)
            self._inner = await service.generate(self._request)
            async for event in self._inner:
                self.stream.put(event)
        except ModelError as error:
            detail = why_unusable(self._loaded.name, error)
            self.stream.put(Finished(FinishReason.ERROR, detail=detail))
        except ParleyError as error:
            self.stream.put(Finished(FinishReason.ERROR, detail=str(error)))

    def _cancel(self) -> None:
        if self._inner:
            self._inner.cancel()  # ``run`` emits the text so far and the last event
        elif self._task:
            self._metrics.cancelled.inc()
            self._task.cancel()

    def _end(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            last = Finished(FinishReason.CANCELLED)
        else:
            last = Finished(FinishReason.ERROR, detail=_DEFECT.format(self._loaded.name))
            if defect := task.exception():
                logger.error("a question could not be passed on", exc_info=defect)
        if not self.stream.is_finished:
            self.stream.put(last)

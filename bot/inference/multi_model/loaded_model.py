"""A model from the first request for it until it is unloaded."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from bot.errors import EngineFailed
from bot.inference.engine.service import InferenceService
from bot.stream import GenerationStream


class LoadedModel:
    """A model that is loaded or being loaded.

    ``num_users`` calls use it or wait for it. ``used_at`` orders models by their last use.
    ``opened`` is done when the model is loaded, or failed to load.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.num_users = 0
        self.used_at = 0
        self.num_bytes = 0
        self.opened: asyncio.Future[InferenceService] = asyncio.get_running_loop().create_future()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def service(self) -> InferenceService:
        if not self.is_open:
            raise EngineFailed(f"The model {self.name} is not loaded. Please ask again.")
        return self.opened.result()

    @property
    def is_open(self) -> bool:
        done = self.opened.done() and not self.opened.cancelled()
        return done and self.opened.exception() is None

    def enter(self) -> None:
        self.num_users += 1
        self._idle.clear()

    def leave(self) -> None:
        self.num_users -= 1
        if not self.num_users:
            self._idle.set()

    @contextmanager
    def used(self) -> Iterator[None]:
        self.enter()
        try:
            yield
        finally:
            self.leave()

    def follow(self, stream: GenerationStream) -> GenerationStream:
        """The model counts as used until the stream has finished."""
        self.enter()
        stream.when_finished(lambda _: self.leave())
        return stream

    async def until_idle(self) -> None:
        await self._idle.wait()

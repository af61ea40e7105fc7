"""The text generator over several models: each in its own context, scheduler and worker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self

from bot.errors import EngineFailed, ModelDied, ModelError, ParleyError
from bot.inference.core.model import Model
from bot.inference.core.stream import GenerationStream
from bot.inference.engine.service import InferenceService
from bot.inference.multi_model.loaded_model import LoadedModel
from bot.inference.multi_model.outlines import Outline, Outlines
from bot.inference.multi_model.relay import Relay, why_unusable
from bot.inference.state_store.folders import StateFolders
from bot.metrics import Metrics
from bot.types import ChatMessage, GenerationRequest


def fits(loaded: Iterable[LoadedModel], num_bytes: int, budget: int) -> bool:
    return sum(loaded.num_bytes for loaded in loaded) + num_bytes <= budget


def next_to_leave(loaded: Iterable[LoadedModel]) -> LoadedModel | None:
    """The least recently used of the idle; if none is idle, of all: it ends its replies first."""
    return min(loaded, key=lambda loaded: (loaded.num_users > 0, loaded.used_at), default=None)


logger = logging.getLogger(__name__)

_NOT_RUNNING = "The model is not running. Please ask again in a minute."


_ByService = Callable[[InferenceService], Awaitable[None]]
_OnDisk = Callable[[Collection[str]], None]
"""Takes the models that are loaded, whose threads it must not touch."""


class Loader(Protocol):
    """How models come into memory. What it does blocks, and raises ``ModelError``."""

    @property
    def sources(self) -> Mapping[str, str]:
        """Name -> where the model is; it may change while Parley runs."""
        ...

    def outline(self, source: str) -> Outline: ...
    def check(self, source: str) -> None:
        """In no time: whether the model is known to die of its load."""
        ...

    def load(self, source: str, name: str) -> tuple[Model, int]:
        """The model, and the bytes of memory that it takes."""
        ...

    def serve(self, model: Model) -> InferenceService: ...


class Fleet:
    """``bot.ports.TextGenerator`` and ``HasModels``. Entering loads the ``default`` model.

    A model is loaded when somebody asks for it. Loads go one after the other in the order in
    which they were wanted, so who waits for a model is served though another is always busy:
    the one that has to leave takes no new questions, ends those that it has, and goes.
    """

    def __init__(
        self,
        default: str,
        loader: Loader,
        metrics: Metrics,
        *,
        budget: int,
        state_folders: StateFolders,
    ) -> None:
        """``budget``: bytes for models. ``state_folders``: their saved states on disk."""
        self._default = default
        self._loader = loader
        self._state_folders = state_folders
        self._metrics = metrics
        self._budget = budget
        self._outlines = Outlines(lambda: loader.sources, loader.outline)
        self._stays: dict[str, LoadedModel] = {}
        self._loaded: list[LoadedModel] = []
        self._num_uses = 0
        self._one_by_one = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._promised: set[asyncio.Task[None]] = set()
        self._is_open = False
        self._window = 0

    @property
    def name(self) -> str:
        return self._default

    @property
    def window(self) -> int:
        return self._window

    @property
    def names(self) -> tuple[str, ...]:
        """The default first."""
        return tuple(dict.fromkeys((self._default, *self._outlines.names)))

    @property
    def loaded(self) -> tuple[str, ...]:
        return tuple(loaded.name for loaded in self._loaded)

    @property
    def is_healthy(self) -> bool:
        return self._is_open and all(loaded.service.is_healthy for loaded in self._loaded)

    async def model(self, name: str) -> FleetModel:
        """One of the models. Raises ``EngineFailed`` where it is gone or broken."""
        if name == self._default:
            return FleetModel(self, name, self.window)
        try:
            return FleetModel(self, name, (await self._outlines.get(name)).window)
        except ModelError as error:
            raise EngineFailed(why_unusable(name, error)) from error

    async def count(self, messages: Sequence[ChatMessage]) -> int:
        return await self.count_for(self._default, messages)

    async def count_for(self, name: str, messages: Sequence[ChatMessage]) -> int:
        loaded = self._stays.get(name)
        if loaded is None or not loaded.is_open:
            return await self._outlines.count(name, messages)
        with loaded.used():
            return await loaded.service.count(messages)

    async def generate(self, request: GenerationRequest) -> GenerationStream:
        """By ``request.model``; the stream says ``Queued`` while that one is being loaded."""
        loaded = self._stay(request.model or self._default)
        if not loaded.is_open:
            return self._generate_later(loaded, request)
        with loaded.used():
            return loaded.follow(await loaded.service.generate(request))

    async def forget(self, thread: str, scope: str) -> None:
        """By every model, loaded or not."""
        await self._everywhere(
            lambda service: service.forget(thread, scope),
            lambda but: self._state_folders.forget(scope, thread, but),
        )

    async def forget_saved(self, before: datetime) -> None:
        """States that were parked earlier and not used since are deleted."""
        await self._everywhere(
            lambda service: service.forget_saved(before),
            lambda but: self._state_folders.forget_before(before.timestamp(), but),
        )

    async def _everywhere(self, by: _ByService, on_disk: _OnDisk) -> None:
        """While a model comes or goes the others do it, and all when that is over, at the latest
        at the end.
        """
        if self._one_by_one.locked():
            await self._by_loaded(by)
            task = self._spawn(self._in_peace(by, on_disk))
            self._promised.add(task)
            task.add_done_callback(self._promised.discard)
        else:
            await self._in_peace(by, on_disk)

    async def _in_peace(self, by: _ByService, on_disk: _OnDisk) -> None:
        """No model comes or goes meanwhile."""
        async with self._one_by_one:
            await self._by_loaded(by)
            await asyncio.to_thread(on_disk, self.loaded)

    async def _by_loaded(self, by: _ByService) -> None:
        for loaded in tuple(self._loaded):
            with loaded.used():
                await by(loaded.service)

    async def warm(self, request: GenerationRequest) -> None:
        """Only where the model is loaded: it is not worth a load."""
        loaded = self._stays.get(request.model or self._default)
        if loaded and loaded.is_open:
            with loaded.used():
                await loaded.service.warm(request)

    def _stay(self, name: str) -> LoadedModel:
        """The model's stay in memory, wished for if there is none."""
        if not self._is_open:
            raise EngineFailed(_NOT_RUNNING)
        if name not in self._stays:
            self._stays[name] = LoadedModel(name)
            self._spawn(self._open(self._stays[name]))
        self._num_uses += 1
        self._stays[name].used_at = self._num_uses
        return self._stays[name]

    def _generate_later(self, loaded: LoadedModel, request: GenerationRequest) -> GenerationStream:
        relay = Relay(loaded, request, self._metrics)
        relay.start(self._spawn(relay.run()))
        return relay.stream

    async def _open(self, loaded: LoadedModel) -> None:
        try:
            async with self._one_by_one:
                if not loaded.num_users:
                    raise EngineFailed(f"Nobody waits for the model {loaded.name} any more.")
                service = await self._load(loaded)
                self._loaded.append(loaded)
                loaded.opened.set_result(service)
                self._count_loaded()
        except ParleyError as error:
            self._give_up(loaded, error)
        except Exception:  # one load never takes others down, nor the next of its model
            logger.exception("the model %s could not be loaded", loaded.name)
            self._give_up(loaded, ModelError(f"The model {loaded.name} could not be loaded."))
        finally:
            loaded.opened.cancel()  # nothing, unless it is not done yet

    def _give_up(self, loaded: LoadedModel, error: ParleyError) -> None:
        """Whoever asks for the model from now on has it loaded anew."""
        del self._stays[loaded.name]
        loaded.opened.set_exception(error)
        loaded.opened.exception()  # told to whoever waits, if anybody still does

    async def _load(self, loaded: LoadedModel) -> InferenceService:
        """Others leave until there is room; loading itself runs beside what they compute."""
        source = self._outlines.source(loaded.name)
        if self._loaded:
            await asyncio.to_thread(self._loader.check, source)  # before others leave for it
            needed = (await self._outlines.get(loaded.name)).needed_bytes
            while not fits(self._loaded, needed, self._budget):
                if not await self._unload_one():
                    break
        model, loaded.num_bytes = await self._load_with_room(source, loaded.name)
        if self._loaded:  # the first one the banner tells
            logger.info("the model %s is loaded", loaded.name)
        self._metrics.model_loads.inc()
        return await self._loader.serve(model).__aenter__()

    async def _load_with_room(self, source: str, name: str) -> tuple[Model, int]:
        """What is free, above all on a GPU, is known in the end by trying."""
        while True:
            try:
                return await asyncio.to_thread(self._loader.load, source, name)
            except ModelDied:
                raise
            except (ModelError, MemoryError):
                if not await self._unload_one():
                    raise

    async def _unload_one(self) -> bool:
        """False if nobody is left. Who asks for that model from now on waits for a new stay."""
        loaded = next_to_leave(self._loaded)
        if loaded is None:
            return False
        self._stays.pop(loaded.name, None)
        await loaded.until_idle()
        self._loaded.remove(loaded)
        await loaded.service.__aexit__(None, None, None)
        logger.info("the model %s is unloaded", loaded.name)
        self._metrics.model_unloads.inc()
        self._count_loaded()
        return True

    def _count_loaded(self) -> None:
        """They share what there is for idle threads."""
        self._metrics.models_loaded.set(len(self._loaded))
        for loaded in self._loaded:
            loaded.service.share_offload_space(len(self._loaded), len(self._state_folders) or 1)

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name="parley-fleet")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def __aenter__(self) -> Self:
        self._is_open = True
        try:
            loaded = self._stay(self._default)
            with loaded.used():
                self._window = (await asyncio.shield(loaded.opened)).window
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_open = False
        for task in (tasks := list(self._tasks)):
            if task not in self._promised:
                task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for loaded in self._loaded:
            await loaded.service.__aexit__(kind, error, traceback)
        self._loaded.clear()
        self._outlines.close()


@dataclass(frozen=True, slots=True)
class FleetModel:
    """``bot.ports.TextGenerator``: one model of a fleet, loaded or not."""

    fleet: Fleet
    name: str
    window: int

    async def count(self, messages: Sequence[ChatMessage]) -> int:
        return await self.fleet.count_for(self.name, messages)

    async def generate(self, request: GenerationRequest) -> GenerationStream:
        return await self.fleet.generate(replace(request, model=self.name))

    async def forget(self, thread: str, scope: str) -> None:
        await self.fleet.forget(thread, scope)

    async def warm(self, request: GenerationRequest) -> None:
        await self.fleet.warm(replace(request, model=self.name))

"""Fleet: the text generator over several models, each with its own engine loop and KV pool."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self, TypeVar

from bot.errors import EngineFailed, ModelDied, ModelError, ParleyError
from bot.generation import GenerationRequest
from bot.inference.core.model import Model
from bot.inference.core.vocabulary import TextCodec, Tokenizing
from bot.inference.engine.service import InferenceService
from bot.inference.multi_model.loaded_model import LoadedModel
from bot.inference.multi_model.outlines import Outline, Outlines
from bot.inference.multi_model.relay import Relay, why_unusable
from bot.inference.state_store.folders import StateFolders
from bot.metrics import Metrics
from bot.stream import GenerationStream

logger = logging.getLogger(__name__)

_NOT_RUNNING = "The model is not running. Please ask again in a minute."

T = TypeVar("T")
_ByService = Callable[[InferenceService], Awaitable[None]]
_OnDisk = Callable[[Collection[str]], None]
"""Takes the names of the loaded models, whose folders it must not touch."""


def fits(loaded: Iterable[LoadedModel], num_bytes: int, budget: int) -> bool:
    """Whether the loaded models and one of ``num_bytes`` take no more than ``budget`` bytes."""
    return sum(loaded.num_bytes for loaded in loaded) + num_bytes <= budget


def next_to_unload(loaded: Iterable[LoadedModel]) -> LoadedModel | None:
    """The least recently used idle model, or, if all are busy, the least recently used one."""
    return min(loaded, key=lambda loaded: (loaded.num_users > 0, loaded.used_at), default=None)


class Loader(Protocol):
    """Loads models. Its methods block and raise ``ModelError``."""

    @property
    def sources(self) -> Mapping[str, str]:
        """Name -> source; the mapping may change while Parley runs."""
        ...

    def outline(self, source: str) -> Outline: ...
    def check(self, source: str) -> None:
        """Raise at once if llama.cpp is known to die while it loads this model."""
        ...

    def load(self, source: str, name: str) -> tuple[Model, int]:
        """The model and the bytes of memory that it takes."""
        ...

    def serve(self, model: Model) -> InferenceService: ...


class Fleet(Tokenizing):
    """``bot.ports.TextGenerator`` and ``HasModels``. Entering loads the ``default`` model.

    A model is loaded at the first request for it. Loads run one at a time in the order of the
    requests. A model that must be unloaded gets no new requests and finishes those it has, so
    a model that is always busy cannot keep another one from being loaded.
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
        """``budget``: bytes for models. ``state_folders``: folders of their saved states."""
        self._default = default
        self._loader = loader
        self._state_folders = state_folders
        self._metrics = metrics
        self._budget = budget
        self._outlines = Outlines(lambda: loader.sources, loader.outline)
        self._models: dict[str, LoadedModel] = {}
        self._loaded: list[LoadedModel] = []
        self._num_uses = 0
        self._one_by_one = asyncio.Lock()
        self._moving = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._promised: set[asyncio.Task[None]] = set()
        self._is_open = False
        self.window = 0

    @property
    def name(self) -> str:
        return self._default

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
        """The model of this name. Raises ``EngineFailed`` if it is missing or broken."""
        if name == self._default:
            return FleetModel(self, name, self.window)
        try:
            return FleetModel(self, name, (await self._outlines.get(name)).window)
        except ModelError as error:
            raise EngineFailed(why_unusable(name, error)) from error

    async def read_vocabulary(self, work: Callable[[TextCodec], T]) -> T:
        return await self.read_vocabulary_of(self._default, work)

    async def read_vocabulary_of(self, name: str, work: Callable[[TextCodec], T]) -> T:
        loaded = self._models.get(name)
        if loaded is None or not loaded.is_open:
            return await self._outlines.read(name, work)
        with loaded.used():
            return await loaded.service.read_vocabulary(work)

    async def generate(self, request: GenerationRequest) -> GenerationStream:
        """The reply of ``request.model``; the stream emits ``Queued`` while it is being loaded."""
        loaded = self._wanted(request.model or self._default)
        if not loaded.is_open:
            relay = Relay(loaded, request, self._metrics)
            relay.start(self._spawn(relay.run()))
            return relay.stream
        with loaded.used():
            return loaded.follow(await loaded.service.generate(request))

    async def forget(self, thread: str, scope: str) -> None:
        """Forget the thread in every model, loaded or not."""
        await self._everywhere(
            lambda service: service.forget(thread, scope),
            lambda but: self._state_folders.forget(scope, thread, but),
        )

    async def forget_saved(self, before: datetime) -> None:
        """Delete saved states that were last used before that time."""
        await self._everywhere(
            lambda service: service.forget_saved(before),
            lambda but: self._state_folders.forget_before(before.timestamp(), but),
        )

    async def _everywhere(self, by: _ByService, on_disk: _OnDisk) -> None:
        """Do it in all models; closing the fleet waits for it."""
        task = self._spawn(self._undisturbed(by, on_disk))
        self._promised.add(task)
        task.add_done_callback(self._promised.discard)
        await asyncio.shield(task)

    async def _undisturbed(self, by: _ByService, on_disk: _OnDisk) -> None:
        """Do it while no model writes its saved states as it ends, or reads them as it begins."""
        async with self._moving:
            await self._by_loaded(by)
            await asyncio.to_thread(on_disk, self.loaded)

    async def _by_loaded(self, by: _ByService) -> None:
        for loaded in tuple(self._loaded):
            with loaded.used():
                await by(loaded.service)

    async def warm(self, request: GenerationRequest) -> None:
        """Warm the thread if the model is loaded; it is not loaded for that."""
        loaded = self._models.get(request.model or self._default)
        if loaded and loaded.is_open:
            with loaded.used():
                await loaded.service.warm(request)

    def _wanted(self, name: str) -> LoadedModel:
        """The model of this name, loaded or being loaded; marks it as used."""
        if not self._is_open:
            raise EngineFailed(_NOT_RUNNING)
        if name not in self._models:
            self._models[name] = LoadedModel(name)
            self._spawn(self._open(self._models[name]))
        self._num_uses += 1
        self._models[name].used_at = self._num_uses
        return self._models[name]

    async def _open(self, loaded: LoadedModel) -> None:
        try:
            async with self._one_by_one:
                if not loaded.num_users:
                    raise EngineFailed(f"Nobody waits for the model {loaded.name} any more.")
                model = await self._load(loaded)
                async with self._moving:
                    service = await self._loader.serve(model).__aenter__()
                    self._loaded.append(loaded)
                    loaded.opened.set_result(service)
                self._count_loaded()
        except ParleyError as error:
            self._give_up(loaded, error)
        except Exception:  # a failed load must not end the fleet
            logger.exception("the model %s could not be loaded", loaded.name)
            self._give_up(loaded, ModelError(f"The model {loaded.name} could not be loaded."))
        finally:
            loaded.opened.cancel()  # has no effect if it is done

    def _give_up(self, loaded: LoadedModel, error: ParleyError) -> None:
        """The load failed; the next request for the model loads it anew."""
        del self._models[loaded.name]
        loaded.opened.set_exception(error)
        loaded.opened.exception()  # marks it as retrieved, in case nobody waits any more

    async def _load(self, loaded: LoadedModel) -> Model:
        """Unload other models until there is room, then load; other models compute meanwhile."""
        source = self._outlines.source(loaded.name)
        if self._loaded:
            await asyncio.to_thread(self._loader.check, source)  # before it unloads others
            needed = (await self._outlines.get(loaded.name)).needed_bytes
            while not fits(self._loaded, needed, self._budget):
                if not await self._unload_one():
                    break
        model, loaded.num_bytes = await self._load_with_room(source, loaded.name)
        if self._loaded:  # the banner reports the first one
            logger.info("the model %s is loaded", loaded.name)
        self._metrics.model_loads.inc()
        return model

    async def _load_with_room(self, source: str, name: str) -> tuple[Model, int]:
        """Load, and unload other models while it fails: free GPU memory is only known by trying."""
        while True:
            try:
                return await asyncio.to_thread(self._loader.load, source, name)
            except ModelDied:
                raise
            except (ModelError, MemoryError):
                if not await self._unload_one():
                    raise

    async def _unload_one(self) -> bool:
        """Unload one model after its replies; False if none is loaded.

        A request for that model from now on loads it again.
        """
        loaded = next_to_unload(self._loaded)
        if loaded is None:
            return False
        self._models.pop(loaded.name, None)
        await loaded.until_idle()
        async with self._moving:
            self._loaded.remove(loaded)
            await loaded.service.__aexit__(None, None, None)
        logger.info("the model %s is unloaded", loaded.name)
        self._metrics.model_unloads.inc()
        self._count_loaded()
        return True

    def _count_loaded(self) -> None:
        """Update the metric and share the space for saved states among the loaded models."""
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
            loaded = self._wanted(self._default)
            with loaded.used():
                self.window = (await asyncio.shield(loaded.opened)).window
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
class FleetModel(Tokenizing):
    """``bot.ports.TextGenerator``: one model of a fleet, loaded or not."""

    fleet: Fleet
    name: str
    window: int

    async def read_vocabulary(self, work: Callable[[TextCodec], T]) -> T:
        return await self.fleet.read_vocabulary_of(self.name, work)

    async def generate(self, request: GenerationRequest) -> GenerationStream:
        return await self.fleet.generate(replace(request, model=self.name))

    async def forget(self, thread: str, scope: str) -> None:
        await self.fleet.forget(thread, scope)

    async def warm(self, request: GenerationRequest) -> None:
        await self.fleet.warm(replace(request, model=self.name))

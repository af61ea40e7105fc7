"""The engine that the settings ask for: a model of Parley's own, or servers that run one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from bot.clock import SystemClock
from bot.config import Settings
from bot.errors import PersonalityError
from bot.inference.core.model import Model
from bot.inference.engine.offloading import OffloadOptions
from bot.inference.engine.service import InferenceService
from bot.inference.engine.worker import computing_thread
from bot.inference.gguf.memory_check import available_bytes
from bot.inference.llama.model import LlamaModel, LlamaOutline
from bot.inference.model_files import locate
from bot.inference.multi_model.catalogue import Catalogue
from bot.inference.multi_model.fleet import Fleet
from bot.inference.remote.cache_hints import CacheHints
from bot.inference.remote.engine import RemoteEngine
from bot.inference.remote.on_demand import EnginesOnDemand
from bot.inference.state_store.folders import StateFolders
from bot.metrics import Metrics
from bot.overview import ModelState
from bot.personality import KnownModels, PersonalityFault
from bot.ports import TextGenerator
from bot.running import loading, speeds
from bot.running.banner import Banner
from bot.running.proofs import Proofs
from bot.types import Personality


class Engine(TextGenerator, Protocol):
    """A text generator with a lifecycle; enter it before use. ``/readyz`` shows ``is_healthy``."""

    @property
    def is_healthy(self) -> bool: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


@runtime_checkable
class OffloadsThreads(Protocol):
    """An ``Engine`` that offloads idle threads to memory and disk."""

    async def forget_saved(self, before: datetime) -> None: ...


def make_engine(
    settings: Settings,
    metrics: Metrics,
    catalogue: Catalogue,
    *,
    default: str | None = None,
    banner: Banner | None = None,
) -> Engine:
    """Entering the engine raises ``ModelError``. ``default``: the model to load at once."""
    if settings.is_remote:
        return remote_engine(settings, metrics.share())
    default = default or name_of_model(settings)
    budget = max(0, available_bytes() - settings.parked_memory)
    state_folders = StateFolders(settings.data_dir / "parked")
    loader = LocalLoader(settings, metrics, catalogue, state_folders, banner)
    return Fleet(default, loader, metrics, budget=budget, state_folders=state_folders)


def remote_models(settings: Settings, metrics: Metrics) -> EnginesOnDemand:
    """The models that personalities with ``strategy: route`` name."""
    key = settings.remote_key
    return EnginesOnDemand(settings.remote_url, metrics, key=key.get_secret_value() if key else "")


def remote_faults(
    settings: Settings, personalities: Sequence[Personality], folder: Path, now: datetime
) -> list[PersonalityFault]:
    """Of those that name a remote model where there is no server to ask for it."""
    sentence = "remote is {}, but PARLEY_REMOTE_URL, the server to ask for it, is not set."
    return [
        PersonalityFault(folder / f"{each.name}.md", 0, sentence.format(each.remote), now)
        for each in personalities
        if each.remote and not settings.remote_url
    ]


async def check_remotes(settings: Settings, personalities: Sequence[Personality]) -> None:
    """Raises ``PersonalityError``."""
    now = SystemClock().now()
    if faults := remote_faults(settings, personalities, settings.personalities, now):
        raise PersonalityError("\n".join(map(str, faults)))


def remote_engine(settings: Settings, metrics: Metrics) -> RemoteEngine:
    key = settings.engine_key
    return RemoteEngine(
        settings.engine_url,
        metrics,
        key=key.get_secret_value() if key else "",
        model=settings.engine_model,
        window=settings.context,
        max_running=settings.running,
        max_waiting=settings.queue,
        hints=CacheHints(settings.engine_session_header, settings.engine_cache_salt),
    )


def make_catalogue(settings: Settings) -> Catalogue:
    return Catalogue(name_of_model(settings), settings.model_source, settings.model_dir)


def known_models(settings: Settings, catalogue: Catalogue) -> KnownModels | None:
    """The models that a personality may name; unknown (None) for remote servers."""
    return None if settings.is_remote else catalogue.read


class LocalLoader:
    """``bot.inference.multi_model.fleet.Loader`` with llama.cpp. All models share one thread."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        catalogue: Catalogue,
        state_folders: StateFolders,
        banner: Banner | None = None,
        proofs: Proofs | None = None,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._catalogue = catalogue
        self._state_folders = state_folders
        self._banner = banner
        self._proofs = proofs or Proofs()
        self._thread = computing_thread()

    @property
    def sources(self) -> Mapping[str, str]:
        return self._catalogue.sources

    def outline(self, source: str) -> LlamaOutline:
        path = locate.locate(source)
        return LlamaOutline(path, loading.fastest_options(self._settings, self._proofs, path))

    def check(self, source: str) -> None:
        self._proofs.check(locate.locate(source), loading.options_of(self._settings))

    def load(self, source: str, name: str) -> tuple[LlamaModel, int]:
        if not self._state_folders:  # at the start
            self._state_folders.keep(self._catalogue.read())
        model = self._load(source, name)
        if self._banner:
            self._banner.file(model.path, model.facts.num_bytes)
            self._banner.speed(self._speed_of(model))
            if draft := model.draft_model:
                self._banner.draft_model(draft.path, draft.facts.num_bytes)
            self._banner = None  # it shows the first model only
        return model, model.needed_bytes

    def _speed_of(self, model: LlamaModel) -> str:
        tuning = loading.tuning_of(self._settings, self._proofs, model.path)
        return speeds.in_short(model.options, tuning) if tuning else ""

    def _load(self, source: str, name: str) -> LlamaModel:
        if name != name_of_model(self._settings):
            path = locate.locate(source)
            return loading.open_proved(self._settings, self._proofs, path, name)
        say = self._banner.model_note if self._banner else None
        return loading.load(self._settings, self._metrics, say, self._proofs)

    def serve(self, model: Model) -> InferenceService:
        settings = self._settings
        return InferenceService(
            model,
            self._metrics.share(),
            max_running=settings.running,
            max_waiting=settings.queue,
            offloading=OffloadOptions(
                settings.parked_memory, settings.parked_disk, self._state_folders.of(model.name)
            ),
            thread=self._thread,
            speculates=settings.speculation == "auto",
        )


def name_of_model(settings: Settings) -> str:
    """The default model's name, before the engine exists."""
    if settings.is_remote:
        return settings.engine_model or "remote"
    return locate.name_of(settings.model)


def names_of(engine: Engine | None, settings: Settings) -> tuple[str, ...]:
    """The models that can be used, the default first."""
    if engine is None:
        return (name_of_model(settings),)
    return engine.names if isinstance(engine, Fleet) else (engine.name,)


def servers_of(engine: Engine | None) -> dict[str, object]:
    """For ``/readyz``, which is public: the numbers of servers, not their addresses."""
    if not isinstance(engine, RemoteEngine):
        return {}
    return {"servers": {"up": engine.servers.num_up, "all": len(engine.servers)}}


def model_state(engine: Engine | None, settings: Settings, device: str) -> ModelState:
    name, *others = names_of(engine, settings)
    if engine is None:
        return ModelState(name=name, status="loading", device=device)
    return ModelState(
        name=name,
        status="up" if engine.is_healthy else "failing",
        device=device,
        window=engine.window,
        others=tuple(others),
    )


def is_computing(engine: Engine) -> bool:
    """Whether an engine of our own can go on; of servers it is theirs to say."""
    return isinstance(engine, RemoteEngine) or engine.is_healthy


def describe_device(settings: Settings) -> str:
    """The servers' addresses, the GPU or the CPU."""
    if settings.is_remote:
        return f"at {', '.join(settings.engine_url)}"
    return loading.describe_device(settings)

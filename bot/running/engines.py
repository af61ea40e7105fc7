"""The engine that the settings ask for: a model of Parley's own, or servers that run one."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from bot.config import Settings
from bot.inference import models
from bot.inference.parking import ParkingOptions
from bot.inference.remote.engine import RemoteEngine
from bot.inference.service import InferenceService
from bot.metrics import Metrics
from bot.ports import TextGenerator
from bot.running import loading
from bot.running.banner import Banner
from bot.running.loading import load_model


class Engine(TextGenerator, Protocol):
    """Enter it before use. ``is_healthy`` is what ``/readyz`` tells."""

    @property
    def is_healthy(self) -> bool: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


async def open_engine(settings: Settings, metrics: Metrics, banner: Banner | None = None) -> Engine:
    """Not entered yet. Raises ``ModelError``, as entering it does."""
    if settings.is_remote:
        return remote_engine(settings, metrics)
    model = await load_model(settings, metrics, banner.model_note if banner else None)
    if banner:
        banner.file(model.path, model.facts.num_bytes)
    return InferenceService(
        model,
        metrics,
        max_running=settings.running,
        max_waiting=settings.queue,
        parking=ParkingOptions(
            settings.parked_memory, settings.parked_disk, settings.data_dir / "parked"
        ),
    )


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
    )


def name_of_model(settings: Settings) -> str:
    """Before the engine is there to say it."""
    if settings.is_remote:
        return settings.engine_model or "remote"
    return models.name_of(settings.model)


def servers_of(engine: Engine | None) -> dict[str, object]:
    """For ``/readyz``, which everybody may read: how many, and not where."""
    if not isinstance(engine, RemoteEngine):
        return {}
    return {"servers": {"up": engine.servers.num_up, "all": len(engine.servers)}}


def describe_device(settings: Settings) -> str:
    """Where the model runs: elsewhere, or on the GPU if there is one and layers may go there."""
    if settings.is_remote:
        return f"at {', '.join(settings.engine_url)}"
    return loading.describe_device(settings)

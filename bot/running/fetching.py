"""Downloads the models of the hub that are set and not on this machine yet."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Protocol

from bot.config import Settings
from bot.errors import HubUnavailable, ModelError, PersonalityError
from bot.inference.gguf import memory_check
from bot.inference.gguf.memory_check import ModelFacts
from bot.inference.hub.cache import HubCache
from bot.inference.model_files import locate
from bot.inference.multi_model.catalogue import Catalogue
from bot.model_names import KNOWN
from bot.personality import Check
from bot.running.loading import offloads, options_of
from bot.running.progress import DownloadShow
from bot.types import Personality

Shows = Callable[[], DownloadShow]
"""Makes one for each download."""


def download(
    settings: Settings, source: str, *, show: DownloadShow, available: Callable[[], int]
) -> Path:
    """Ask the hub, and download what is not here; the path. Blocks.

    Raises ``ModelError`` or ``HubUnavailable``. ``available``: bytes of memory.
    """
    from bot.inference.hub.client import HubClient
    from bot.inference.hub.download import Download

    def fits(facts: ModelFacts) -> None:
        options = options_of(settings)
        if offloads(settings):
            return  # llama.cpp itself reports a lack of GPU memory
        memory_check.check_fit(
            facts,
            num_cells=options.num_cells,
            max_batch=options.max_batch,
            num_running=options.max_running,
            available=available(),
        )

    hub = locate.on_hub(source)
    if hub is None:
        raise ModelError(f"{source} is no model of the hub: name one as hf:owner/repository:file.")
    cache = HubCache.of_environment()
    return Download(HubClient.of_environment(), cache, fits).run(hub, show.begin, show.advance)


async def fetch_default(settings: Settings, shows: Shows) -> None:
    """With its draft model. Raises ``ModelError`` or ``HubUnavailable``.

    Cancelling ends it at once.
    """
    if settings.is_remote:
        return
    for source in filter(None, (settings.model_source, settings.draft_source)):
        if await asyncio.to_thread(_is_missing, source):
            available = memory_check.available_bytes
            await _apart(partial(download, settings, source, available=available), shows)


async def fetch_named(
    settings: Settings, catalogue: Catalogue, personalities: Sequence[Personality], shows: Shows
) -> None:
    """The models that personalities name. Raises ``PersonalityError``.

    One that is loaded later may have others unloaded for it, so the machine's whole memory counts.
    """
    if settings.is_remote:
        return
    for each, source in name_models(settings, catalogue, personalities):
        try:
            if await asyncio.to_thread(_is_missing, source):
                available = memory_check.total_bytes
                await _apart(partial(download, settings, source, available=available), shows)
        except (ModelError, HubUnavailable) as error:
            path = settings.personalities / f"{each.name}.md"
            raise PersonalityError(f"{path}: {error}") from error


def one_by_one(*checks: Check) -> Check:
    """A check of personalities that fetches what they name before others look into it."""

    async def all_of_them(personalities: tuple[Personality, ...]) -> None:
        for check in checks:
            await check(personalities)

    return all_of_them


def name_models(
    settings: Settings, catalogue: Catalogue, personalities: Sequence[Personality]
) -> list[tuple[Personality, str]]:
    """The catalogue knows what they name from now on; those whose model is the hub's.

    A file in ``PARLEY_MODEL_DIR`` is preferred to a short name. Raises ``PersonalityError`` for
    two models with one public name.
    """
    found = []
    for each in personalities:
        name, source = each.model, each.model_source
        if not name or not source:
            continue
        if catalogue.add(name, source):
            found.append((each, source))
        elif source not in KNOWN:
            raise PersonalityError(
                f"{settings.personalities / each.name}.md: its model {source} would be called "
                f"{name}, as {catalogue.sources[name]} is: name its file in full, or change the "
                "other one and start Parley again."
            )
    return found


def _is_missing(source: str) -> bool:
    hub = locate.on_hub(source)
    return hub is not None and not HubCache.of_environment().find(hub)


class _Downloads(Protocol):
    def __call__(self, *, show: DownloadShow) -> object: ...


async def _apart(work: _Downloads, shows: Shows) -> None:
    """In a thread that neither a cancelled caller nor the end of the process waits for."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def settle(error: BaseException | None) -> None:
        if not done.done():
            done.set_exception(error) if error else done.set_result(None)

    def run(show: DownloadShow) -> None:
        error: BaseException | None = None
        try:
            work(show=show)
        except BaseException as caught:  # it is raised where it is awaited
            error = caught
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(settle, error)

    with shows() as show:
        threading.Thread(target=run, args=(show,), name="parley-download", daemon=True).start()
        await done

"""The fact bases of all personalities: kept up to date, and searched."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import re
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bot.facts import ranking, updating
from bot.facts.folder import FactFolderError, FolderState, scan
from bot.facts.index import FoundPassage, IndexDamaged, IndexReader
from bot.facts.updating import Update
from bot.metrics import Metrics
from bot.source import Source
from bot.types import Personality

logger = logging.getLogger(__name__)

_SEARCHES_AT_ONCE = 2
_RESTS = 30
_NAME = re.compile(r"[^\w-]+")


@dataclass(slots=True)
class FactBase:
    """A folder and its index. ``seen``: the folder as it was when the index was brought up to date.

    ``is_due``: a search waits until it is up to date. ``is_damaged``: a search found that it has to
    be built anew. ``num_rests``: how many more times it is left as it is, after it could not be
    written. ``num_passages``: None where the index has to be asked.
    """

    folder: Path
    index: Path
    is_due: bool = False
    seen: FolderState | None = None
    is_damaged: bool = False
    num_rests: int = 0
    num_passages: int | None = None
    updating: asyncio.Lock = field(default_factory=asyncio.Lock)


def facts_folder(personalities: Path, personality: Personality) -> Path | None:
    """``personalities``: the folder to which a relative one belongs."""
    return personalities / personality.facts if personality.facts else None


def index_path(data_dir: Path, folder: Path) -> Path:
    """Personalities with one folder share its index."""
    whole = Path(os.path.realpath(folder))
    digest = hashlib.sha256(str(whole).encode()).hexdigest()[:12]
    return data_dir / "facts" / f"{_NAME.sub('_', whole.name)[:40]}-{digest}.sqlite"


def as_source(found: FoundPassage) -> Source:
    return Source(found.path, found.text, kind="fact", heading=found.heading)


class FactBases:
    """``personalities``: the folder of their files.

    ``refreshes``: whether ``refresh`` is called again and again; otherwise each folder is looked
    at before its first search.
    """

    def __init__(
        self, personalities: Path, data_dir: Path, metrics: Metrics, *, refreshes: bool = True
    ) -> None:
        self._personalities = personalities
        self._data_dir = data_dir
        self._metrics = metrics
        self._refreshes = refreshes
        self._bases: dict[Path, FactBase] = {}
        self._workers = ThreadPoolExecutor(_SEARCHES_AT_ONCE, "parley-facts")
        self._told: set[str] = set()

    def close(self) -> None:
        self._workers.shutdown(wait=False, cancel_futures=True)

    async def search(
        self, personality: Personality, question: str, tell: Callable[[str], None], limit: int = 5
    ) -> tuple[Source, ...]:
        """The passages that fit best, the best first; none where nothing fits. Never fails.

        Where there is no index yet, or nobody refreshes it, the documents are read before;
        ``tell`` takes that.
        """
        folder = facts_folder(self._personalities, personality)
        if folder is None:
            return ()
        base = await self._base(folder)
        if base.is_due:
            tell("reading the documents")
            await self._bring_up_to_date(base)
        loop = asyncio.get_running_loop()
        search = partial(_search, base.index, question, limit)
        try:
            found = await loop.run_in_executor(self._workers, search)
        except FileNotFoundError:
            found, outcome = [], "not ready"
        except IndexDamaged:
            base.is_damaged = True
            found, outcome = [], "failed"
        except (sqlite3.Error, OSError) as error:
            logger.warning("the facts of %s could not be searched: %s", folder, error)
            found, outcome = [], "failed"
        else:
            outcome = "found" if found else "nothing"
        self._metrics.fact_searches.labels(outcome).inc()
        return tuple(map(as_source, found))

    async def refresh(self, personalities: Iterable[Personality]) -> float:
        """Bring the index of each folder that has changed up to date. Never fails.

        Returns the seconds for which it looked for changes.
        """
        seconds = 0.0
        folders = [facts_folder(self._personalities, each) for each in personalities]
        for folder in dict.fromkeys(each for each in folders if each is not None):
            seconds += await self._bring_up_to_date(await self._base(folder))
        await self._count()
        return seconds

    async def _base(self, folder: Path) -> FactBase:
        if folder not in self._bases:
            base = await asyncio.to_thread(_base_of, folder, self._data_dir)
            base.is_due |= not self._refreshes
            self._bases.setdefault(folder, base)
        return self._bases[folder]

    async def _bring_up_to_date(self, base: FactBase) -> float:
        """Returns the seconds for which it looked for changes. Never fails."""
        async with base.updating:
            begun_at = time.monotonic()
            try:
                state = await asyncio.to_thread(scan, base.folder)
            except FactFolderError as error:
                self._tell(str(error))
                base.is_due = False
                return 0.0
            seconds = time.monotonic() - begun_at
            if base.num_rests:
                base.num_rests -= 1
            elif state != base.seen or base.is_damaged:
                await self._update(base, state)
            base.is_due = False
            return seconds

    async def _update(self, base: FactBase, state: FolderState) -> None:
        try:
            done = await _update_apart(base)
        except _UpdateFailed as error:
            self._tell(f"{base.folder}: the facts could not be indexed ({error}).")
            base.num_rests = _RESTS
            return
        base.seen, base.is_damaged, base.num_passages = state, False, None
        for outcome, number in (
            ("read", done.num_read),
            ("unread", done.num_unread),
            ("removed", done.num_removed),
        ):
            self._metrics.fact_files.labels(outcome).inc(number)
        logger.info(
            "%s: %s files read, %s unread, %s removed; %s passages are new",
            *(base.folder, done.num_read, done.num_unread, done.num_removed, done.num_passages),
        )
        await self._tell_unread(base, state)

    async def _tell_unread(self, base: FactBase, state: FolderState) -> None:
        """Each once."""
        with suppress(FileNotFoundError, IndexDamaged, sqlite3.Error):
            unread = await asyncio.to_thread(unread_files, base.index, state)
            for path, why in unread.items():
                self._tell(f"{base.folder / path} {why}.")

    def _tell(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            logger.warning("facts: %s", sentence)

    async def _count(self) -> None:
        for base in self._bases.values():
            if base.num_passages is None:
                base.num_passages = await asyncio.to_thread(_num_passages, base.index)
        numbers = (base.num_passages or 0 for base in self._bases.values())
        self._metrics.fact_passages.set(sum(numbers))


def _base_of(folder: Path, data_dir: Path) -> FactBase:
    index = index_path(data_dir, folder)
    return FactBase(folder, index, is_due=not index.exists())


def unread_files(index: Path, state: FolderState) -> dict[str, str]:
    """Why files are not read, by their paths. Raises ``FileNotFoundError``, ``IndexDamaged``."""
    with closing(IndexReader(index)) as reader:
        unread = {each.path: each.unread for each in reader.files() if each.unread}
    return dict(sorted({**state.left_out, **unread}.items()))


def _search(index: Path, question: str, limit: int) -> list[FoundPassage]:
    with closing(IndexReader(index)) as reader:
        return ranking.find(reader, question, limit)


def _num_passages(index: Path) -> int:
    try:
        with closing(IndexReader(index)) as reader:
            return reader.num_passages()
    except (FileNotFoundError, IndexDamaged, sqlite3.Error):
        return 0


class _UpdateFailed(Exception):
    """With the last line of what the process said."""


async def _update_apart(base: FactBase) -> Update:
    """In a process of its own; it is killed where this is cancelled. Raises ``_UpdateFailed``."""
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", str(updating.__file__), str(base.folder), str(base.index)),
            *(["anew"] if base.is_damaged else []),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={},
        )
    except OSError as error:  # the machine has no room for one more
        raise _UpdateFailed(error.strerror) from error
    try:
        said, errors = await process.communicate()
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode:
        lines = errors.decode("utf-8", "replace").strip().splitlines()
        raise _UpdateFailed(lines[-1] if lines else f"exit code {process.returncode}")
    return Update(**json.loads(said))

"""Where each model's parked states lie on disk: a folder of its own, whether it is loaded or not.

Everything but ``of`` and ``len`` blocks.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from bot.inference.state_store.state_file import BadStateFile, StateHeader, head_of
from bot.inference.state_store.store import SUFFIX

_NAME = re.compile(r"[0-9a-f]{16}")


class StateFolders:
    """``len`` is how many models have one: they share the disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: set[str] = set()

    def __len__(self) -> int:
        return len(self._names)

    def of(self, model: str) -> Path:
        """Its folder, which may not be there yet."""
        self._names.add(_name_of(model))
        return self._folder / _name_of(model)

    def keep(self, models: Collection[str]) -> None:
        """All else goes, also what lies there from before there were drawers: nobody could ask for
        it any more, nor have it forgotten.
        """
        for path in self._folder.glob(f"*{SUFFIX}"):
            path.unlink(missing_ok=True)
        kept = {_name_of(model) for model in models}
        for path in self._state_folders():
            if path.name in kept:
                self._names.add(path.name)
            else:
                shutil.rmtree(path, ignore_errors=True)

    def forget(self, scope: str, thread: str, but: Collection[str]) -> None:
        """What any model kept of the thread is deleted; not of those in ``but``."""
        self._delete(lambda head: (head.scope, head.thread) == (scope, thread), but)

    def forget_before(self, time: float, but: Collection[str]) -> None:
        """What was parked before that time, in seconds since 1970."""
        self._delete(lambda head: head.saved_at < time, but)

    def _delete(self, is_meant: Callable[[StateHeader], bool], but: Collection[str]) -> None:
        spared = {_name_of(model) for model in but}
        for folder in self._state_folders():
            if folder.name in spared:
                continue
            for path in folder.glob(f"*{SUFFIX}"):
                head = _head_of(path)
                if head is None or is_meant(head):
                    path.unlink(missing_ok=True)

    def _state_folders(self) -> Iterator[Path]:
        if self._folder.is_dir():
            yield from (path for path in self._folder.iterdir() if _NAME.fullmatch(path.name))


def _name_of(model: str) -> str:
    """Says nothing, and any file system takes it."""
    return hashlib.sha256(model.encode()).hexdigest()[:16]


def _head_of(path: Path) -> StateHeader | None:
    """None if it is of no use to anybody."""
    with contextlib.suppress(OSError, BadStateFile):
        return head_of(path)
    return None

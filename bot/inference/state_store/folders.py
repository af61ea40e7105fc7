"""The folders of saved states, one for each model, whether the model is loaded or not.

All methods but ``of`` and ``len`` block.
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
    """``len`` is the number of models that have a folder; they share the disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: set[str] = set()

    def __len__(self) -> int:
        return len(self._names)

    def of(self, model: str) -> Path:
        """The model's folder, which may not exist yet."""
        self._names.add(_name_of(model))
        return self._folder / _name_of(model)

    def keep(self, models: Collection[str]) -> None:
        """Delete the states of all other models.

        State files beside the folders, as older versions wrote them, are deleted, too: no
        thread could use them any more, and no person could have them forgotten.
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
        """Delete the states of the thread, for every model except those in ``but``."""
        self._delete(lambda head: (head.scope, head.thread) == (scope, thread), but)

    def forget_before(self, time: float, but: Collection[str]) -> None:
        """Delete the states saved before ``time``, in seconds since 1970."""
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
    """The folder's name: a hash, which every file system accepts and which reveals nothing."""
    return hashlib.sha256(model.encode()).hexdigest()[:16]


def _head_of(path: Path) -> StateHeader | None:
    """The file's head, or None where it cannot be read."""
    with contextlib.suppress(OSError, BadStateFile):
        return head_of(path)
    return None

"""Saved states as files: a cache of one model. A file that Parley did not write is not used.

llama.cpp parses a state in C, so each file carries a MAC, made with a key that lies in the
same folder. The MAC is checked over the whole file before any of it is used. All methods
block and are called from workers.
"""

from __future__ import annotations

import contextlib
import hmac
import logging
import mmap
import os
import secrets
from io import FileIO
from pathlib import Path

from bot.inference.core.saved_state import SavedState
from bot.inference.state_store.state_file import (
    MAC_BYTES,
    BadStateFile,
    StateHeader,
    head_of,
    read_head,
)

logger = logging.getLogger(__name__)

SUFFIX = ".state"
_TEMPORARY, _KEY = ".tmp", "key"
_KEY_BYTES = 32
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


class StateStore:
    """One folder (mode 0700) of files (mode 0600) with random names.

    Only states of a model with this ``fingerprint`` are used.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self._folder = folder
        self._fingerprint = fingerprint
        self._key = b""

    def open(self) -> tuple[list[SavedState], int]:
        """The states in the folder, the most recently used last, and the number of unusable files.

        Raises OSError where the folder cannot be made.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        self._key = self._read_key() or self._make_key()
        for path in self._folder.glob(f"*{_TEMPORARY}"):
            path.unlink(missing_ok=True)
        return self._index()

    def write(self, saved: SavedState) -> str:
        """Write the state and return the file's name. OSError leaves no file behind."""
        name = secrets.token_hex(16)
        temporary = self._folder / f"{name}{_TEMPORARY}"
        head = StateHeader.of(saved, self._fingerprint).pack()
        state = saved.state or memoryview(b"")
        try:
            with os.fdopen(os.open(temporary, _NEW, 0o600), "wb", buffering=0) as file:
                for part in (head, state, self._mac(head, state)):
                    _write(file, memoryview(part))
            temporary.replace(self._folder / f"{name}{SUFFIX}")
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        return name

    def read(self, saved: SavedState, name: str) -> memoryview | None:
        """The state; None, and the file is deleted, if it was not written for ``saved``."""
        path = self._folder / f"{name}{SUFFIX}"
        try:
            return self._read(path, saved)
        except (OSError, BadStateFile) as error:
            logger.warning("a saved state is not used: %s", error)
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            return None

    def delete(self, names: list[str]) -> None:
        for name in names:
            with contextlib.suppress(OSError):
                (self._folder / f"{name}{SUFFIX}").unlink(missing_ok=True)

    def _read(self, path: Path, saved: SavedState) -> memoryview:
        with path.open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            head = read_head(file, size)
            content = memoryview(mmap.mmap(-1, size))
            file.seek(0)
            _fill(file, content)
        start, end = head.num_bytes_before, size - MAC_BYTES
        mac = self._mac(content[:start], content[start:end])
        if not hmac.compare_digest(mac, content[end:]):
            raise BadStateFile("it was changed after it was written")
        if (head.scope, head.thread, head.tokens) != (saved.scope, saved.thread, saved.tokens):
            raise BadStateFile("it belongs to another thread")
        return content[start:end].toreadonly()

    def _mac(self, head: bytes | memoryview, state: memoryview) -> bytes:
        mac = hmac.new(self._key, head, "sha256")
        mac.update(state)
        return mac.digest()

    def _index(self) -> tuple[list[SavedState], int]:
        """Read only the heads; of two states of one thread keep the later one."""
        paths = list(self._folder.glob(f"*{SUFFIX}"))
        found = [saved for path in paths if (saved := self._look_at(path))]
        found.sort(key=lambda saved: saved.saved_at)
        newest = {(p.scope, p.thread or p.file): p for p in found}
        self.delete([p.file for p in found if newest[p.scope, p.thread or p.file] is not p])
        return list(newest.values()), len(paths) - len(newest)

    def _look_at(self, path: Path) -> SavedState | None:
        try:
            head = head_of(path)
            if head.fingerprint != self._fingerprint:
                raise BadStateFile("it is of another model, setting or version")
            return head.saved(path.stem)
        except (OSError, BadStateFile) as error:
            logger.info("a saved state is not used: %s", error)
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            return None

    def _read_key(self) -> bytes:
        with contextlib.suppress(OSError):
            key = (self._folder / _KEY).read_bytes()
            return key if len(key) == _KEY_BYTES else b""
        return b""

    def _make_key(self) -> bytes:
        """Make a new key. Files written with an older key are not used any more."""
        key, path = secrets.token_bytes(_KEY_BYTES), self._folder / _KEY
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, _NEW, 0o600), "wb") as file:
            file.write(key)
        return key


def _write(file: FileIO, data: memoryview) -> None:
    while data:
        data = data[file.write(data) :]


def _fill(file: FileIO, buffer: memoryview) -> None:
    while buffer:
        count = file.readinto(buffer)
        if not count:
            raise BadStateFile("it ends too early")
        buffer = buffer[count:]

"""One process owns the data folder; other commands find its address there."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout

from bot.errors import DataError

_LOCK = "parley.lock"
_URL = "parley.url"
_KEY = "parley.key"


class DataLock:
    """Held while entered; the system releases it when the process dies."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._url = folder / _URL
        self._lock = FileLock(folder / _LOCK, timeout=0, mode=0o600, thread_local=False)

    def __enter__(self) -> Self:
        """Make the folder and lock it; ``DataError`` if it cannot be written or is taken."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock.acquire()
            self._withdraw()
        except Timeout:
            where = f" at {url}" if (url := running_url(self._folder)) else ""
            raise DataError(
                f"Parley runs already{where} with the data folder {self._folder}; stop it, or "
                "choose another folder with PARLEY_DATA_DIR."
            ) from None
        except FileExistsError as error:
            raise DataError(
                f"{self._folder} is a file, and Parley's data folder should be there; move it "
                "away or choose another folder with PARLEY_DATA_DIR."
            ) from error
        except OSError as error:
            self._lock.release()
            raise DataError(
                f"The data folder {self._folder} cannot be written ({error.strerror}); make it "
                "writable or choose another with PARLEY_DATA_DIR."
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            self._withdraw()
        self._lock.release()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.__exit__, kind, error, traceback)

    def announce(self, url: str, key: str) -> None:
        """Write the address and the key of the running Parley for other commands."""
        _write(self._folder / _KEY, key)
        _write(self._url, url)

    def _withdraw(self) -> None:
        self._url.unlink(missing_ok=True)
        (self._folder / _KEY).unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    """Atomic, and readable by Parley's user only."""
    draft = path.with_suffix(f"{path.suffix}.new")
    draft.unlink(missing_ok=True)
    with open(draft, "x", encoding="utf-8", opener=_private) as file:
        file.write(text)
    os.replace(draft, path)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def is_held(folder: Path) -> bool:
    """Whether a Parley runs on this folder."""
    if not (folder / _LOCK).exists():
        return False
    lock = FileLock(folder / _LOCK, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        return True
    except OSError:  # it is not ours to lock
        return running_url(folder) is not None
    lock.release()
    return False


def running_url(folder: Path) -> str | None:
    """The address of the Parley that holds the lock; None while it starts."""
    return _read(folder / _URL)


def running_key(folder: Path) -> str | None:
    """The key of its HTTP APIs for commands on this machine; new at each start."""
    return _read(folder / _KEY)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8") or None
    except OSError:
        return None

"""Files that come with questions of chats: on disk until their turns have read them."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import logging
import os
import secrets
import shutil
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from bot.attachments.attachments import MAX_FILES, refusal
from bot.chats import Upload
from bot.errors import PlatformError, StorageError, StorageFull
from bot.types import Attachment, Place

logger = logging.getLogger(__name__)

_SCHEME = "upload:"
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Uploads:
    """A ``FetchesFiles`` for chats: a folder for each, and in it a file for each upload.

    A file is there before the turn that awaits it is, and goes after that has read it, with its
    chat, or in a ``sweep``. Only Parley's user may read it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._orphans: frozenset[Path] = frozenset()

    async def keep(self, place: Place, files: Sequence[Upload]) -> tuple[Attachment, ...]:
        """What a question is stored with. A file that will not be read is not kept.

        Raises ``StorageError``; nothing is kept then.
        """
        return await asyncio.to_thread(self._keep, place, files)

    async def fetch(self, attachment: Attachment, max_size: int) -> bytes:
        path = self._path(attachment.url)
        try:
            if path is not None:
                return await asyncio.to_thread(path.read_bytes)
        except OSError as error:
            raise PlatformError(f"an upload is gone: {error.strerror}") from error
        raise PlatformError("an upload was not kept")

    async def drop(self, attachments: Sequence[Attachment]) -> None:
        """Those that are not ours are left alone."""
        paths = [path for each in attachments if (path := self._path(each.url))]
        if paths:
            await asyncio.to_thread(_remove, paths)

    async def forget(self, place: Place) -> None:
        """Delete all of one chat."""
        await asyncio.to_thread(shutil.rmtree, self._folder / _name(place), ignore_errors=True)

    async def sweep(self, awaited: Collection[str], *, is_first: bool = False) -> None:
        """Delete what no turn awaits, and none did the last time: a question may be on its way.

        ``is_first``: none is yet.
        """
        await asyncio.to_thread(self._sweep, frozenset(awaited), is_first)

    def _keep(self, place: Place, files: Sequence[Upload]) -> tuple[Attachment, ...]:
        kept: list[Attachment] = []
        try:
            for number, file in enumerate(files):
                attachment = attachment_of(file)
                if number < MAX_FILES and refusal(attachment) is None:
                    attachment = replace(attachment, url=self._write(place, file.data))
                kept.append(attachment)
        except OSError as error:
            _remove([path for each in kept if (path := self._path(each.url))])
            kind = StorageFull if error.errno in _FULL else StorageError
            raise kind(f"An upload cannot be kept in {self._folder}: {error.strerror}.") from error
        return tuple(kept)

    def _write(self, place: Place, data: bytes) -> str:
        chat, name = _name(place), secrets.token_hex(16)
        folder = self._folder / chat
        for each in (self._folder, folder):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / name
        try:
            with open(path, "xb", opener=_private) as file:
                file.write(data)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        return _url(path)

    def _path(self, url: str) -> Path | None:
        """None: it is no file of ours."""
        chat, _, name = url.removeprefix(_SCHEME).partition("/")
        is_ours = url.startswith(_SCHEME) and chat.isalnum() and name.isalnum()
        return self._folder / chat / name if is_ours else None

    def _sweep(self, awaited: frozenset[str], is_first: bool) -> None:
        found = self._folder.glob("*/*")
        orphans = frozenset(path for path in found if _url(path) not in awaited)
        going = orphans if is_first else orphans & self._orphans
        _remove(going)
        self._orphans = orphans - going
        if going:
            logger.info("deleted %s uploads that no turn awaits", len(going))


def attachment_of(file: Upload) -> Attachment:
    """Of one that is not kept."""
    return Attachment(file.name, file.media_type, len(file.data), "")


def _url(path: Path) -> str:
    return f"{_SCHEME}{path.parent.name}/{path.name}"


def _name(place: Place) -> str:
    return hashlib.sha256(str(place).encode()).hexdigest()[:32]


def _remove(paths: Iterable[Path]) -> None:
    """With the folders that are empty then."""
    for path in paths:
        try:
            path.unlink(missing_ok=True)
            path.parent.rmdir()
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.ENOENT):
                logger.warning("an upload could not be deleted: %s", error.strerror)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)

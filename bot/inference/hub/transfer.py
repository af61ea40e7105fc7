"""Brings one file: goes on where it was cut, and keeps only what has the right checksum."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import httpx2
from huggingface_hub.utils import get_session, hf_raise_for_status

from bot.errors import ModelError
from bot.inference.hub.client import TIMEOUT, FoundModel, HubClient, HubFile, Location
from bot.inference.hub.refusals import in_one_sentence

_PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds before each further attempt, as long as none brings anything."""
_BLOCK = 1 << 20
_EXPIRED = (httpx2.codes.FORBIDDEN, httpx2.codes.GONE)
"""What storage answers to an address that was valid for a while."""

Advance = Callable[[int], None]
"""Told the number of bytes that the file has now. May raise to stop the download."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """``sleep`` waits between attempts."""

    client: HubClient
    sleep: Callable[[float], None]

    def bring(self, found: FoundModel, file: HubFile, part: Path, advance: Advance) -> None:
        """``part`` becomes the whole file; after an error it has what came.

        The checksum counts what an earlier attempt left, too; a wrong one empties ``part``.
        """
        with in_one_sentence(found.model, self.client.endpoint), part.open("ab+") as kept:
            incoming = _Incoming(kept, file.num_bytes, advance)
            pauses = list(_PAUSES)
            while incoming.num_bytes < file.num_bytes:
                before = incoming.num_bytes
                location = self.client.locate(found, file)
                try:
                    incoming.receive(location)
                except httpx2.TransportError:
                    if incoming.num_bytes > before:
                        pauses = list(_PAUSES)
                    if not pauses:
                        raise
                    self.sleep(pauses.pop(0))
            incoming.flush()
            if incoming.sha256 != file.sha256:
                incoming.drop()
                raise ModelError(
                    f"{file.path} of {found.model.source} came damaged (its SHA-256 is not the "
                    "hub's) and was deleted: try again."
                )


class _Incoming:
    """The bytes of a file that came so far, hashed as they come."""

    def __init__(self, kept: BinaryIO, size: int, advance: Advance) -> None:
        self.num_bytes = 0
        self._kept = kept
        self._size = size
        self._advance = advance
        self._digest = hashlib.sha256()
        kept.seek(0)
        while self.num_bytes <= size and (block := kept.read(_BLOCK)):
            self._count(block)
        if self.num_bytes > size:
            self.drop()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def receive(self, location: Location) -> None:
        """Raises the library's errors, and ``httpx2.TransportError`` where the line is cut."""
        headers = dict(location.headers)
        if self.num_bytes:
            headers["Range"] = f"bytes={self.num_bytes}-"
        with get_session().stream("GET", location.url, headers=headers, timeout=TIMEOUT) as answer:
            if self.num_bytes and answer.status_code in _EXPIRED:
                raise httpx2.ReadError("the address is no longer valid")
            hf_raise_for_status(answer)
            if self.num_bytes and not _goes_on(answer, self.num_bytes):
                self.drop()
            for block in answer.iter_raw():
                self._kept.write(block)
                self._count(block)
                if self.num_bytes > self._size:
                    return
        if self.num_bytes < self._size:
            raise httpx2.ReadError("the connection was closed too early")

    def flush(self) -> None:
        self._kept.flush()
        os.fsync(self._kept.fileno())

    def drop(self) -> None:
        self._kept.truncate(0)
        self._digest, self.num_bytes = hashlib.sha256(), 0

    def _count(self, block: bytes) -> None:
        self._digest.update(block)
        self.num_bytes += len(block)
        self._advance(self.num_bytes)


def _goes_on(answer: httpx2.Response, start: int) -> bool:
    """Whether the body begins at ``start`` and not at the beginning."""
    is_part = answer.status_code == httpx2.codes.PARTIAL_CONTENT
    return is_part and answer.headers.get("Content-Range", "").startswith(f"bytes {start}-")

"""What deleted rows leave in SQLite's files, and how it goes from there.

``secure_delete`` overwrites a row that is deleted, and the pages that become free. Two places
keep older copies: the write-ahead log, and the gaps in the middle of pages, where a row stays
that SQLite has moved to another page before. Both can be emptied without rewriting the file.
"""

from __future__ import annotations

import os
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

_HEADER_BYTES = 100
_TREE_PAGES = {2: 12, 5: 12, 10: 8, 13: 8}
"""First byte of a page of a table or an index -> bytes of its header. Other pages begin with the
number of a page, whose first byte is 0 or 1 below ``_MAX_PAGES`` (128 GiB)."""
_MAX_PAGES = 1 << 25
_CHUNK = 1 << 20
_ZEROS = bytes(1 << 16)


def truncate_log(path: Path) -> bool:
    """Move the write-ahead log into the database and empty it; False if a reader is in the way."""
    try:
        with closing(sqlite3.connect(path, timeout=0)) as connection:
            [is_busy, *_] = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.OperationalError:
        return False
    return not is_busy


class PageGaps:
    """The gaps of the pages of one database, which SQLite never reads. All methods block.

    The file stays open until no connection of this process is left: closing it, the system
    would take away the locks of all of them.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: int | None = None

    def clear(self) -> bool:
        """Fill every gap with zeros; False if another program writes meanwhile.

        To be called after the log was emptied: with that every connection drops the pages that
        it has read, which still hold what was in the gaps.
        """
        with closing(sqlite3.connect(self._path, timeout=0, isolation_level=None)) as lock:
            try:
                lock.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False
            log = self._path.with_name(f"{self._path.name}-wal")
            if log.exists() and log.stat().st_size:
                return False
            found = list(self._filled())
            for start, length in found:
                os.lseek(self._file, start, os.SEEK_SET)
                os.write(self._file, _ZEROS[:length])
            if found:
                os.fsync(self._file)
        return True

    def close(self) -> None:
        if self._opened is not None:
            os.close(self._opened)
            self._opened = None

    @property
    def _file(self) -> int:
        if self._opened is None:
            self._opened = os.open(self._path, os.O_RDWR | getattr(os, "O_BINARY", 0))
        return self._opened

    def _filled(self) -> Iterator[tuple[int, int]]:
        """Offset and length of each gap that is not empty."""
        os.lseek(self._file, 0, os.SEEK_SET)
        header = os.read(self._file, _HEADER_BYTES)
        if not header:
            return
        page_bytes: int = struct.unpack_from(">H", header, 16)[0]
        page_bytes = 1 << 16 if page_bytes == 1 else page_bytes
        if os.fstat(self._file).st_size > page_bytes * _MAX_PAGES:
            return
        offset, map_every = 0, _map_every(header, page_bytes)
        while chunk := self._pages(offset, page_bytes):
            for at in range(0, len(chunk), page_bytes):
                if map_every and (offset + at) // page_bytes % map_every == 1:
                    continue
                head = _HEADER_BYTES if offset + at == 0 else 0
                start, end = _gap(chunk[at : at + page_bytes], head)
                if chunk[at + start : at + end] != _ZEROS[: end - start]:
                    yield offset + at + start, end - start
            offset += len(chunk)

    def _pages(self, offset: int, page_bytes: int) -> bytes:
        """Some whole pages from there on."""
        os.lseek(self._file, offset, os.SEEK_SET)
        found = os.read(self._file, _CHUNK)
        return found[: len(found) // page_bytes * page_bytes]


def _map_every(header: bytes, page_bytes: int) -> int:
    """How many pages it is from one page of the map of pages to the next, the first being the
    database's second page; 0: without ``auto_vacuum`` there is no map.
    """
    has_map = any(header[52:56])
    return (page_bytes - header[20]) // 5 + 1 if has_map else 0


def _gap(page: bytes, head: int) -> tuple[int, int]:
    """Where a page has nothing, between the list of its rows and the first of them."""
    header_bytes = _TREE_PAGES.get(page[head])
    if header_bytes is None:
        return 0, 0
    num_rows, first_row = struct.unpack_from(">HH", page, head + 3)
    start = head + header_bytes + 2 * num_rows
    end = first_row or 1 << 16
    return (start, end) if start <= end <= len(page) else (0, 0)

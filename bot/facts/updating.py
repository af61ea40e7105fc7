"""Brings an index up to date with its folder; also a script, which a running Parley starts.

Its arguments: the folder, the file of the index, and ``anew`` where that is to be built from
nothing. It prints what it did as JSON. It runs at low priority, as a process of its own: a
thread of low priority would keep Python's lock from the others while it waits for the processor.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parents[2]))

from filelock import FileLock

from bot.documents.document import DocumentKind
from bot.documents.reader import DocumentReader
from bot.facts.folder import FileStamp, form_of, scan
from bot.facts.index import IndexDamaged, IndexedFile, IndexWriter
from bot.facts.passages import Form, Passage, passages_of
from bot.facts.reading import FactFileUnread, text_of

_MAX_BYTES = 512 * 1024
"""Of the files of one transaction, about."""

_MAX_FILES = 200
_MANY = 500
"""Changes after which the index is made one tree again."""

_NICE = 15
_ANEW = "anew"
_PARENT = os.getppid()


@dataclass(slots=True)
class Update:
    """What was done, in files. ``num_passages``: of those that were read."""

    num_read: int = 0
    num_unread: int = 0
    num_removed: int = 0
    num_passages: int = 0


class _Read(NamedTuple):
    file: IndexedFile
    passages: list[Passage]


async def update(folder: Path, index: Path, *, is_anew: bool = False) -> Update:
    """Raises ``FactFolderError``, and ``sqlite3.Error`` and ``OSError`` of the index. Blocks.

    Another process that does the same is waited for.
    """
    index.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(index.with_suffix(".lock"), thread_local=False):
        if is_anew:
            _remove(index)
        try:
            return await _update(folder, index)
        except IndexDamaged:
            _remove(index)
            return await _update(folder, index)


def _remove(index: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        Path(f"{index}{suffix}").unlink(missing_ok=True)


async def _update(folder: Path, index: Path) -> Update:
    state = await asyncio.to_thread(scan, folder)
    done = Update()
    with closing(IndexWriter(index)) as writer:
        known = writer.files()
        gone = iter(sorted(known.keys() - state.files.keys()))
        while paths := list(islice(gone, _MAX_FILES)):
            with writer.transaction():
                for path in paths:
                    writer.remove(path)
                    done.num_removed += 1
        changed = {
            path: stamp
            for path, stamp in state.files.items()
            if path not in known or known[path].stamp != stamp
        }
        async for read in _read_all(folder, changed):
            with writer.transaction():
                for file, passages in read:
                    done.num_passages += writer.put(file, passages)
                    done.num_read += file.unread is None
                    done.num_unread += file.unread is not None
            if _is_orphan():
                break
        if done.num_read + done.num_removed > _MANY:
            writer.optimize()
    return done


async def _read_all(folder: Path, changed: dict[str, FileStamp]) -> AsyncIterator[list[_Read]]:
    """In parts for a transaction each; the text files first, which are quick."""
    reader = DocumentReader()
    for part in _by_size(_of_kind(changed, is_text=True)):
        yield [await _read(folder, path, stamp, reader) for path, stamp in part]
    foreign = iter(_of_kind(changed, is_text=False))
    while part := list(islice(foreign, os.cpu_count() or 1)):
        yield await asyncio.gather(*(_read(folder, *each, reader) for each in part))


def _of_kind(changed: dict[str, FileStamp], *, is_text: bool) -> list[tuple[str, FileStamp]]:
    return [
        (path, stamp)
        for path, stamp in changed.items()
        if (_form(path)[0] is DocumentKind.TEXT) == is_text
    ]


def _form(path: str) -> tuple[DocumentKind, Form]:
    return form_of(path) or (DocumentKind.TEXT, Form.PLAIN)


def _by_size(files: Iterable[tuple[str, FileStamp]]) -> Iterator[list[tuple[str, FileStamp]]]:
    part: list[tuple[str, FileStamp]] = []
    size = 0
    for path, stamp in files:
        part.append((path, stamp))
        size += stamp.size
        if size >= _MAX_BYTES or len(part) >= _MAX_FILES:
            yield part
            part, size = [], 0
    if part:
        yield part


async def _read(folder: Path, path: str, stamp: FileStamp, reader: DocumentReader) -> _Read:
    """A file that changes meanwhile is read again the next time: its stamp is from before."""
    kind, form = _form(path)
    try:
        text = await text_of(folder / path, kind, reader)
    except FactFileUnread as error:
        return _Read(IndexedFile(path, stamp, str(error)), [])
    return _Read(IndexedFile(path, stamp, None), passages_of(text, form))


def _is_orphan() -> bool:
    """The process that started this one is gone."""
    return __name__ == "__main__" and os.getppid() != _PARENT


def main(folder: str, index: str, *how: str) -> int:
    with suppress(OSError):
        os.nice(_NICE)
    done = asyncio.run(update(Path(folder), Path(index), is_anew=_ANEW in how))
    sys.stdout.write(json.dumps(asdict(done)))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

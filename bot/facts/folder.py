"""The folder of a fact base: which of its files are read, and why the others are not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from bot.documents.document import DocumentKind
from bot.errors import ParleyError
from bot.facts.passages import Form

MAX_BYTES = 16 * 1024 * 1024
"""Of a file; longer ones are not read."""

KINDS = {
    **dict.fromkeys((".md", ".markdown"), (DocumentKind.TEXT, Form.MARKDOWN)),
    **dict.fromkeys((".txt", ".text"), (DocumentKind.TEXT, Form.PLAIN)),
    **dict.fromkeys((".csv", ".tsv"), (DocumentKind.TEXT, Form.TABLE)),
    ".pdf": (DocumentKind.PDF, Form.PLAIN),
    **dict.fromkeys((".docx", ".docm", ".dotx"), (DocumentKind.DOCX, Form.MARKDOWN)),
    **dict.fromkeys((".html", ".htm", ".xhtml"), (DocumentKind.HTML, Form.MARKDOWN)),
}
"""By the end of a file's name: what reads it, and how its text is structured."""

HIDDEN = "is hidden"
NOT_READ = "is of a kind that is not read; Markdown, text, CSV, PDF, DOCX and HTML are"


class FileStamp(NamedTuple):
    """It changes whenever the file does."""

    modified: int
    size: int
    inode: int


class FactFolderError(ParleyError):
    """The folder of a fact base cannot be read."""


@dataclass(frozen=True, slots=True)
class FolderState:
    """``left_out``: a sentence for each file or folder that is not even opened, by its path.

    Paths are those below the folder, with slashes.
    """

    files: dict[str, FileStamp] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def scan(folder: Path) -> FolderState:
    """Raises ``FactFolderError``. Blocks."""
    state = FolderState()
    try:
        root = Path(os.path.realpath(folder, strict=True))
        found = sorted(_entries(root, "", state), key=lambda each: each[0])
    except OSError as error:
        raise FactFolderError(
            f"{folder}: the folder of facts cannot be read ({error.strerror})."
        ) from error
    state.files.update(found)
    return state


def form_of(path: str) -> tuple[DocumentKind, Form] | None:
    return KINDS.get(PurePosixPath(path).suffix.lower())


def _entries(folder: Path, above: str, state: FolderState) -> Iterator[tuple[str, FileStamp]]:
    with os.scandir(folder) as entries:
        found = list(entries)
    for entry in found:
        path = f"{above}{entry.name}"
        try:
            if why := _why_left_out(folder, entry):
                state.left_out[path] = why
            elif entry.is_dir():
                yield from _entries(folder / entry.name, f"{path}/", state)
            else:
                stat = entry.stat()
                yield path, FileStamp(stat.st_mtime_ns, stat.st_size, stat.st_ino)
        except OSError as error:
            state.left_out[path] = f"cannot be read ({error.strerror})"


def _why_left_out(folder: Path, entry: os.DirEntry[str]) -> str | None:
    if entry.name.startswith("."):
        return HIDDEN
    if not entry.name.isprintable():
        return "has a name with characters that cannot be shown"
    if entry.is_symlink():
        if entry.is_dir():
            return "is a link to a folder; put its files here"
        if not (folder / entry.name).resolve(strict=True).is_relative_to(folder):
            return "is a link to a file outside of the folder"
    if entry.is_dir():
        return None
    if not entry.is_file():
        return "is no file"
    if form_of(entry.name) is None:
        return NOT_READ
    if entry.stat().st_size > MAX_BYTES:
        return f"is larger than {MAX_BYTES // 1024**2} MiB"
    return None

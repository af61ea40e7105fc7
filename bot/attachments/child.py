"""The process that reads one file; run as a script, with the kind and a limit as arguments.

stdin: the file. stdout: its text, at most ``max_characters``, looked at: most of it is readable.
Exit code: 0, one of ``WhyUnread``, or anything else for a file that is not what its name says. It
has no environment, opens no file for writing, and is killed at its limits of memory and CPU
time: a malicious file harms only this process.
"""

from __future__ import annotations

import io
import resource
import sys
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pypdf import PdfReader

_MEMORY = 1024 * 1024 * 1024
_CPU_SECONDS = 10
_MAX_PAGES = 200


def _bound() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class WhyUnread(IntEnum):
    """Why there is no text to show, as an exit code."""

    EMPTY = 10
    LOCKED = 11
    ONLY_PICTURES = 12
    NO_TEXT = 13


class NothingRead(Exception):
    def __init__(self, why: WhyUnread) -> None:
        super().__init__(why.name)
        self.why = why


def _text(data: bytes) -> str:
    from bot.attachments.decoding import decoded

    text = decoded(data)
    if not text.strip():
        raise NothingRead(WhyUnread.EMPTY)
    return text


def _pages(reader: PdfReader) -> Iterator[str]:
    for page in reader.pages[:_MAX_PAGES]:
        yield page.extract_text().strip()


def _pdf(data: bytes, max_characters: int) -> str:
    from pypdf import PdfReader

    from bot.attachments.decoding import is_readable

    if not data.strip():
        raise NothingRead(WhyUnread.EMPTY)
    reader = PdfReader(io.BytesIO(data))
    if reader.is_encrypted and not reader.decrypt(""):
        raise NothingRead(WhyUnread.LOCKED)
    text = ""
    for page in _pages(reader):
        text += f"{page}\n\n"
        if len(text) > max_characters:
            break
    if not text.strip():
        has_pictures = any(page.images.keys() for page in reader.pages[:_MAX_PAGES])
        raise NothingRead(WhyUnread.ONLY_PICTURES if has_pictures else WhyUnread.NO_TEXT)
    if not is_readable(text):
        raise NothingRead(WhyUnread.NO_TEXT)
    is_long = len(reader.pages) > _MAX_PAGES
    return text.strip() + (f"\n\n[Only the first {_MAX_PAGES} pages are here.]" if is_long else "")


def main(kind: str, max_characters: int) -> int:
    _bound()
    data = sys.stdin.buffer.read()
    try:
        text = _pdf(data, max_characters) if kind == "pdf" else _text(data)
    except NothingRead as error:
        return error.why
    except Exception:
        return 1
    sys.stdout.buffer.write(text[:max_characters].encode("utf-8", "replace"))
    return 0


if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parents[2]))
    sys.exit(main(sys.argv[1], int(sys.argv[2])))

"""The process that reads one file; run as a script, with the kind and a limit as arguments.

stdin: the file. stdout: its text, at most ``max_characters``. Exit code 1: not such a file.
It has no environment, opens no file for writing, and is killed at its limits of memory and
CPU time: a malicious file harms only this process.
"""

from __future__ import annotations

import io
import resource
import sys
from collections.abc import Iterator

_MEMORY = 1024 * 1024 * 1024
_CPU_SECONDS = 10
_MAX_PAGES = 200


def _bound() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _text(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16")
    if b"\x00" in data:
        raise ValueError("binary")
    return data.decode("utf-8-sig", "replace")


def _pages(data: bytes) -> Iterator[str]:
    from pypdf import PdfReader

    for page in PdfReader(io.BytesIO(data)).pages[:_MAX_PAGES]:
        yield page.extract_text().strip()


def _pdf(data: bytes, max_characters: int) -> str:
    text = ""
    for page in _pages(data):
        text += f"{page}\n\n"
        if len(text) > max_characters:
            break
    return text.strip()


def main(kind: str, max_characters: int) -> int:
    _bound()
    data = sys.stdin.buffer.read()
    try:
        text = _pdf(data, max_characters) if kind == "pdf" else _text(data)
    except Exception:
        return 1
    sys.stdout.buffer.write(text[:max_characters].encode("utf-8", "replace"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))

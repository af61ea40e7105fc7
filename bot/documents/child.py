"""The process that reads one document; run as a script, with the kind and a limit as arguments.

stdin: a line with the document's address, or an empty one, and the document. stdout: a
``Document`` as JSON, its title short, its text of at most ``max_characters``, looked at: most of
it is readable.
Exit code: 0, one of ``WhyUnread``, or anything else for a document that is not of its kind. The
process has no environment, opens no connection and no file for writing, and is killed at its
limits of memory and CPU time: a malicious document harms only this process.
"""

from __future__ import annotations

import json
import resource
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.documents.document import Document

_MEMORY = 1024 * 1024 * 1024
_CPU_SECONDS = 10
_MAX_DEPTH = 10_000
"""Of calls: elements stand in one another to the depth that libxml2 allows."""

_MAX_TITLE = 300
"""Characters; a page that has more of them has no title worth its name."""

_REFUSED = ("socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.system")


def _bound() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.setrecursionlimit(_MAX_DEPTH)
    sys.addaudithook(_refuse)


def _refuse(event: str, _: object) -> None:
    """What reads documents opens no connection and starts no process."""
    if event.startswith(_REFUSED):
        raise PermissionError(event)


def _read(kind: str, data: bytes, max_characters: int, address: str) -> Document:
    """Loads only what reads this kind."""
    from bot.documents.document import Document

    match kind:
        case "pdf":
            from bot.documents.pdf import text_of_pdf

            return Document(text_of_pdf(data, max_characters))
        case "docx":
            from bot.documents.word import text_of_document

            return Document(text_of_document(data, max_characters))
        case "html":
            from bot.documents.page import document_of_page

            return document_of_page(data, address)
        case "feed":
            from bot.documents.feed import document_of_feed

            return document_of_feed(data, address)
    from bot.documents.decoding import text_of_file

    return Document(text_of_file(data))


def main(kind: str, max_characters: int) -> int:
    _bound()
    from bot.documents.unread import NothingRead, WhyUnread

    address = sys.stdin.buffer.readline().decode().strip()
    data = sys.stdin.buffer.read()
    try:
        read = _read(kind, data, max_characters, address)
    except NothingRead as error:
        return error.why
    except MemoryError:
        return WhyUnread.TOO_MUCH
    except Exception:
        return 1
    cut = replace(read, text=read.text[:max_characters], title=read.title[:_MAX_TITLE])
    sys.stdout.write(json.dumps(asdict(cut)))
    return 0


if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parents[2]))
    sys.exit(main(sys.argv[1], int(sys.argv[2])))

"""The process that reads one file; run as a script, with the kind and a limit as arguments.

stdin: the file. stdout: its text, at most ``max_characters``, looked at: most of it is readable.
Exit code: 0, one of ``WhyUnread``, or anything else for a file that is not what its name says. It
has no environment, opens no file for writing, and is killed at its limits of memory and CPU
time: a malicious file harms only this process.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

_MEMORY = 1024 * 1024 * 1024
_CPU_SECONDS = 10


def _bound() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _text(kind: str, data: bytes, max_characters: int) -> str:
    """Loads only what reads this kind."""
    match kind:
        case "pdf":
            from bot.attachments.pdf import text_of_pdf

            return text_of_pdf(data, max_characters)
        case "docx":
            from bot.attachments.word import text_of_document

            return text_of_document(data, max_characters)
    from bot.attachments.decoding import text_of_file

    return text_of_file(data)


def main(kind: str, max_characters: int) -> int:
    _bound()
    from bot.attachments.unread import NothingRead, WhyUnread

    data = sys.stdin.buffer.read()
    try:
        text = _text(kind, data, max_characters)
    except NothingRead as error:
        return error.why
    except MemoryError:
        return WhyUnread.TOO_MUCH
    except Exception:
        return 1
    sys.stdout.buffer.write(text[:max_characters].encode("utf-8", "replace"))
    return 0


if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parents[2]))
    sys.exit(main(sys.argv[1], int(sys.argv[2])))

"""``threads``: what is kept of every platform and chat, listed, searched and shown."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bot.adapter_support.chat_files.read import MAX_BYTES
from bot.chat.records import chat_of
from bot.chats import Chat
from bot.cli.tables import aligned
from bot.errors import ParleyError, StartError
from bot.history.folding import folded
from bot.history.kept import KeptThread, KeptThreads, ThreadFilter
from bot.prompt import clean
from bot.stored import ThreadSummary
from bot.types import Place

NONE_KEPT = "No thread is kept."
NONE_FOUND = "No thread is like that."

_MAX_NAMED = 3
_MAX_PEOPLE = 3


def named(kept: KeptThreads, name: str) -> ThreadSummary:
    """The thread of that text form, or the one whose id or title begins so.

    Raises ``StartError``.
    """
    everything = [each.summary for each in kept.find(ThreadFilter())]
    exact = [each for each in everything if name in (str(each.place), each.place.thread)]
    found = exact or [each for each in everything if name and _begins(each, name)]
    if not found:
        raise StartError(_unknown(name))
    if len(found) > 1:
        raise StartError(_ambiguous(name, found))
    return found[0]


def _begins(thread: ThreadSummary, name: str) -> bool:
    place = thread.place
    is_id = place.thread.startswith(name) or str(place).startswith(name)
    return is_id or folded(thread.title).startswith(folded(name))


def _unknown(name: str) -> str:
    if ":" in name:
        try:
            Place.parse(name)
        except ValueError as error:
            return f"{error}, and no thread begins so; `threads list` names them all."
    return f"There is no thread {name!r}; `threads list` names them all."


def _ambiguous(name: str, found: Sequence[ThreadSummary]) -> str:
    places = [str(each.place) for each in found[:_MAX_NAMED]]
    more = ", ..." if len(found) > _MAX_NAMED else ""
    return f"{name!r} may be {len(found)} threads: {', '.join(places)}{more}. Write more of it."


def as_chat(kept: KeptThreads, thread: ThreadSummary) -> Chat:
    return chat_of(thread, kept.turns(thread.place), personality="")


def as_json(found: Sequence[KeptThread], *, is_search: bool) -> str:
    records = [_record(each, is_search=is_search) for each in found]
    return json.dumps(records, ensure_ascii=False, indent=2)


def _record(found: KeptThread, *, is_search: bool) -> dict[str, Any]:
    thread = found.summary
    record = {
        "thread": str(thread.place),
        "platform": thread.place.adapter,
        "title": thread.title,
        "personality": thread.personality,
        "people": [{"id": person.id, "name": person.name} for person in found.people],
        "num_turns": thread.num_turns,
        "last_at": thread.last_at.isoformat() if thread.last_at else None,
        "is_busy": thread.is_busy,
    }
    return record | {"excerpt": thread.excerpt} if is_search else record


def as_table(found: Sequence[KeptThread], *, is_search: bool) -> Iterator[str]:
    """The title comes last: it may be long, or of wide letters."""
    head = ("thread", "last question (UTC)", "turns", "people", "title")
    first, *lines = aligned([head, *map(_row, found)], num_texts=len(head))
    yield first.rstrip()
    for line, each in zip(lines, found, strict=True):
        yield line.rstrip()
        if is_search and each.summary.excerpt:
            yield f"    {one_line(each.summary.excerpt)}"


def _row(found: KeptThread) -> tuple[str, str, str, str, str]:
    thread = found.summary
    names = [one_line(person.name) for person in found.people]
    shown = [*names[:_MAX_PEOPLE], *(["..."] if len(names) > _MAX_PEOPLE else [])]
    last = thread.last_at.strftime("%Y-%m-%d %H:%M") if thread.last_at else ""
    return (
        str(thread.place),
        last,
        f"{thread.num_turns:,}",
        ", ".join(shown),
        one_line(thread.title),
    )


def one_line(text: str) -> str:
    """Without what a terminal would obey."""
    return " ".join(clean(text).split())


def write_new(path: Path, text: str) -> None:
    """Raises ``ParleyError``; a file that is there stays, and no half of one is left."""
    try:
        file = path.open("x", encoding="utf-8")
    except FileExistsError:
        raise StartError(f"{path} exists already; name a new file.") from None
    except OSError as error:
        raise StartError(f"{path} cannot be written: {error.strerror}.") from error
    try:
        with file:
            file.write(text)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise ParleyError(f"{path} cannot be written: {error.strerror}.") from error


def exported_bytes(path: Path) -> bytes:
    """At most a byte more than may be imported; ``-`` is stdin. Raises ``StartError``."""
    if str(path) == "-":
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    try:
        with open(path, "rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise StartError(f"{path} cannot be read: {error.strerror}.") from error

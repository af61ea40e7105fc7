"""Searching threads: all words, in any order, somewhere in their titles, texts and file names.

The texts are read one after another and nothing is kept of them: an index would be one more
place from which a forgotten thread must go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select

from bot.history.folding import folded
from bot.history.schema import answers, chat_turns, threads, turns

_AT_ONCE = 200
_MAX_EXCERPT = 160


def matches(connection: Connection, within: ColumnElement[bool], search: str) -> dict[int, str]:
    """The ids of the threads that have every word, each with a line in which one stands.

    ``within``: a condition on ``threads``.
    """
    words = frozenset(folded(search).split())
    missing: dict[int, frozenset[str]] = {}
    excerpts: dict[int, str] = {}
    for thread_id, texts in _texts(connection, within):
        left = missing.get(thread_id, words)
        for text in filter(None, texts) if left else ():
            bare = folded(text)
            found = {word for word in left if word in bare}
            if found and thread_id not in excerpts:
                excerpts[thread_id] = _excerpt(text, found)
            left -= found
        missing[thread_id] = left
    return {each: excerpts.get(each, "") for each, left in missing.items() if not left}


def _texts(
    connection: Connection, within: ColumnElement[bool]
) -> Iterator[tuple[int, tuple[str | None, ...]]]:
    for query in _queries(within):
        rows = connection.execute(query, execution_options={"yield_per": _AT_ONCE})
        for row in rows:
            yield row[0], tuple(row[1:])


def _queries(within: ColumnElement[bool]) -> Iterable[Select[Any]]:
    ids = select(threads.c.id).where(within)
    yield select(threads.c.id, threads.c.title).where(within)
    unread = names_of(turns.c.unread, "$.attachments")
    said = select(turns.c.thread_id, turns.c.text, turns.c.reply, names_of(turns.c.files), unread)
    yield said.where(turns.c.thread_id.in_(ids))
    others = select(turns.c.thread_id, answers.c.question, answers.c.reply)
    others = others.join(turns, turns.c.seq == answers.c.turn_seq)
    others = others.join(chat_turns, chat_turns.c.turn_seq == answers.c.turn_seq)
    yield others.where(turns.c.thread_id.in_(ids), answers.c.number != chat_turns.c.chosen)


def names_of(files: ColumnElement[Any], path: str = "$") -> ColumnElement[str]:
    """The names in a JSON list of files, in one line; null if there are none."""
    each = func.json_each(func.nullif(files, ""), path).table_valued("value")
    name = func.json_extract(each.c.value, "$.name")
    return select(func.group_concat(name, ", ")).select_from(each).scalar_subquery()


def _excerpt(text: str, words: Iterable[str]) -> str:
    """The first line with one of the words, from a little before it on if it is long."""
    for line in text.splitlines():
        bare = folded(line)
        at = min((bare.find(word) for word in words if word in bare), default=-1)
        if at >= 0:
            return _around(line, at)
    return ""


def _around(line: str, at: int) -> str:
    """A long line from a few words before ``at`` on."""
    if len(line) <= _MAX_EXCERPT:
        return line.strip()
    start = max(0, at - _MAX_EXCERPT // 4)
    start = line.find(" ", start, at) + 1 or start if start else 0
    cut = line[start : start + _MAX_EXCERPT].strip()
    return f"{'…' if start else ''}{cut}{'…' if start + _MAX_EXCERPT < len(line) else ''}"

"""``eval from-votes``: thumbs up and down become cases."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from bot.cli.tables import aligned
from bot.errors import StartError
from bot.history.rated import RatedAnswer, RatedText
from bot.prompt import clean

_LIKED = (
    "It tells the person what this answer tells, which somebody liked, and contradicts it "
    "nowhere: {}"
)
_HEAD = """\
# Answers that people voted on, with what they wrote: keep this file as you keep their threads.
# A liked answer is what a judge compares with, a disliked one only must not come again: put in
# what you know to be right, as contains, regex or judge, where it matters.
"""
_NO_VOTES = "Nobody has voted on an answer in this time."
_HOW = "With --with-text and --output FILE they become cases, which hold what people wrote."


def counted(rated: Sequence[RatedAnswer]) -> list[str]:
    """A table without anybody's words."""
    if not rated:
        return [_NO_VOTES]
    groups = Counter(
        ((each.usage.personality, each.usage.model, each.usage.platform), each.is_liked)
        for each in rated
    )
    names = sorted({name for name, _ in groups})
    rows = [
        (*(part or "-" for part in name), f"{groups[name, True]:,}", f"{groups[name, False]:,}")
        for name in names
    ]
    head = ("personality", "model", "platform", "likes", "dislikes")
    return [*aligned([head, *rows], num_texts=3), _HOW]


def cases_of(rated: Sequence[RatedAnswer]) -> list[dict[str, Any]]:
    """Of those whose text is kept and that came without files."""
    return list(_cases(rated))


def _cases(rated: Sequence[RatedAnswer]) -> Iterator[dict[str, Any]]:
    for each in rated:
        text = each.text
        if text and not text.has_files and _is_there(text.question) and _is_there(text.reply):
            yield _case(each, text)


def _is_there(text: str) -> bool:
    return bool(clean(text).strip())


def _case(rated: RatedAnswer, text: RatedText) -> dict[str, Any]:
    reply = clean(text.reply).strip()
    check = {"judge": _LIKED.format(reply)} if rated.is_liked else {"not-equals": reply}
    named = "liked" if rated.is_liked else "disliked"
    case: dict[str, Any] = {"name": f"{named}-{rated.usage.answer_id}"}
    if rated.usage.personality:
        case["personality"] = rated.usage.personality
    question = {"question": clean(text.question).strip(), "checks": [check]}
    if not text.earlier:
        return {**case, **question}
    earlier = [
        {"question": clean(asked).strip(), "answer": clean(answer).strip()}
        for asked, answer in text.earlier
        if _is_there(asked) and _is_there(answer)
    ]
    return {**case, "turns": [*earlier, question]}


def write_cases(path: Path, cases: Sequence[dict[str, Any]]) -> int:
    """How many; the file is for its owner alone. Raises ``StartError``."""
    if not cases:
        raise StartError("No vote has its text still, without files; nothing was written.")
    made = {"title": "What people voted on", "cases": list(cases)}
    text = yaml.safe_dump(made, allow_unicode=True, sort_keys=False, width=100)
    try:
        with open(path, "x", encoding="utf-8", opener=_private) as file:
            file.write(f"{_HEAD}{text}")
    except FileExistsError:
        raise StartError(f"{path} exists already; name a new file.") from None
    except OSError as error:
        raise StartError(f"{path} cannot be written: {error.strerror}.") from None
    return len(cases)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)

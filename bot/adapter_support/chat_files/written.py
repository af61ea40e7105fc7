"""A chat as a file: JSON that ``read`` takes again, and Markdown for people."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

from bot.chats import Chat, ChatAnswer, ChatTurn
from bot.markdown.contained import contained, quoted
from bot.source import Source

FORMAT = "parley-chat"
VERSION = 1

_MARKS = re.compile(r"([\\`*_\[\]<>#|~])")
_MAX_NAME = 60


def as_json(chat: Chat) -> str:
    """Every answer of every turn, and which is chosen; one that grows is left out."""
    return json.dumps(record(chat), ensure_ascii=False, indent=2) + "\n"


def record(chat: Chat) -> dict[str, Any]:
    """What ``as_json`` writes."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "title": chat.summary.title,
        "personality": chat.summary.personality,
        "turns": [_turn(turn) for turn in chat.turns],
    }


def _turn(turn: ChatTurn) -> dict[str, Any]:
    return {
        "question": turn.question,
        "asked_at": turn.asked_at.isoformat(),
        "asked_by": turn.asked_by,
        "remarks": [{"name": name, "text": text} for name, text in turn.remarks],
        "files": _files(turn),
        "chosen": turn.chosen,
        "answers": [_answer(answer) for answer in turn.answers],
    }


def _files(turn: ChatTurn) -> list[dict[str, Any]]:
    """What was read of each; a file of which nothing was has no text."""
    unread = list(turn.files)
    for source in turn.sources:
        if source.name in unread:
            unread.remove(source.name)
    read = [
        {"name": s.name, "text": s.excerpt, "is_cut": s.is_cut, **_origin(s)} for s in turn.sources
    ]
    return [*read, *({"name": name, "text": None, "is_cut": False} for name in unread)]


def _origin(source: Source) -> dict[str, Any]:
    """Of what did not come along with the question."""
    if not source.is_gathered:
        return {}
    return {"kind": source.kind, "address": source.address, "heading": list(source.heading)}


def _answer(answer: ChatAnswer) -> dict[str, Any]:
    return {
        "question": answer.question,
        "reply": answer.reply,
        "reasoning": answer.reasoning,
        "note": answer.note,
        "state": answer.state.value,
        "reason": answer.reason.value if answer.reason else None,
        "model": answer.model,
        "personality": answer.personality,
        "prompt_tokens": answer.usage.prompt_tokens,
        "cached_tokens": answer.usage.cached_tokens,
        "completion_tokens": answer.usage.completion_tokens,
        "first_token_seconds": answer.first_token_seconds,
        "total_seconds": answer.total_seconds,
        "rating": answer.rating,
        "finished_at": answer.finished_at.isoformat() if answer.finished_at else None,
    }


def as_markdown(chat: Chat) -> str:
    """Of each turn the answer that counts. Whatever a text holds, it ends where it ends."""
    parts = [f"# {_in_line(chat.summary.title)}", *map(_exchange, chat.turns)]
    return "\n\n".join(parts) + "\n"


def _exchange(turn: ChatTurn) -> str:
    asker = _in_line(turn.asked_by) if turn.asked_by else "Question"
    parts = [f"**{_in_line(name)}:**\n\n{quoted(text)}" for name, text in turn.remarks]
    parts.append(f"## {asker}, {_moment(turn.asked_at)}")
    if turn.question:
        parts.append(quoted(turn.question))
    if turn.files:
        parts.append(f"Attached: {', '.join(map(_in_line, turn.files))}")
    if gathered := [_in_line(s.address or s.name) for s in turn.sources if s.is_gathered]:
        parts.append(f"Read: {', '.join(dict.fromkeys(gathered))}")
    answer = next((each for each in turn.answers if each.number == turn.chosen), None)
    return "\n\n".join([*parts, *(_answered(answer, turn) if answer else ["*Not answered.*"])])


def _answered(answer: ChatAnswer, turn: ChatTurn) -> list[str]:
    names = [_in_line(name) for name in (answer.personality, answer.model) if name]
    which = f" ({answer.number} of {len(turn.answers)})" if len(turn.answers) > 1 else ""
    parts = [f"### {', '.join(names) or 'Answer'}{which}"]
    if answer.reply.strip():
        parts.append(contained(answer.reply))
    return [*parts, f"*{_in_line(answer.note)}*"] if answer.note else parts


def _in_line(text: str) -> str:
    return _MARKS.sub(r"\\\1", " ".join(text.split()))


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def file_name(chat: Chat, suffix: str) -> str:
    """For a download: of letters and digits of the title, whatever their script."""
    words = re.findall(r"\w+", chat.summary.title)
    return f"{'-'.join(words)[:_MAX_NAME].strip('-_') or 'chat'}.{suffix}"

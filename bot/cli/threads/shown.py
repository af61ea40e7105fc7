"""A thread on a terminal, as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from bot.chats import Chat, ChatAnswer, ChatTurn
from bot.cli.chat.drawing import stacked
from bot.markdown.parser import parse
from bot.prompt import clean

_INDENT = (0, 0, 0, 2)


def show(chat: Chat, place: str, console: Console) -> None:
    console.print(Text(clean(chat.summary.title), "bold"))
    console.print(Text(place, "dim"))
    for turn in chat.turns:
        for part in _turn(turn):
            console.print(part)


def _turn(turn: ChatTurn) -> Iterator[RenderableType]:
    asked_at = turn.asked_at.strftime("%Y-%m-%d %H:%M UTC")
    who = f"{clean(turn.asked_by)}, {asked_at}" if turn.asked_by else asked_at
    for name, text in turn.remarks:
        yield Text(f"{clean(name)}: {clean(text)}", "dim")
    yield Rule(Text(who), align="left")
    yield Padding(Text(clean(turn.question)), _INDENT)
    if turn.files:
        yield Padding(Text(f"Attached: {', '.join(map(clean, turn.files))}", "dim"), _INDENT)
    yield Text()
    chosen = next((each for each in turn.answers if each.number == turn.chosen), None)
    if chosen is None:
        yield Text("Not answered yet.", "italic")
    else:
        yield from _answer(chosen, len(turn.answers))
    yield Text()


def _answer(answer: ChatAnswer, num_answers: int) -> Iterator[RenderableType]:
    names = ", ".join(name for name in (answer.personality, answer.model) if name) or "Answer"
    which = f" ({answer.number} of {num_answers})" if num_answers > 1 else ""
    yield Text(f"{clean(names)}{which}", "bold")
    if answer.reply.strip():
        yield stacked(parse(clean(answer.reply)))
    if answer.note:
        yield Text(clean(answer.note), "italic")

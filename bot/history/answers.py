"""The answers of chats' turns: every one is kept, and the chosen one is the turn's row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy.dialects import sqlite

from bot.generation import FinishReason, Usage
from bot.history import threads, turns, usage
from bot.history.schema import answers, chat_turns
from bot.history.schema import turns as turn_table
from bot.stored import (
    AnsweredTurn,
    StoredAnswer,
    Turn,
    TurnState,
)
from bot.types import Place, Question

_SAME = (
    *("number", "question", "reply", "state", "note", "reasoning", "model", "personality"),
    *("first_token_seconds", "total_seconds", "rating", "finished_at"),
)
"""Fields that are called as their columns are."""


def ask(
    connection: Connection,
    question: Question,
    personality: str,
    now: datetime,
    *,
    is_known: bool = False,
) -> Turn | None:
    if is_known and threads.known_id(connection, question.place) is None:
        return None
    if question.personality is not None:
        threads.set_personality(connection, question.place, question.personality)
    if (turn := turns.accept(connection, question, now)) is not None:
        values = {"turn_seq": _seq(connection, turn.id), "personality": personality}
        connection.execute(insert(chat_turns).values(**values))
    return turn


def ask_again(
    connection: Connection,
    turn_id: str,
    *,
    personality: str,
    text: str | None,
    continued: int | None,
    now: datetime,
) -> Turn:
    turns.requeue(connection, turn_id, now, goes_on=continued is not None)
    if continued is not None:
        usage.rate(connection, usage.id_of_answer(turn_id, continued), 0)
    if text is not None:
        turns.edit_question(connection, turn_id, text)
    chosen = _drop_empty(connection, turn_id)
    _change(connection, turn_id, personality=personality, continued=continued, chosen=chosen)
    return turns.get(connection, turn_id)


def _drop_empty(connection: Connection, turn_id: str) -> int:
    """What was stopped before it said anything goes; the number of the answer that counts."""
    asked, turn_seq = find(connection, turn_id), _seq(connection, turn_id)
    is_empty = (answers.c.state == TurnState.STOPPED, answers.c.reply == "")
    connection.execute(delete(answers).where(answers.c.turn_seq == turn_seq, *is_empty))
    left = select(answers.c.number).where(answers.c.turn_seq == turn_seq)
    numbers = set(connection.scalars(left))
    chosen = asked.chosen if asked else 0
    return chosen if chosen in numbers else max(numbers, default=0)


def end(connection: Connection, turn_id: str, ended: StoredAnswer, now: datetime) -> int:
    """Of a turn that was forgotten nothing is kept."""
    if (asked := find(connection, turn_id)) is None:
        return 0
    speaker = ended.personality or asked.personality
    answer = _what_counts(asked, replace(ended, personality=speaker, finished_at=now))
    row = values_of(answer) | {"turn_seq": _seq(connection, turn_id)}
    added = sqlite.insert(answers).values(**row)
    keys = ["turn_seq", "number"]
    connection.execute(added.on_conflict_do_update(index_elements=keys, set_=row))
    _count(connection, turn_id, answer)
    return answer.number


def _what_counts(asked: AnsweredTurn, ended: StoredAnswer) -> StoredAnswer:
    if asked.continued is not None and (before := asked.answer(asked.continued)):
        return _longer(before, ended)
    before = asked.answer(asked.chosen)
    is_nothing = ended.state is TurnState.STOPPED and not ended.reply.strip()
    if before is not None and is_nothing and before.question == ended.question:
        return before
    return replace(ended, number=asked.next_number)


def _longer(before: StoredAnswer, ended: StoredAnswer) -> StoredAnswer:
    """A failure takes nothing away; the time until the continuation began does not count."""
    if len(ended.reply) < len(before.reply):  # it did not begin, or cannot become longer
        note = ended.note if ended.state is not TurnState.STOPPED else ""
        way = ended if ended.state is TurnState.DONE else before
        return replace(before, note=note, state=way.state, reason=way.reason)
    is_failed = ended.state is TurnState.FAILED
    way = before if is_failed else ended
    seconds = (ended.total_seconds or 0.0) - (ended.first_token_seconds or 0.0)
    return replace(
        before,
        reply=ended.reply,
        state=way.state,
        reason=way.reason,
        note=ended.note,
        usage=replace(
            before.usage,
            completion_tokens=before.usage.completion_tokens + ended.usage.completion_tokens,
        ),
        total_seconds=(before.total_seconds or 0.0) + seconds,
        finished_at=ended.finished_at,
    )


def choose(connection: Connection, turn_id: str, number: int) -> bool:
    asked = find(connection, turn_id)
    if asked is None or not asked.turn.state.is_finished:
        return False
    if (answer := asked.answer(number)) is None:
        return False
    _count(connection, turn_id, answer)
    return True


def _count(connection: Connection, turn_id: str, answer: StoredAnswer) -> None:
    """The turn reads as the answer does."""
    _change(connection, turn_id, chosen=answer.number, continued=None)
    turns.read_as(connection, turn_id, answer.question)
    turns.finish(
        connection,
        turn_id,
        answer.state,
        reply=answer.reply,
        reason=answer.reason,
        usage=answer.usage,
        now=answer.finished_at,
    )


def rate(connection: Connection, turn_id: str, number: int, rating: int) -> None:
    turn_seq = select(turn_table.c.seq).where(turn_table.c.id == turn_id).scalar_subquery()
    is_meant = (answers.c.turn_seq == turn_seq, answers.c.number == number)
    connection.execute(update(answers).where(*is_meant).values(rating=rating))
    usage.rate(connection, usage.id_of_answer(turn_id, number), rating)


def find(connection: Connection, turn_id: str) -> AnsweredTurn | None:
    turn = turns.find(connection, turn_id)
    return None if turn is None else next(iter(_with_answers(connection, [turn])))


def of_thread(connection: Connection, place: Place) -> list[AnsweredTurn]:
    return _with_answers(connection, turns.every(connection, place))


def _with_answers(connection: Connection, found: Sequence[Turn]) -> list[AnsweredTurn]:
    is_meant = turn_table.c.id.in_([turn.id for turn in found])
    of_turns = chat_turns.join(turn_table, turn_table.c.seq == chat_turns.c.turn_seq)
    asked = select(turn_table.c.id, chat_turns).select_from(of_turns).where(is_meant)
    rows = {row.id: row for row in connection.execute(asked)}
    of_answers = answers.join(turn_table, turn_table.c.seq == answers.c.turn_seq)
    given = select(turn_table.c.id, answers).select_from(of_answers).where(is_meant)
    by_turn = defaultdict(list)
    for row in connection.execute(given.order_by(answers.c.number)):
        by_turn[row.id].append(_answer(row))
    return [_answered(turn, rows.get(turn.id), by_turn[turn.id]) for turn in found]


def _answered(turn: Turn, row: Row[Any] | None, given: Sequence[StoredAnswer]) -> AnsweredTurn:
    if row is None:
        return AnsweredTurn(turn=turn)
    return AnsweredTurn(
        turn=turn,
        answers=tuple(given),
        chosen=row.chosen,
        personality=row.personality,
        continued=row.continued,
    )


def _answer(row: Row[Any]) -> StoredAnswer:
    same = {name: getattr(row, name) for name in _SAME}
    return StoredAnswer(
        **same | {"state": TurnState(row.state)},
        reason=FinishReason(row.finish_reason) if row.finish_reason else None,
        usage=Usage(row.prompt_tokens, row.cached_tokens, row.completion_tokens),
    )


def values_of(answer: StoredAnswer) -> dict[str, Any]:
    return {name: getattr(answer, name) for name in _SAME} | {
        "finish_reason": answer.reason,
        "prompt_tokens": answer.usage.prompt_tokens,
        "cached_tokens": answer.usage.cached_tokens,
        "completion_tokens": answer.usage.completion_tokens,
    }


def _change(connection: Connection, turn_id: str, **values: Any) -> None:
    turn_seq = select(turn_table.c.seq).where(turn_table.c.id == turn_id).scalar_subquery()
    changed = update(chat_turns).where(chat_turns.c.turn_seq == turn_seq)
    connection.execute(changed.values(**values))


def _seq(connection: Connection, turn_id: str) -> int:
    asked = select(turn_table.c.seq).where(turn_table.c.id == turn_id)
    found: int = connection.execute(asked).scalar_one()
    return found

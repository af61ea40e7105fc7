"""Between what is stored of a chat and what its owner sees of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

from bot.chats import Chat, ChatAnswer, ChatSummary, ChatTurn, GrowingAnswer
from bot.prompt import clean
from bot.stored import (
    AnsweredTurn,
    StoredAnswer,
    ThreadSummary,
    Turn,
    TurnState,
)
from bot.types import Person, Place

_NOT_ANSWERED = "This was not answered yet when it was exported."


def chat_of(thread: ThreadSummary, turns: Sequence[AnsweredTurn], *, personality: str) -> Chat:
    """Any thread as a chat, of which no more is known than what is stored."""
    summary = ChatSummary(
        id=thread.place.thread,
        title=thread.title,
        personality=thread.personality or personality,
        num_turns=thread.num_turns,
        last_at=thread.last_at or turns[-1].turn.accepted_at,
        is_busy=thread.is_busy,
    )
    return Chat(summary=summary, turns=tuple(map(shown, turns)), model="", window=0)


def shown(asked: AnsweredTurn, growing: GrowingAnswer | None = None) -> ChatTurn:
    turn = asked.turn
    came_along = (each for each in turn.files if not each.is_gathered)
    names = (each.name for each in turn.unread.attachments or came_along)
    return ChatTurn(
        id=turn.id,
        number=turn.number,
        question=turn.text,
        asked_at=turn.accepted_at,
        answers=tuple(map(_seen, asked.answers)),
        chosen=asked.chosen,
        growing=growing,
        files=tuple(names),
        sources=turn.files,
        asked_by="" if _is_owner(turn) else turn.person.name,
        remarks=turn.remarks,
    )


def _is_owner(turn: Turn) -> bool:
    """Whose name is that of the place of their chats."""
    return turn.person.name == turn.place.channel


def _seen(stored: StoredAnswer) -> ChatAnswer:
    same = {each.name: getattr(stored, each.name) for each in fields(stored)}
    return ChatAnswer(**same, can_continue=stored.can_continue)


def turns_to_store(chat: Chat, place: Place, person: Person) -> list[AnsweredTurn]:
    """A chat that was exported, as turns of ``person``, all of which have ended."""
    return [_turn(turn, place, person) for turn in chat.turns]


def _turn(turn: ChatTurn, place: Place, person: Person) -> AnsweredTurn:
    answers = tuple(_stored(answer, turn) for answer in turn.answers) or (_unanswered(turn),)
    chosen = answers[max(turn.chosen, 1) - 1]
    stored = Turn(
        id="",
        place=place,
        number=turn.number,
        state=chosen.state,
        person=Person(person.id, clean(turn.asked_by) or person.name),
        message_id="",
        text=clean(turn.question),
        accepted_at=turn.asked_at,
        is_direct=True,
        reply=chosen.reply,
        finish_reason=chosen.reason,
        usage=chosen.usage,
        remarks=tuple((clean(name), clean(text)) for name, text in turn.remarks),
        files=tuple(replace(s, excerpt=clean(s.excerpt)) for s in turn.sources),
        finished_at=chosen.finished_at,
    )
    return AnsweredTurn(
        turn=stored, answers=answers, chosen=chosen.number, personality=chosen.personality
    )


def _unanswered(turn: ChatTurn) -> StoredAnswer:
    return StoredAnswer(
        number=1,
        question=clean(turn.question),
        reply="",
        state=TurnState.INTERRUPTED,
        note=_NOT_ANSWERED,
        finished_at=turn.asked_at,
    )


def _stored(answer: ChatAnswer, turn: ChatTurn) -> StoredAnswer:
    return StoredAnswer(
        number=answer.number,
        question=clean(answer.question),
        reply=clean(answer.reply),
        state=answer.state,
        note=clean(answer.note),
        reasoning=clean(answer.reasoning),
        reason=answer.reason,
        model=answer.model,
        personality=answer.personality,
        usage=answer.usage,
        first_token_seconds=answer.first_token_seconds,
        total_seconds=answer.total_seconds,
        rating=answer.rating,
        finished_at=answer.finished_at or turn.asked_at,
    )

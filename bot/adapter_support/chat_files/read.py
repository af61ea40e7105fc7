"""A chat that was exported: read strictly, and refused in one sentence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Annotated, Any, NoReturn

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails, from_json

from bot.adapter_support.chat_files.written import FORMAT, VERSION
from bot.chats import Chat, ChatAnswer, ChatSummary, ChatTurn
from bot.errors import RequestError
from bot.generation import FinishReason, Usage
from bot.source import Source, SourceKind
from bot.stored import TurnState

MAX_BYTES = 16 * 1024 * 1024
MAX_TURNS = 10_000
MAX_ANSWERS = 100
"""Of one turn."""
MAX_NAME = 1_000
"""Characters of a title, or of the name of a person, file, model or personality."""

_MAX_SHOWN = 80
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_BOM = b"\xef\xbb\xbf"

_Name = Annotated[str, Field(max_length=MAX_NAME)]
_Tokens = Annotated[int, Field(ge=0, le=2**31 - 1)]
_Seconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
_Moment = Annotated[AwareDatetime, Field(ge=_BEGINNING)]

_IN_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "is no part of such a file",
    "model_type": "must be an object",
    "list_type": "must be a list",
    "string_type": "must be a text",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "string_too_long": "has more than {max_length:,} characters",
    "too_long": "has more than {max_length:,} entries",
    "enum": "must be one of {expected}",
    "datetime_type": "must be a time, as 2026-11-27T12:00:00+00:00",
    "datetime_parsing": "must be a time, as 2026-11-27T12:00:00+00:00",
    "datetime_from_date_parsing": "must be a time, as 2026-11-27T12:00:00+00:00",
    "timezone_aware": "must be a time with its zone, as 2026-11-27T12:00:00+00:00",
    "string_unicode": "must be valid Unicode",
}
"""Pydantic's name of a problem -> how a sentence goes on that begins with the key."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Remark(_Strict):
    name: _Name
    text: str


class _File(_Strict):
    name: _Name
    text: str | None
    is_cut: bool
    kind: SourceKind = "file"
    address: Annotated[str, Field(pattern=r"^(https?://\S+)?$")] = ""
    heading: list[str] = []


class _Answer(_Strict):
    question: str
    reply: str
    reasoning: str
    note: str
    state: TurnState
    reason: FinishReason | None
    model: _Name
    personality: _Name
    prompt_tokens: _Tokens
    cached_tokens: _Tokens
    completion_tokens: _Tokens
    first_token_seconds: _Seconds | None
    total_seconds: _Seconds | None
    rating: Annotated[int, Field(ge=-1, le=1)]
    finished_at: _Moment | None


class _Turn(_Strict):
    question: str
    asked_at: _Moment
    asked_by: _Name
    remarks: Annotated[list[_Remark], Field(max_length=MAX_TURNS)]
    files: Annotated[list[_File], Field(max_length=MAX_ANSWERS)]
    chosen: Annotated[int, Field(ge=0)]
    answers: Annotated[list[_Answer], Field(max_length=MAX_ANSWERS)]


class _ChatFile(_Strict):
    format: str
    version: int
    title: _Name
    personality: _Name
    turns: Annotated[list[_Turn], Field(min_length=1, max_length=MAX_TURNS)]


def read_chat(raw: bytes, now: datetime) -> Chat:
    """The chat of an exported file; its id is empty. Raises ``RequestError``.

    Nothing in it is of a time after ``now``.
    """
    if len(raw) > MAX_BYTES:
        raise RequestError(f"This file is larger than {MAX_BYTES // 1024**2} MB, too large a chat.")
    try:
        found = from_json(raw.removeprefix(_BOM), allow_inf_nan=False)
    except ValueError:
        raise RequestError("This file is no chat that Parley exported: it is not JSON.") from None
    _check_version(found)
    try:
        file = _ChatFile.model_validate_json(raw.removeprefix(_BOM))
    except ValidationError as error:
        _refuse(error.errors(include_url=False, include_input=False)[0])
    _check(file, now)
    return _chat(file)


def _check_version(found: Any) -> None:
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise RequestError(
            f"This file is no chat that Parley exported: it does not say 'format': '{FORMAT}'."
        )
    version = found.get("version")
    if type(version) is not int or version < 1:
        raise RequestError("The version of this file must be a whole number from 1.")
    if version > VERSION:
        raise RequestError(
            f"This chat was exported by a newer Parley (version {version} of the format, and I "
            f"know {VERSION}); please update Parley."
        )


def _refuse(problem: ErrorDetails) -> NoReturn:
    *where, key = problem["loc"] or ("file",)
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "too_short":
        raise RequestError("This file holds a chat without a single turn.")
    told = _IN_WORDS.get(kind)
    what = told.format_map(context) if told else problem["msg"].replace("Input should", "must", 1)
    if isinstance(key, int):
        where.append(key)
        raise RequestError(f"{_capital(_position(where))} of this file {what}.")
    raise RequestError(f"In {_position(where)}, {str(key)[:_MAX_SHOWN]!r} {what}.")


def _position(where: list[int | str]) -> str:
    """``turn 3, answer 1``."""
    named = [
        f"{str(name).removesuffix('s')} {number + 1}"
        for name, number in pairwise(where)
        if isinstance(number, int)
    ]
    return ", ".join(named) or "this file"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _check(file: _ChatFile, now: datetime) -> None:
    """What the types do not say."""
    latest = now + timedelta(days=1)  # clocks differ
    for number, turn in enumerate(file.turns, start=1):
        ends = [answer.finished_at for answer in turn.answers if answer.finished_at]
        if max([turn.asked_at, *ends]) > latest:
            raise RequestError(f"In turn {number}, a time lies in the future.")
        if turn.chosen > len(turn.answers) or (turn.answers and not turn.chosen):
            raise RequestError(f"In turn {number}, 'chosen' is not the number of an answer.")
        if any(not answer.state.is_finished for answer in turn.answers):
            raise RequestError(f"In turn {number}, an answer has not ended.")


def _chat(file: _ChatFile) -> Chat:
    turns = tuple(_turn(turn, number) for number, turn in enumerate(file.turns, start=1))
    last_at = turns[-1].asked_at
    summary = ChatSummary(
        id="",
        title=file.title,
        personality=file.personality,
        num_turns=len(turns),
        last_at=last_at,
    )
    return Chat(summary=summary, turns=turns, model="", window=0)


def _turn(turn: _Turn, number: int) -> ChatTurn:
    return ChatTurn(
        id="",
        number=number,
        question=turn.question,
        asked_at=turn.asked_at,
        answers=tuple(_answer(each, i) for i, each in enumerate(turn.answers, start=1)),
        chosen=turn.chosen,
        files=tuple(each.name for each in turn.files if each.kind == "file"),
        sources=tuple(
            Source(each.name, each.text, each.is_cut, each.kind, each.address, tuple(each.heading))
            for each in turn.files
            if each.text is not None
        ),
        asked_by=turn.asked_by,
        remarks=tuple((each.name, each.text) for each in turn.remarks),
    )


def _answer(answer: _Answer, number: int) -> ChatAnswer:
    return ChatAnswer(
        number=number,
        question=answer.question,
        reply=answer.reply,
        state=answer.state,
        note=answer.note,
        reasoning=answer.reasoning,
        reason=answer.reason,
        model=answer.model,
        personality=answer.personality,
        usage=Usage(answer.prompt_tokens, answer.cached_tokens, answer.completion_tokens),
        first_token_seconds=answer.first_token_seconds,
        total_seconds=answer.total_seconds,
        rating=answer.rating,
        finished_at=answer.finished_at,
    )

"""``python -m bot usage``: what an operator reads of who asked when."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.cli import usage
from bot.errors import StartError
from bot.generation import FinishReason, Usage
from bot.history import SqlThreadStore, open_store
from bot.stored import AnswerUsage, TurnState
from tests.bot.test_cli import parley
from tests.fakes.clock import START, FakeClock

PROGRAM = AnswerUsage(
    answer_id="chatcmpl-1",
    asked_at=START,
    person="http:ci/ann",
    platform="/v1/chat/completions",
    personality="coder",
    model="smollm2",
    state=TurnState.DONE,
    finish_reason=FinishReason.LENGTH,
    queue_seconds=0.25,
    first_token_seconds=0.5,
    total_seconds=2.0,
    usage=Usage(1900, 400, 52),
    rating=1,
)
TURN = replace(
    PROGRAM,
    answer_id="7",
    asked_at=START + timedelta(hours=1),
    person="slack:T1/U1",
    platform="slack",
    place="slack:T1/C1/1.0",
    personality="assistant",
    first_token_seconds=1.5,
    total_seconds=4.0,
    rating=-1,
)
STOPPED = AnswerUsage(
    answer_id="8",
    asked_at=START + timedelta(hours=2),
    person="slack:T1/U2",
    platform="slack",
    personality="assistant",
    model="smollm2",
    state=TurnState.STOPPED,
)
ROWS = [PROGRAM, TURN, STOPPED]


def cells(line: str) -> list[str]:
    return line.split()


def test_each_answer_is_a_line_with_who_when_and_how_long() -> None:
    head, first, _, third = usage.as_table(ROWS, None)
    assert head.startswith("asked at (UTC)       person ")
    assert cells(first) == [
        *("2026-01-05", "09:00:00", "http:ci/ann", "/v1/chat/completions", "coder", "smollm2"),
        *("length", "0.25", "0.50", "2.00", "1,900", "400", "52", "+1"),
    ]
    assert cells(third)[3:] == ["slack", "assistant", "smollm2", "stopped", *"---", *"000"]


def test_columns_stand_below_their_names() -> None:
    head, *lines = usage.as_table(ROWS, None)
    assert {len(line) for line in lines} == {len(head)}
    end = head.index("in all") + len("in all")
    assert [line[:end].split()[-1] for line in lines] == ["2.00", "4.00", "-"]


def test_a_long_log_shows_its_newest_lines_and_says_so() -> None:
    rows = [replace(PROGRAM, person=f"http:ci/{number}") for number in range(1060)]
    _, *lines, last = usage.as_table(rows, None)
    assert cells(lines[-1])[2] == "http:ci/1059"
    assert len(lines) == usage.MAX_LINES
    assert last == "1,010 earlier answers are left out; --json has them all."


def test_groups_are_counted_with_medians_and_votes_the_largest_first() -> None:
    head, slack, api, total = usage.as_table(ROWS, "platform")
    assert cells(head)[:4] == ["platform", "answers", "people", "stopped"]
    assert cells(slack) == [
        *("slack", "2", "2", "1", "0", "1.50", "4.00", "1,900", "400", "52", "0", "1")
    ]
    assert cells(api)[0] == "/v1/chat/completions"
    assert cells(total) == [
        *("all", "3", "3", "1", "0", "1.00", "3.00", "3,800", "800", "104", "1", "1")
    ]


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("person", ["http:ci/ann", "slack:T1/U1", "slack:T1/U2"]),
        ("personality", ["assistant", "coder"]),
        ("model", ["smollm2"]),
        ("platform", ["slack", "/v1/chat/completions"]),
    ],
)
def test_it_is_counted_by_what_is_asked_for(by: usage.Grouping, names: list[str]) -> None:
    _, *lines = usage.as_table(ROWS, by)
    shown = [cells(line)[0] for line in lines if cells(line)[0] != "all"]
    assert shown == names
    assert [each[by] for each in json.loads("\n".join(usage.as_json(ROWS, by)))] == names


def test_programs_get_every_answer_with_plain_numbers() -> None:
    first, *_ = json.loads("\n".join(usage.as_json(ROWS, None)))
    assert first == {
        "answer_id": "chatcmpl-1",
        "asked_at": "2026-01-05T09:00:00+00:00",
        "person": "http:ci/ann",
        "platform": "/v1/chat/completions",
        "place": "",
        "personality": "coder",
        "model": "smollm2",
        "state": "done",
        "finish_reason": "length",
        "queue_seconds": 0.25,
        "first_token_seconds": 0.5,
        "total_seconds": 2.0,
        "prompt_tokens": 1900,
        "cached_tokens": 400,
        "completion_tokens": 52,
        "rating": 1,
    }


def test_where_nobody_asked_it_says_so() -> None:
    assert usage.as_table([], "person") == ["Nobody was answered in this time."]
    assert list(usage.as_json([], None)) == ["[]"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("30m", START - timedelta(minutes=30)),
        ("24h", START - timedelta(days=1)),
        ("7d", START - timedelta(days=7)),
        ("2w", START - timedelta(days=14)),
        ("999999w", datetime.min.replace(tzinfo=UTC)),
        ("2026-01-01", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-01-01T12:30+02:00", datetime(2026, 1, 1, 10, 30, tzinfo=UTC)),
    ],
)
def test_a_moment_can_be_written_as_people_do(text: str, found: datetime) -> None:
    assert usage.moment(text, START) == found


@pytest.mark.parametrize("text", ["yesterday", "7", "-1d", "2026-13-01", "7 d"])
def test_what_is_no_moment_is_refused_with_examples(text: str) -> None:
    with pytest.raises(StartError, match="as in 24h or 7d, or a day, as in 2026-11-01"):
        usage.moment(text, START)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[SqlThreadStore]:
    store = await open_store(f"sqlite:///{tmp_path / 'data' / 'parley.db'}", FakeClock())
    yield store
    await store.close()


async def test_it_reads_beside_a_parley_that_writes(
    running: SqlThreadStore, tmp_path: Path
) -> None:
    await running.add_usage(ROWS)
    told, written = await asyncio.gather(
        parley(tmp_path, "usage", "--by", "person", "--since", "2026-01-05T09:30", "--json"),
        asyncio.gather(*(running.add_usage([PROGRAM]) for _ in range(20))),
    )
    assert (told.code, told.err) == (0, "")
    assert [each["person"] for each in json.loads(told.out)] == ["slack:T1/U1", "slack:T1/U2"]
    assert len(written) == 20


async def test_where_parley_never_ran_one_sentence_says_so(tmp_path: Path) -> None:
    told = await parley(tmp_path, "usage")
    assert (told.code, told.out, told.err.count("\n")) == (2, "", 1)
    assert "nobody has been answered there yet" in told.err

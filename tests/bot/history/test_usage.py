"""The usage log on disk: what is kept of an answer, its votes, and what is left of it later."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bot.errors import DataError
from bot.generation import FinishReason, Usage
from bot.history import SqlThreadStore, open_store, usage
from bot.stored import AnswerUsage, TurnState
from tests.contracts.store import ANN, HERE, accepted, answered, ask, rate
from tests.fakes.clock import START, FakeClock

ROW = AnswerUsage(
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
    usage=Usage(9, 4, 2),
)


def turn_row(turn_id: str) -> AnswerUsage:
    return replace(ROW, answer_id=turn_id, person=ANN.id, platform="slack", place=str(HERE))


async def logged(path: Path, since: datetime | None = None) -> list[AnswerUsage]:
    return await asyncio.to_thread(lambda: list(usage.read(path, since)))


async def ratings(path: Path) -> list[int]:
    return [row.rating for row in await logged(path)]


async def test_a_row_is_read_as_it_was_written(sql_store: SqlThreadStore, path: Path) -> None:
    bare = AnswerUsage(
        answer_id="", asked_at=START, person="http:local", platform="http", state=TurnState.STOPPED
    )
    await sql_store.add_usage([ROW, bare])
    assert await logged(path) == [ROW, bare]


async def test_only_what_was_asked_since_a_moment_is_read(
    sql_store: SqlThreadStore, path: Path
) -> None:
    later = replace(ROW, asked_at=START + timedelta(hours=2))
    await sql_store.add_usage([later, ROW])
    assert await logged(path) == [ROW, later]
    assert await logged(path, START + timedelta(hours=1)) == [later]


@pytest.mark.parametrize(
    ("account", "is_its_own"),
    [("http:ci", True), ("http:c", False), ("http:_i", False), ("", False)],
)
async def test_only_the_account_that_asked_may_vote(
    sql_store: SqlThreadStore, path: Path, account: str, *, is_its_own: bool
) -> None:
    await sql_store.add_usage([ROW])
    assert await sql_store.vote("chatcmpl-1", account, -1) == is_its_own
    assert await ratings(path) == [-1 if is_its_own else 0]


async def test_nobody_can_vote_on_an_answer_that_was_never_given(
    sql_store: SqlThreadStore,
) -> None:
    assert not await sql_store.vote("chatcmpl-1", "http:ci", 1)


async def test_a_vote_can_be_changed_and_taken_back(sql_store: SqlThreadStore, path: Path) -> None:
    await sql_store.add_usage([ROW])
    for rating in (1, -1, 0):
        assert await sql_store.vote("chatcmpl-1", "http:ci", rating)
        assert await ratings(path) == [rating]


async def test_a_vote_on_a_turn_stands_in_the_log_whichever_comes_first(
    sql_store: SqlThreadStore, path: Path
) -> None:
    early = await answered(sql_store, ask("1"))
    late = await answered(sql_store, ask("2"))
    await rate(sql_store, early, 1)
    await sql_store.add_usage([turn_row(early.id), turn_row(late.id)])
    await rate(sql_store, late, -1)
    assert await ratings(path) == [1, -1]


async def test_an_answer_that_was_made_anew_has_its_own_vote(
    sql_store: SqlThreadStore, path: Path
) -> None:
    turn = await answered(sql_store, ask("1"))
    await sql_store.add_usage([turn_row(turn.id)])
    await rate(sql_store, turn, -1)
    await sql_store.requeue(turn.id)
    await rate(sql_store, turn, 1)
    assert await ratings(path) == [-1]
    await sql_store.finish(turn.id, TurnState.DONE, reply="Because of that.")
    await sql_store.add_usage([turn_row(turn.id)])
    assert await ratings(path) == [-1, 1]
    await rate(sql_store, turn, 0)
    assert await ratings(path) == [-1, 0]


async def test_what_is_forgotten_leaves_its_row_with_the_vote(
    sql_store: SqlThreadStore, path: Path
) -> None:
    turn = await answered(sql_store, ask("1"))
    await sql_store.add_usage([turn_row(turn.id)])
    await rate(sql_store, turn, 1)
    await sql_store.forget(HERE)
    assert await logged(path) == [replace(turn_row(turn.id), rating=1)]


async def test_old_rows_are_pruned_with_old_turns(sql_store: SqlThreadStore, path: Path) -> None:
    old = [replace(ROW, asked_at=START - timedelta(days=8)) for _ in range(500)]
    await sql_store.add_usage([*old, ROW])
    await sql_store.prune(None)
    assert len(await logged(path)) == 501
    await sql_store.prune(START - timedelta(days=7))
    assert await logged(path) == [ROW]


async def test_turns_from_before_there_was_a_log_are_in_it_with_their_votes(path: Path) -> None:
    store = await open_store(f"sqlite:///{path}", FakeClock())
    turn = await answered(store, ask("1"))
    await rate(store, turn, -1)
    await accepted(store, ask("2"))
    await store.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        for table in ("usage", "chat_turns", "answers", "listened_channels", "votes", "owed"):
            connection.execute(f"DROP TABLE {table}")
        connection.execute("ALTER TABLE threads DROP COLUMN title")
        connection.execute("ALTER TABLE turns DROP COLUMN asked_again_at")
        connection.execute("ALTER TABLE turns DROP COLUMN above")
        connection.execute("UPDATE alembic_version SET version_num = '0004'")
    store = await open_store(f"sqlite:///{path}", FakeClock())
    await store.close()
    (row,) = await logged(path)
    assert row == AnswerUsage(
        answer_id=turn.id,
        asked_at=START,
        person=ANN.id,
        platform="slack",
        place=str(HERE),
        state=TurnState.DONE,
        finish_reason=FinishReason.STOP,
        rating=-1,
    )


async def test_without_a_history_one_sentence_says_so(path: Path) -> None:
    with pytest.raises(DataError, match="nobody has been answered there yet"):
        await logged(path)


async def test_the_log_of_another_version_is_not_guessed_at(
    sql_store: SqlThreadStore, path: Path
) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("ALTER TABLE threads DROP COLUMN title")
        connection.execute("ALTER TABLE turns DROP COLUMN asked_again_at")
        connection.execute("ALTER TABLE turns DROP COLUMN above")
        connection.execute("UPDATE alembic_version SET version_num = '0004'")
    with pytest.raises(DataError, match="start this one once"):
        await logged(path)

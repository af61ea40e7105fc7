from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from bot.errors import DataError
from bot.history import SqlThreadStore, open_store
from tests.contracts.store import ELSEWHERE, HERE, accepted, answered, ask, texts
from tests.fakes.clock import START, FakeClock

SECRET = "the cake is in the attic"


def _on_disk(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in path.parent.rglob("*") if file.is_file())


async def _talk_about_the_secret(store: SqlThreadStore) -> None:
    """In long and in short, among turns that stay, so that pages are split and shared."""
    for number in range(60):
        await answered(store, ask(f"a{number}", SECRET * (number % 7 + 1)), SECRET * 50 * number)
        await store.add_remark(ask(f"b{number}", SECRET))
        await accepted(store, ask(f"c{number}", "Nice weather " * number, place=ELSEWHERE))


async def test_forgotten_text_is_nowhere_on_the_disk(sql_store: SqlThreadStore, path: Path) -> None:
    await _talk_about_the_secret(sql_store)
    assert SECRET.encode() in _on_disk(path)

    await sql_store.forget(HERE)

    assert SECRET.encode() not in _on_disk(path)
    assert len(await sql_store.turns(ELSEWHERE)) == 60


async def test_pruned_text_is_nowhere_on_the_disk(sql_store: SqlThreadStore, path: Path) -> None:
    await _talk_about_the_secret(sql_store)
    await sql_store.prune(START + timedelta(days=1))

    assert SECRET.encode() not in _on_disk(path)


async def test_a_backup_made_meanwhile_is_a_whole_store(
    sql_store: SqlThreadStore, tmp_path: Path
) -> None:
    await answered(sql_store, ask("1", "Is this safe?"), "It is.")
    copy = tmp_path / "copy.db"
    await sql_store.backup(copy)
    await accepted(sql_store, ask("2", "And this?"))

    assert copy.stat().st_mode & 0o777 == 0o600
    store = await open_store(f"sqlite:///{copy}", FakeClock())
    assert await texts(store) == ["Is this safe?"]
    assert await store.accept(ask("1")) is None
    await store.close()


async def test_a_backup_never_replaces_a_file(sql_store: SqlThreadStore, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    copy.write_text("last week's")

    with pytest.raises(DataError, match="exists already"):
        await sql_store.backup(copy)
    assert copy.read_text() == "last week's"


async def test_a_backup_into_a_missing_folder_is_refused(
    sql_store: SqlThreadStore, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        await sql_store.backup(tmp_path / "missing" / "copy.db")

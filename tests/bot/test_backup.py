"""``backup`` as an operator runs it, and the guide by which they put one back."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.history import open_store
from bot.history.backups import FOLDER
from tests.contracts.store import HERE, answered, ask, texts
from tests.fakes.clock import FakeClock
from tests.scenarios.command import bound_by_file_modes, command, full_disk

GUIDE = Path(__file__).parents[2] / "deploy" / "BACKUPS.md"
NOTHING: Callable[[], None] = lambda: None  # noqa: E731


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/data/parley.db"


async def fill(database: str, *questions: str) -> None:
    store = await open_store(database, FakeClock())
    for question in questions:
        await answered(store, ask(question, question))
    await store.close()


async def test_a_backup_made_while_parley_runs_can_be_put_back_as_the_guide_says(
    tmp_path: Path, database: str
) -> None:
    running = await open_store(database, FakeClock())
    await answered(running, ask("1", "Is this safe?"))
    done = await command(tmp_path, "backup")
    assert done.code == 0
    written = re.fullmatch(r"Written: (data/backups/parley-(\S+)\.db) \(0\.\d MB\)\.\n", done.out)
    assert written, done
    await answered(running, ask("2", "And this?"))
    await running.close()
    shutil.copy(tmp_path / "data/parley.db", tmp_path / "data/parley.db-wal")  # of a killed one

    (block,) = re.findall(r"^```sh\n(.*?)^```$", GUIDE.read_text(), re.M | re.S)
    restoring = await asyncio.create_subprocess_exec(
        *("bash", "-ec", block.replace("NAME", written[2])), cwd=tmp_path
    )
    assert await restoring.wait() == 0
    restored = await open_store(database, FakeClock())
    assert await texts(restored, HERE) == ["Is this safe?"]
    assert (tmp_path / "data/parley.db").stat().st_mode & 0o777 == 0o600
    await restored.close()


@pytest.mark.parametrize(
    ("to", "before", "sentence"),
    [
        ("kept.db", NOTHING, "kept.db exists already; name a new file for the backup."),
        ("away/it.db", NOTHING, "away/it.db cannot be written: No such file or directory."),
        ("locked/it.db", bound_by_file_modes, "locked/it.db cannot be written: Permission denied."),
        ("new.db", full_disk(40_000), "There is no room for the backup new.db; make some first."),
    ],
)
async def test_a_backup_that_cannot_be_made_is_one_sentence_and_no_file(
    tmp_path: Path, database: str, to: str, before: Callable[[], None], sentence: str
) -> None:
    await fill(database, "Is this safe? " * 400)
    (tmp_path / "kept.db").write_text("last week's")
    (tmp_path / "locked").mkdir(mode=0o500)
    done = await command(tmp_path, "backup", to, before=before)
    assert (done.code, done.out, done.err) == (2, "", f"{sentence}\n")
    assert (tmp_path / "kept.db").read_text() == "last week's"
    assert set(os.listdir(tmp_path)) == {"kept.db", "locked", "data"}
    assert os.listdir(tmp_path / "locked") == []


async def test_where_nobody_was_answered_there_is_nothing_to_back_up(tmp_path: Path) -> None:
    done = await command(tmp_path, "backup")
    assert done.code == 2
    assert "nothing is there to back up" in done.err
    assert not (tmp_path / "data" / FOLDER).exists()

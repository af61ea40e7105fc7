"""Saved states as files: one that this Parley did not write for this model is never used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bot.inference.core.saved_state import SavedState
from bot.inference.state_store.store import StateStore

STATE = bytes(range(256)) * 40


def thread(name: str | None = "slack:T01/C01/1", *, at: float = 1.0) -> SavedState:
    return SavedState(
        "slack:T01", name, [5, 70_000, 9], memoryview(STATE), num_bytes=len(STATE), saved_at=at
    )


def opened(folder: Path, model: str = "model") -> tuple[StateStore, list[SavedState], int]:
    store = StateStore(folder / "parked", model)
    return store, *store.open()


def files(folder: Path) -> list[Path]:
    return sorted((folder / "parked").glob("*.state"))


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """The file of one saved thread."""
    store, _, _ = opened(tmp_path)
    store.write(thread())
    (path,) = files(tmp_path)
    return path


def test_a_state_is_found_again_after_a_restart_with_its_thread_and_tokens(
    tmp_path: Path, written: Path
) -> None:
    store, (found,), num_ignored = opened(tmp_path)
    assert (found.scope, found.thread, found.tokens) == (
        "slack:T01",
        "slack:T01/C01/1",
        [5, 70_000, 9],
    )
    assert (found.state, found.num_bytes, num_ignored) == (None, len(STATE), 0)
    state = store.read(found, found.file)
    assert state is not None
    assert bytes(state) == STATE


def test_nobody_else_may_read_it_and_its_name_says_nothing(tmp_path: Path, written: Path) -> None:
    assert (tmp_path / "parked").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "parked").iterdir()} == {0o600}
    assert "slack" not in written.name


def damage_state(data: bytearray) -> None:
    data[-200] ^= 1


def damage_token(data: bytearray) -> None:
    data[-len(STATE) - 33] ^= 1


def damage_mac(data: bytearray) -> None:
    data[-1] ^= 1


@pytest.mark.parametrize("damage", [damage_state, damage_token, damage_mac])
def test_one_changed_bit_anywhere_and_it_is_not_used_but_deleted(
    tmp_path: Path, written: Path, damage: Callable[[bytearray], None]
) -> None:
    data = bytearray(written.read_bytes())
    damage(data)
    written.write_bytes(data)
    store, found, _ = opened(tmp_path)
    assert [store.read(saved, saved.file) for saved in found] == [None]
    assert files(tmp_path) == []


@pytest.mark.parametrize("keep", [0, 3, 20, 200, -1])
def test_a_truncated_file_is_ignored_counted_and_deleted(
    tmp_path: Path, written: Path, keep: int
) -> None:
    written.write_bytes(written.read_bytes()[:keep])
    assert opened(tmp_path)[1:] == ([], 1)
    assert files(tmp_path) == []


@pytest.mark.parametrize("head", [b"{}", b"[1, 2, 3, 4, 5, 6]", b'["a", "b", "c", -9, 1, 2]'])
def test_a_head_that_makes_no_sense_is_ignored(tmp_path: Path, head: bytes) -> None:
    folder = tmp_path / "parked"
    folder.mkdir()
    start = b"PARLEY\x00\x01" + len(head).to_bytes(4, "little")
    (folder / "bad.state").write_bytes(start + head + bytes(500))
    assert opened(tmp_path)[1:] == ([], 1)


def test_the_state_of_another_model_or_build_is_ignored_and_deleted(
    tmp_path: Path, written: Path
) -> None:
    assert opened(tmp_path, "another model")[1:] == ([], 1)
    assert files(tmp_path) == []


def test_without_the_key_nothing_is_trusted(tmp_path: Path, written: Path) -> None:
    (tmp_path / "parked" / "key").unlink()
    store, (found,), _ = opened(tmp_path)
    assert store.read(found, found.file) is None


def test_a_file_put_in_the_place_of_another_threads_is_not_used(
    tmp_path: Path, written: Path
) -> None:
    store, (found,), _ = opened(tmp_path)
    other = store.write(thread("slack:T01/C01/2"))
    assert store.read(found, other) is None


def test_of_two_states_of_a_thread_the_older_is_stale(tmp_path: Path) -> None:
    store, _, _ = opened(tmp_path)
    for at in (2.0, 1.0):
        store.write(thread(at=at))
    for at in (3.0, 4.0):
        store.write(thread(None, at=at))
    _, found, num_ignored = opened(tmp_path)
    assert [saved.saved_at for saved in found] == [2.0, 3.0, 4.0]
    assert num_ignored == 1
    assert len(files(tmp_path)) == 3


def test_a_half_written_file_is_deleted(tmp_path: Path, written: Path) -> None:
    (tmp_path / "parked" / "half.tmp").write_bytes(b"PARL")
    opened(tmp_path)
    assert {path.name for path in (tmp_path / "parked").iterdir()} == {"key", written.name}

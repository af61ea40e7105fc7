from __future__ import annotations

from pathlib import Path

from bot.inference.core.saved_state import SavedState
from bot.inference.state_store.folders import StateFolders
from bot.inference.state_store.store import StateStore


def filled(folder: Path, *models: str) -> StateFolders:
    """Each model keeps threads t1 and t2, parked at 1 and 2."""
    state_folders = StateFolders(folder)
    for model in models:
        store = StateStore(state_folders.of(model), model)
        store.open()
        for at in (1, 2):
            state = memoryview(b"state")
            store.write(SavedState("x", f"t{at}", [1, 2, 3], state, num_bytes=5, saved_at=at))
    return state_folders


def threads(state_folders: StateFolders, model: str) -> list[str | None]:
    found, _ = StateStore(state_folders.of(model), model).open()
    return [saved.thread for saved in found]


def test_what_a_model_kept_goes_with_the_model(tmp_path: Path) -> None:
    filled(tmp_path, "a", "b")
    (tmp_path / "notes.txt").write_text("not ours")
    (tmp_path / "before.state").write_text("a thread, when one model had the folder for itself")
    state_folders = StateFolders(tmp_path)
    state_folders.keep(["a", "c"])
    assert len(state_folders) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", state_folders.of("a").name}
    assert threads(state_folders, "a") == ["t1", "t2"]


def test_a_thread_is_forgotten_in_every_drawer_but_of_those_that_are_loaded(
    tmp_path: Path,
) -> None:
    state_folders = filled(tmp_path, "a", "b", "../c")
    state_folders.forget("x", "t1", ["b"])
    state_folders.forget("y", "t2", ["b"])
    assert [threads(state_folders, model) for model in ("a", "b", "../c")] == [
        ["t2"],
        ["t1", "t2"],
        ["t2"],
    ]


def test_what_was_parked_before_a_time_goes_and_what_nobody_can_read(tmp_path: Path) -> None:
    state_folders = filled(tmp_path, "a")
    (state_folders.of("a") / "half.state").write_bytes(b"PARL")
    state_folders.forget_before(2, [])
    assert threads(state_folders, "a") == ["t2"]
    assert len(list(state_folders.of("a").glob("*.state"))) == 1


def test_nothing_is_made_before_something_is_parked(tmp_path: Path) -> None:
    state_folders = StateFolders(tmp_path / "parked")
    state_folders.of("a")
    state_folders.forget("x", "t1", [])
    state_folders.keep(["a"])
    assert list(tmp_path.iterdir()) == []

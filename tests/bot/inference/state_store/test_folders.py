from __future__ import annotations

from pathlib import Path

from bot.inference.core.saved_state import SavedState
from bot.inference.state_store.folders import StateFolders
from bot.inference.state_store.store import StateStore


def filled(folder: Path, *models: str) -> StateFolders:
    """Each model has the threads t1 and t2, saved at 1 and 2."""
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


def test_the_states_of_a_model_are_deleted_with_the_model(tmp_path: Path) -> None:
    filled(tmp_path, "a", "b")
    (tmp_path / "notes.txt").write_text("not ours")
    (tmp_path / "before.state").write_text("a thread, when one model had the folder for itself")
    state_folders = StateFolders(tmp_path)
    state_folders.keep(["a", "c"])
    assert len(state_folders) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", state_folders.of("a").name}
    assert threads(state_folders, "a") == ["t1", "t2"]


def test_a_thread_is_forgotten_in_every_folder_but_those_of_loaded_models(
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


def test_states_saved_before_a_time_are_deleted_and_unreadable_ones_too(tmp_path: Path) -> None:
    state_folders = filled(tmp_path, "a")
    (state_folders.of("a") / "half.state").write_bytes(b"PARL")
    state_folders.forget_before(2, [])
    assert threads(state_folders, "a") == ["t2"]
    assert len(list(state_folders.of("a").glob("*.state"))) == 1


def test_no_folder_is_made_before_a_state_is_saved(tmp_path: Path) -> None:
    state_folders = StateFolders(tmp_path / "parked")
    state_folders.of("a")
    state_folders.forget("x", "t1", [])
    state_folders.keep(["a"])
    assert list(tmp_path.iterdir()) == []

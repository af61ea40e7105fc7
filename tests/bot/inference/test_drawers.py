from __future__ import annotations

from pathlib import Path

from bot.inference.core.saved_state import SavedState
from bot.inference.state_store.folders import StateFolders
from bot.inference.state_store.store import StateStore


def filled(folder: Path, *models: str) -> StateFolders:
    """Each model keeps threads t1 and t2, parked at 1 and 2."""
    drawers = StateFolders(folder)
    for model in models:
        shelf = StateStore(drawers.of(model), model)
        shelf.open()
        for at in (1, 2):
            state = memoryview(b"state")
            shelf.write(SavedState("x", f"t{at}", [1, 2, 3], state, num_bytes=5, saved_at=at))
    return drawers


def threads(drawers: StateFolders, model: str) -> list[str | None]:
    found, _ = StateStore(drawers.of(model), model).open()
    return [parked.thread for parked in found]


def test_what_a_model_kept_goes_with_the_model(tmp_path: Path) -> None:
    filled(tmp_path, "a", "b")
    (tmp_path / "notes.txt").write_text("not ours")
    (tmp_path / "before.state").write_text("a thread, when one model had the folder for itself")
    drawers = StateFolders(tmp_path)
    drawers.keep(["a", "c"])
    assert len(drawers) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", drawers.of("a").name}
    assert threads(drawers, "a") == ["t1", "t2"]


def test_a_thread_is_forgotten_in_every_drawer_but_of_those_that_are_loaded(
    tmp_path: Path,
) -> None:
    drawers = filled(tmp_path, "a", "b", "../c")
    drawers.forget("x", "t1", ["b"])
    drawers.forget("y", "t2", ["b"])
    assert [threads(drawers, model) for model in ("a", "b", "../c")] == [
        ["t2"],
        ["t1", "t2"],
        ["t2"],
    ]


def test_what_was_parked_before_a_time_goes_and_what_nobody_can_read(tmp_path: Path) -> None:
    drawers = filled(tmp_path, "a")
    (drawers.of("a") / "half.state").write_bytes(b"PARL")
    drawers.forget_before(2, [])
    assert threads(drawers, "a") == ["t2"]
    assert len(list(drawers.of("a").glob("*.state"))) == 1


def test_nothing_is_made_before_something_is_parked(tmp_path: Path) -> None:
    drawers = StateFolders(tmp_path / "parked")
    drawers.of("a")
    drawers.forget("x", "t1", [])
    drawers.keep(["a"])
    assert list(tmp_path.iterdir()) == []

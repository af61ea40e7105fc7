"""The queue of RemoteEngine: round robin over people."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.inference.remote.engine import RoundRobinQueue


def queue_of(*names: str) -> RoundRobinQueue[str]:
    """A queue in which ``ada1`` is a request of ada's."""
    waiting: RoundRobinQueue[str] = RoundRobinQueue()
    for name in names:
        waiting.add(name.rstrip("0123456789"), name)
    return waiting


def test_a_person_with_many_requests_does_not_keep_others_waiting() -> None:
    waiting = queue_of("ada1", "ada2", "ada3", "bob1", "eve1", "eve2")
    assert list(waiting) == ["ada1", "bob1", "eve1", "ada2", "eve2", "ada3"]


def test_a_person_with_a_running_reply_comes_after_one_without() -> None:
    waiting = queue_of("ada1")
    assert waiting.pop() == "ada1"
    waiting.add("ada", "ada2")
    waiting.add("bob", "bob1")
    assert list(waiting) == ["bob1", "ada2"]


def test_background_requests_come_last() -> None:
    waiting = queue_of("ada1")
    waiting.add("batch", "batch1", is_background=True)
    waiting.add("ada", "ada2")
    assert list(waiting) == ["ada1", "ada2", "batch1"]


def test_a_person_without_requests_starts_anew() -> None:
    waiting = queue_of("ada1", "ada2", "bob1")
    waiting.pop()
    waiting.leave("ada", "ada1")
    waiting.leave("ada", "ada2")
    waiting.add("ada", "ada3")
    assert list(waiting) == ["bob1", "ada3"]


@given(st.lists(st.sampled_from("abc"), max_size=30))
def test_everybody_is_served_once_and_nobody_twice_in_a_round(people: list[str]) -> None:
    waiting: RoundRobinQueue[tuple[str, int]] = RoundRobinQueue()
    for number, person in enumerate(people):
        waiting.add(person, (person, number))
    served = [waiting.pop() for _ in people]
    assert sorted(served, key=lambda each: each[1]) == list(
        zip(people, range(len(people)), strict=True)
    )
    present = set(people)
    first_round = [person for person, _ in served[: len(present)]]
    assert set(first_round) == present

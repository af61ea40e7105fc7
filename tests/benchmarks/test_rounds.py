"""Runs are compared only where both sides said as much, and have measured what they are for."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bot.metrics import Metrics
from tests.benchmarks import burst, command, counters
from tests.benchmarks.figures import Table
from tests.benchmarks.rounds import Found, alternate, difference, first_token
from tests.benchmarks.sides import EXAMPLES, PARLEY, Json, Run


def side(name: str, tokens: Sequence[int], begun: list[str], first: float = 1.0) -> Run:
    """Says as many tokens in its runs, one after the other; ``begun`` notes who ran when."""
    left = list(tokens)

    async def run(seed: int) -> Json:
        begun.append(f"{name} {seed}")
        return {"tokens": left.pop(0), "ttft_p50": first, "tokens_per_s": 100.0}

    return run


async def both(ours: Sequence[int], theirs: Sequence[int], num_wanted: int = 1) -> Found:
    runs = {PARLEY: side(PARLEY, ours, []), EXAMPLES: side(EXAMPLES, theirs, [])}
    return await alternate(runs, range(len(ours)), num_wanted)


def test_a_difference_is_a_share_of_the_longer_side() -> None:
    assert difference({"tokens": 97}, {"tokens": 100}) == pytest.approx(0.03)
    assert difference({"tokens": 100}, {"tokens": 97}) == pytest.approx(0.03)


async def test_who_begins_changes_from_round_to_round() -> None:
    begun: list[str] = []
    runs = {name: side(name, [1, 1], begun) for name in (PARLEY, EXAMPLES)}
    await alternate(runs, [7, 8], 2)
    assert begun == ["Parley 7", "examples/server 7", "examples/server 8", "Parley 8"]


async def test_a_run_that_said_differently_much_does_not_count_and_is_run_again() -> None:
    found = await both([384, 384], [371, 384])
    assert len(found.pairs[EXAMPLES]) == 1
    (note,) = found.notes
    assert note == "round 1: examples/server said 371 tokens and Parley 384: does not count"
    assert not found.failures


async def test_a_side_that_never_says_as_much_is_a_failure_and_has_no_row() -> None:
    found = await both([384, 384], [200, 200])
    assert found.failures == ["no run of examples/server was comparable"]
    assert burst.rows_of(8, found) == []


async def test_who_has_the_runs_that_are_wanted_is_not_run_again() -> None:
    begun: list[str] = []
    runs = {
        PARLEY: side(PARLEY, [100, 100], begun),
        EXAMPLES: side(EXAMPLES, [50, 100], begun),
        "other": side("other", [100], begun),
    }
    found = await alternate(runs, [1, 2, 3], 1)
    assert not found.failures
    assert begun[3:] == ["examples/server 2", "Parley 2"]


async def test_a_side_may_have_more_rounds_than_the_others() -> None:
    begun: list[str] = []
    names = (PARLEY, EXAMPLES, "other")
    runs = {name: side(name, [100, 100], begun) for name in names}
    found = await alternate(runs, [1, 2, 3], 1, {"other": 2})
    assert {name: len(pairs) for name, pairs in found.pairs.items()} == {EXAMPLES: 1, "other": 2}
    assert begun[3:] == ["other 2", "Parley 2"]


async def test_when_the_time_is_over_what_was_found_stands() -> None:
    begun: list[str] = []
    runs = {name: side(name, [100, 100], begun) for name in (PARLEY, EXAMPLES)}
    found = await alternate(runs, [1, 2], 2, max_seconds=0)
    assert begun == ["Parley 1", "examples/server 1"]
    assert found.names == [PARLEY, EXAMPLES]


async def test_a_row_tells_what_was_expected_and_whether_it_was_reached() -> None:
    runs = {PARLEY: side(PARLEY, [9], [], first=0.6), EXAMPLES: side(EXAMPLES, [9], [], first=1.0)}
    found = await alternate(runs, [1], 1)
    assert found.ratio(EXAMPLES, first_token) == pytest.approx(0.6)
    ours, theirs = burst.rows_of(8, found)
    assert ours == ("8", "Parley", "0.60", "", "100", "", "")
    assert theirs[-1] == "<= 0.65: met, >= 1: met"


def test_a_counter_that_stayed_0_is_told_and_one_that_moved_is_not() -> None:
    metrics = Metrics()
    metrics.prompt_tokens.labels("shared").inc(300)
    before = counters.parse(metrics.expose().decode())
    metrics.prompt_tokens.labels("resumed").inc(40)
    counted = counters.moved(before, counters.parse(metrics.expose().decode()))
    assert counters.unmoved(counted, [counters.RESUMED]) == []
    (sentence,) = counters.unmoved(counted, [counters.SHARED, counters.RESUMED])
    assert sentence.startswith(f"{counters.SHARED} stayed 0")
    assert counters.told(counted, [counters.RESUMED]).endswith('{source="resumed"} 40')


def test_the_counters_that_workloads_demand_are_parleys_own() -> None:
    metrics = Metrics()
    for source in ("shared", "resumed", "evaluated"):
        metrics.prompt_tokens.labels(source).inc(0)
    metrics.restored.labels("memory").inc(0)
    metrics.parked_bytes.labels("memory").set(0)
    known = counters.parse(metrics.expose().decode())
    demanded = (counters.SHARED, counters.RESUMED, counters.EVALUATED, counters.COMPLETED)
    offloading = (counters.PARKED, counters.RESTORED_FROM_MEMORY, counters.PARKED_IN_MEMORY)
    others = (counters.CANCELLED, counters.PREEMPTED, counters.HELD, counters.LOOPED)
    assert {*demanded, *offloading, *others} <= known.keys()


def test_make_bench_fails_where_something_could_not_be_measured_and_measures_the_rest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def broken(quick: bool) -> list[Table]:
        raise RuntimeError("the server ended")

    async def sound(quick: bool) -> list[Table]:
        return [Table("Sound", ("what",), [("all",)])]

    monkeypatch.setattr("sys.argv", ["benchmarks", "--quick"])
    with pytest.raises(SystemExit) as ended:
        command.run(broken, sound)
    assert ended.value.code == 1
    printed = capsys.readouterr().out
    assert "FAILED: it ended early: the server ended" in printed
    assert "### Sound" in printed

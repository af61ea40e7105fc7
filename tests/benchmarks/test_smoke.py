"""The benchmarks measure what they say; how fast Parley is, they tell when they are run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bot.generation import ChatMessage, Sampling
from bot.inference.llama.options import LlamaOptions
from bot.inference.scheduling.speculation import DraftCosts
from tests.benchmarks import acks, chat_load, cold_return, floor, lookup, slack_traffic, stop
from tests.benchmarks.bare import BareLoop, Slice, Weights, layout_of, layouts
from tests.benchmarks.chat_load import Reply
from tests.benchmarks.endless import StepNote
from tests.benchmarks.figures import Table, at_least, at_most, percentile
from tests.benchmarks.floor import Contest, Found
from tests.benchmarks.slack_traffic import Ack
from tests.benchmarks.stop import Stop

ROOT = Path(__file__).parents[2]

SMALL = LlamaOptions(num_cells=512, max_running=2, num_threads=1, max_ubatch=32)
"""One thread: two wait for each other at every step while other tests run beside."""

BURNS = """
import asyncio, time

def burn():
    until = time.thread_time() + 0.02
    while time.thread_time() < until:
        pass

async def main():
    asyncio.get_running_loop().call_soon(burn)
    await asyncio.sleep(0)
    await asyncio.sleep(0.02)

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1), (0.5, 50), (0.99, 99), (0.991, 100), (1.0, 100)]
)
def test_a_percentile_is_a_value_that_was_measured(share: float, expected: int) -> None:
    assert percentile(list(range(100, 0, -1)), share) == expected


def test_of_no_values_and_of_one_there_is_a_percentile_too() -> None:
    assert percentile([], 0.99) == 0
    assert percentile([7], 0.5) == 7


def test_a_table_is_markdown_that_can_stand_in_a_readme() -> None:
    table = Table("Speed", ("what", "ms"), [("a step", "12")], ["quiet"])
    assert str(table).splitlines() == [
        *("### Speed", "", "| what   | ms |", "| ------ | -- |", "| a step | 12 |"),
        *("", "- quiet"),
    ]


def test_what_was_expected_and_not_reached_leaps_to_the_eye() -> None:
    assert at_least(0.96, 0.95) == ">= 0.95: met"
    assert at_least(0.94, 0.95) == ">= 0.95: MISSED"
    assert at_most(101, 100) == "<= 100: MISSED"


def test_what_make_bench_runs_is_every_benchmark() -> None:
    sources = {path.stem: path.read_text() for path in Path(__file__).parent.glob("*.py")}
    benchmarks = {name for name, text in sources.items() if "\nasync def measure(" in text}
    workloads = {"burst", "threads", "long_paste", "cold_return", "crowd", "looped", "stop"}
    workloads |= {"depth", "lookup", "prompts", "neighbours", "rendering", "page", "start"}
    others = {"memory", "facts", "quotes", "acks", "floor", "grammar", "plan", "lag"}
    visible = {"slack_visible", "discord_defer", "discord_guilds", "discord_visible"}
    visible |= {"teams_visible", "teams_webhook"}
    assert benchmarks == workloads | others | visible
    assert all(f"{name}.measure" in sources["__main__"] for name in benchmarks)


def test_the_load_sums_up_what_its_users_saw() -> None:
    quick, slow = Reply(tokens=10), Reply(tokens=30)
    for at in (0.1, 0.2, 0.4):
        quick.take("a", at)
    slow.take("b", 0.5)
    out = chat_load.summary([quick, slow], 2.0, {"c": 2})
    assert (out["n"], out["tokens"], out["tokens_per_s"]) == (2, 40, 20.0)
    assert (out["ttft_p50"], out["ttft_max"]) == (0.3, 0.5)
    assert out["gap_p99"] == 0.2


def test_a_stop_is_counted_up_to_the_step_that_frees_its_place() -> None:
    ends_at = [1.0, 2.0, 3.0, 4.0]
    releases = [0, 0, 2, 1]
    steps = [StepNote(at, 8, 8, 0, num) for at, num in zip(ends_at, releases, strict=True)]
    stops = [Stop(1, 1.5), Stop(2, 2.5), Stop(2, 2.9)]
    freed = stop.freed_places(stops, steps)
    assert [each.steps for each in freed] == [2, 1, 2]
    assert [each.seconds for each in freed] == pytest.approx([1.5, 0.5, 1.1])


def test_of_the_events_five_in_a_hundred_are_questions() -> None:
    kinds = slack_traffic.PATTERN
    assert kinds.count("question") / len(kinds) == 0.05
    assert {"chatter", "reaction", "retry"} <= set(kinds)


def test_a_question_that_was_not_on_disk_or_not_taken_is_told() -> None:
    stored, lost = Ack("question", 200, 0.01, 0, True), Ack("question", 500, 0.01, 0, False)
    notes = acks.notes([stored, lost])
    assert "questions on disk when their answer left: 1 of 2" in notes
    assert any("500" in note for note in notes)


def test_a_callback_that_burns_time_is_named_with_what_it_burnt(tmp_path: Path) -> None:
    (tmp_path / "burns.py").write_text(BURNS)
    report = tmp_path / "report.json"
    environ = {"PYTHONPATH": f"{ROOT}:{tmp_path}"}
    command = [sys.executable, "-m", "tests.benchmarks.callbacks", str(report), "burns"]
    subprocess.run(command, check=True, env=environ, timeout=60)
    found = json.loads(report.read_text())
    (burnt,) = [each for each in found["kept"] if each["cpu"] >= 0.02]
    assert burnt["name"] == "burn"
    assert burnt["wall"] >= 0.02
    assert found["num_callbacks"] > 1


@pytest.mark.model
async def test_engine_and_bare_loop_decode_the_same_depth_side_by_side() -> None:
    async with floor.contestants(SMALL) as sides:
        found = await Contest(sides, 2, 40).held([SMALL], num_rounds=1, seconds=0.02)
        num_evaluated = sum(note.num_tokens for note in sides.model.steps[:2])
    (pair,) = found.pairs
    assert pair.bare.num_steps > 0
    assert pair.engine.num_steps > 0
    assert pair.ratio > 0
    assert num_evaluated <= 4, "the engine reads the prompts once"


@pytest.mark.model
def test_a_bare_loop_says_in_every_layout_what_the_model_says() -> None:
    weights = Weights(SMALL)
    prompt = weights.vocabulary.encode([ChatMessage("user", "Name the capital of France.")])
    assert len(prompt) > SMALL.max_ubatch + 1, "it is read in more than one step"
    for options in layouts(SMALL):
        loop = BareLoop(weights, options)
        loop.begin(prompt, [Sampling(temperature=0)] * 2)
        said: list[list[bytes]] = []
        for _ in range(6):
            loop.decode()
            said.append([weights.vocabulary.piece(token) for token in loop.last])
        texts = [b"".join(pieces) for pieces in zip(*said, strict=True)]
        assert texts == [b"The capital of France is Paris"] * 2, layout_of(options)
        loop.close()
    weights.close()


def test_the_best_loop_is_looked_for_among_those_that_came_close() -> None:
    one, other, slow = layouts(LlamaOptions())[:3]
    found = Found({one: Slice(8, 10, 1.0), other: Slice(8, 8, 1.0), slow: Slice(8, 7, 1.0)})
    assert found.close == [one, other]
    found.bare.update({one: [Slice(8, 10, 1.0)] * 3, other: [Slice(8, 11, 1.0)] * 3})
    found.engine.extend([Slice(8, 10, 1.0)] * 3)
    assert found.best == other
    assert [round(pair.ratio, 2) for pair in found.pairs] == [0.91] * 3


@pytest.mark.model
async def test_what_is_dictated_is_written_with_drafts_and_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Drafts are taken for cheap, however busy the processors are."""
    monkeypatch.setattr(DraftCosts, "observe", lambda *_: None)
    small = LlamaOptions(num_cells=1_024, max_running=1, num_threads=1)
    async with lookup.contest(small) as both:
        found = await both.rewriting(1, "Row = tuple[str, ...]\n" * 4)
    assert found.num_tokens > 30 > found.num_accepted > 0
    assert all(speed > 0 for pair in found.pairs for speed in pair)


@pytest.mark.model
async def test_threads_come_back_from_memory_from_disk_and_after_a_restart(tmp_path: Path) -> None:
    tiny = cold_return.Size(
        num_threads=5, num_words=30, max_memory=5 << 20, num_cells=256, num_anew=1
    )
    found = await cold_return.compare(
        tiny, LlamaOptions(num_cells=256, max_running=4, num_threads=1), tmp_path
    )
    cold_return.check(found)
    assert all(seconds > 0 for times in found.seconds.values() for seconds in times)


def test_a_cold_return_that_restored_nothing_is_no_result() -> None:
    found = cold_return.Found(seconds={cold_return.ANEW: [1.0], cold_return.MEMORY: [0.1]})
    with pytest.raises(RuntimeError, match="nothing was restored from disk, restart"):
        cold_return.check(found)

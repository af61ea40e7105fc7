"""A set as it is asked: in turns, several times, to its end or until somebody stops it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from bot.errors import EngineFailed, ParleyError, StartError
from bot.evaluation.cases import EvalSampling, EvalSet, Variant
from bot.evaluation.checks import Answered
from bot.evaluation.run import EvaluationRun
from bot.generation import ChatMessage
from tests.bot.evaluation.test_reading import ONE, read

THREAD = """\
title: T
cases:
  - name: thread
    turns:
      - {question: "One?", answer: "1"}
      - {question: "Two?", checks: [equals: answer 2]}
      - {question: "Three?", checks: [equals: other, max-tokens: 1]}
"""
JUDGED = ONE.replace("contains: so", "judge: It is polite.")


class Scripted:
    """Answers with the number of questions so far; each may wait, or fail."""

    def __init__(self, verdict: str = "yes") -> None:
        self.asked: list[tuple[str, tuple[str, ...], int]] = []
        self.judged: list[str] = []
        self.verdict = verdict
        self.failures: dict[str, ParleyError] = {}
        self.held: set[str] = set()
        self.holds_verdict = False
        self.are_held = asyncio.Event()
        self.num_at_once = self.most_at_once = 0

    async def answer(
        self, variant: Variant, thread: Sequence[ChatMessage], sampling: EvalSampling, number: int
    ) -> Answered:
        self.num_at_once += 1
        self.most_at_once = max(self.most_at_once, self.num_at_once)
        try:
            return await self._answer(variant, thread, number)
        finally:
            self.num_at_once -= 1

    async def _answer(
        self, variant: Variant, thread: Sequence[ChatMessage], number: int
    ) -> Answered:
        self.asked.append((str(variant), tuple(m.content for m in thread), number))
        await asyncio.sleep(0)
        question = thread[-1].content
        if question in self.failures:
            raise self.failures[question]
        if question in self.held:
            if self.num_at_once == len(self.held):
                self.are_held.set()
            await asyncio.Event().wait()
        return Answered(f"answer {(len(thread) + 1) // 2}", 4, 0.5, "m")

    async def judge(self, asked: Sequence[ChatMessage]) -> str:
        self.judged.append(asked[-1].content)
        if self.holds_verdict:
            self.are_held.set()
            await asyncio.Event().wait()
        return self.verdict


def evaluation(asked: EvalSet, who: Scripted, told: list[bool] | None = None) -> EvaluationRun:
    told = [] if told is None else told
    return EvaluationRun(asked, who, "assistant", told.append)


async def read_beside(folder: Path, text: str) -> EvalSet:
    return await asyncio.to_thread(read, folder, text)


def many(num: int) -> str:
    cases = "".join(
        f"  - {{name: c{n}, question: 'Q{n}?', checks: [contains: answer]}}\n" for n in range(num)
    )
    return f"title: Many\ncases:\n{cases}"


async def test_a_thread_is_asked_turn_by_turn_with_the_answers_there_were(tmp_path: Path) -> None:
    who, told = Scripted(), list[bool]()
    (run,) = await evaluation(await read_beside(tmp_path, THREAD), who, told).run(4)
    assert [asked for _, asked, _ in who.asked] == [
        ("One?", "1", "Two?"),
        ("One?", "1", "Two?", "answer 2", "Three?"),
    ]
    assert [(c.turn, c.kind, c.passed, c.is_limit) for c in run.checks] == [
        (2, "equals", True, False),
        (3, "equals", False, False),
        (3, "max-tokens", False, True),
    ]
    assert (run.passed, run.num_over, run.num_tokens, run.seconds) == (False, 1, 8, 1.0)
    assert run.answers == ("answer 2", "answer 3")
    assert told == [False]


async def test_a_limit_that_is_not_kept_is_told_and_fails_nothing(tmp_path: Path) -> None:
    text = ONE.replace("contains: so", "contains: answer") + "      - max-tokens: 1\n"
    (run,) = await evaluation(await read_beside(tmp_path, text), Scripted()).run(1)
    assert (run.passed, run.num_over) == (True, 1)


async def test_each_time_has_a_number_of_its_own_for_its_seed(tmp_path: Path) -> None:
    asked = await read_beside(
        tmp_path, ONE + "repeat: 3\nseed: 40\npersonalities: [assistant, coder]\n"
    )
    who = Scripted()
    runs = await evaluation(asked, who).run(2)
    assert [(run.variant.personality, run.number) for run in runs] == [
        (personality, number) for personality in ("assistant", "coder") for number in (1, 2, 3)
    ]
    assert sorted(number for _, _, number in who.asked) == [0, 0, 1, 1, 2, 2]
    assert [asked.sampling.chosen(number)["seed"] for number in (0, 2)] == [40, 42]


async def test_as_many_are_asked_at_once_as_may_be(tmp_path: Path) -> None:
    who = Scripted()
    await evaluation(await read_beside(tmp_path, many(20)), who).run(6)
    assert who.most_at_once == 6


@pytest.mark.parametrize(("said", "passed"), [("yes", True), ("no", False)])
async def test_the_judge_is_told_of_the_thread_the_answer_and_the_rubric(
    tmp_path: Path, said: str, passed: bool
) -> None:
    who = Scripted(json.dumps({"verdict": said}))
    (run,) = await evaluation(await read_beside(tmp_path, JUDGED), who).run(1)
    assert run.passed is passed
    (asked,) = who.judged
    assert all(part in asked for part in ("user: Why?", "answer 1", "It is polite."))


async def test_a_judge_without_a_verdict_is_an_error_of_that_case(tmp_path: Path) -> None:
    (run,) = await evaluation(await read_beside(tmp_path, JUDGED), Scripted("well, perhaps")).run(1)
    assert (run.passed, run.error) == (False, "The judge gave no verdict.")


async def test_a_question_that_fails_is_noted_and_the_others_are_asked(tmp_path: Path) -> None:
    who, told = Scripted(), list[bool]()
    who.failures["Q1?"] = EngineFailed("It broke.")
    runs = await evaluation(await read_beside(tmp_path, many(3)), who, told).run(2)
    assert [(run.case, run.error, run.passed) for run in runs] == [
        ("c0", "", True),
        ("c1", "It broke.", False),
        ("c2", "", True),
    ]
    assert sorted(told) == [False, False, True]


async def test_what_is_wrong_for_all_ends_everything_and_keeps_what_was_done(
    tmp_path: Path,
) -> None:
    who = Scripted()
    who.failures["Q2?"] = StartError("There is no model 'x'.")
    run = evaluation(await read_beside(tmp_path, many(9)), who)
    runs = await run.run(1)
    assert [each.case for each in runs] == ["c0", "c1"]
    assert str(run.failure) == "There is no model 'x'."
    assert len(who.asked) == 3


async def test_stopped_it_leaves_what_is_under_way_and_keeps_what_was_done(tmp_path: Path) -> None:
    who, told = Scripted(), list[bool]()
    who.held = {"Q2?", "Q3?"}
    run = evaluation(await read_beside(tmp_path, many(9)), who, told)
    running = asyncio.create_task(run.run(2))
    await who.are_held.wait()
    run.stop()
    assert [each.case for each in await running] == ["c0", "c1"]
    assert (run.is_stopped, run.failure, who.num_at_once) == (True, None, 0)
    assert told == [False, False]


async def test_an_answer_that_is_not_judged_yet_does_not_count_where_all_is_stopped(
    tmp_path: Path,
) -> None:
    who, told = Scripted(), list[bool]()
    who.holds_verdict = True
    run = evaluation(await read_beside(tmp_path, JUDGED), who, told)
    running = asyncio.create_task(run.run(1))
    await who.are_held.wait()
    run.stop()
    assert (await running, told) == ([], [])

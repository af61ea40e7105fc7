"""Asks the questions of a set and checks the answers, many at a time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic_evals import Case, Dataset
from pydantic_evals.evaluators import (
    EvaluationReason,
    EvaluationResult,
    Evaluator,
    EvaluatorContext,
)
from pydantic_evals.reporting import ReportCase

from bot.errors import EngineFailed, ParleyError, RequestError
from bot.evaluation.cases import AnswerCheck, EvalCase, EvalSampling, EvalSet, Variant
from bot.evaluation.checks import Answered, Verdict, verdict
from bot.evaluation.judge import question_of, verdict_of
from bot.evaluation.report import CheckResult, RunResult
from bot.generation import ChatMessage
from bot.tasks import unless

_KEPT, _OVER = "kept", "over"
_NO_VERDICT = "The judge gave no verdict."


class Respondent(Protocol):
    """Who answers, and who judges.

    ``RequestError`` and ``EngineFailed`` are about one question; others end the run.
    """

    async def answer(
        self, variant: Variant, thread: Sequence[ChatMessage], sampling: EvalSampling, number: int
    ) -> Answered: ...

    async def judge(self, asked: Sequence[ChatMessage]) -> str: ...


@dataclass(frozen=True, slots=True)
class _Asking:
    """What a case of the library asks."""

    variant: Variant
    case: EvalCase


@dataclass(slots=True)
class _Thread:
    """What comes of one run, the ``number``-th from 0: the turns that the model answered.

    ``error``: why there are no more. ``is_left``: somebody stopped it before its end.
    """

    number: int
    said: list[ChatMessage]
    answered: dict[int, Answered]
    error: str = ""
    is_left: bool = False


class EvaluationRun:
    """``advance`` is called after each run of a case, with whether it failed for an error.

    ``failure``: why everything ended before its end, unless somebody stopped it.
    """

    def __init__(
        self, asked: EvalSet, who: Respondent, default: str, advance: Callable[[bool], None]
    ) -> None:
        self._set = asked
        self._who = who
        self._default = default
        self._advance = advance
        self._numbers: Counter[_Asking] = Counter()
        self._stopping = asyncio.Event()
        self.failure: ParleyError | None = None

    def stop(self) -> None:
        """What is under way is left; what has been answered counts."""
        self._stopping.set()

    @property
    def is_stopped(self) -> bool:
        return self._stopping.is_set()

    async def run(self, num_at_once: int) -> list[RunResult]:
        """In the order of the set, without what was not asked to its end."""
        cases = [
            Case[_Asking, _Thread, Any](
                name=f"{variant}/{case.name}", inputs=_Asking(variant, case)
            )
            for variant, case in self._set.asked(self._default)
        ]
        dataset = Dataset[_Asking, _Thread, Any](
            name=self._set.title, cases=cases, evaluators=[_Checking(self._check)]
        )
        report = await dataset.evaluate(
            self._ask,
            name=self._set.title,
            max_concurrency=num_at_once,
            repeat=self._set.repeat,
            progress=False,
        )
        order = {case.inputs: place for place, case in enumerate(cases)}
        found = [each for each in report.cases if not each.output.is_left]
        found.sort(key=lambda each: (order[each.inputs], each.output.number))
        return [_result(each) for each in found]

    async def _ask(self, asking: _Asking) -> _Thread:
        """The task of the library: the questions of one case, each after the answer before."""
        thread = _Thread(self._numbers[asking], [], {})
        self._numbers[asking] += 1
        await self._noting(thread, self._converse(asking, thread))
        return thread

    async def _converse(self, asking: _Asking, thread: _Thread) -> None:
        for place, turn in enumerate(asking.case.turns):
            thread.said.append(ChatMessage("user", turn.question))
            text = turn.answer
            if text is None:
                answered = await self._who.answer(
                    asking.variant, tuple(thread.said), self._set.sampling, thread.number
                )
                thread.answered[place] = answered
                text = answered.text
            thread.said.append(ChatMessage("assistant", text))

    async def _check(self, asking: _Asking, thread: _Thread) -> dict[str, EvaluationReason]:
        """The evaluator of the library: all checks of one case."""
        found: dict[str, EvaluationReason] = {}
        if not (thread.error or thread.is_left):
            await self._noting(thread, self._judge_all(asking, thread, found))
        if not thread.is_left:
            self._advance(bool(thread.error))
        return found

    async def _judge_all(
        self, asking: _Asking, thread: _Thread, found: dict[str, EvaluationReason]
    ) -> None:
        for name, place, check in _checks(asking.case):
            found[name] = _reason(check, await self._verdict(check, thread, place))

    async def _verdict(self, check: AnswerCheck, thread: _Thread, place: int) -> Verdict:
        answered = thread.answered[place]
        if check.kind != "judge":
            return verdict(check, answered)
        (rubric,) = check.expected
        before = thread.said[: 2 * place + 1]
        judged = verdict_of(await self._who.judge(question_of(rubric, before, answered.text)))
        if judged is None:
            raise EngineFailed(_NO_VERDICT)
        return judged

    async def _noting(self, thread: _Thread, work: Coroutine[Any, Any, None]) -> None:
        """Until it ends, or everything is stopped. What is about this thread alone is noted."""
        if self.is_stopped:
            work.close()
            thread.is_left = True
            return
        try:
            thread.is_left = not await unless(self._stopping, _to_its_end(work))
        except (RequestError, EngineFailed) as error:
            thread.error = str(error)
        except ParleyError as error:
            self.failure = self.failure or error
            thread.is_left = True
            self.stop()


async def _to_its_end(work: Coroutine[Any, Any, None]) -> bool:
    await work
    return True


class _Checking(Evaluator[_Asking, _Thread, Any]):
    def __init__(
        self, check: Callable[[_Asking, _Thread], Awaitable[dict[str, EvaluationReason]]]
    ) -> None:
        self._check = check

    async def evaluate(
        self, ctx: EvaluatorContext[_Asking, _Thread, Any]
    ) -> dict[str, EvaluationReason]:
        return await self._check(ctx.inputs, ctx.output)


def _checks(case: EvalCase) -> Iterator[tuple[str, int, AnswerCheck]]:
    """Each with a name of its own, and the place of its turn."""
    for place, turn in enumerate(case.turns):
        for number, check in enumerate(turn.checks):
            yield f"{place + 1}.{number + 1} {check.kind}", place, check


def _reason(check: AnswerCheck, found: Verdict) -> EvaluationReason:
    """A limit is a label of the library's, and no assertion, of which its rates are made."""
    label = _KEPT if found.passed else _OVER
    return EvaluationReason(label if check.is_limit else found.passed, found.reason)


def _result(reported: ReportCase[_Asking, _Thread, Any]) -> RunResult:
    asking, thread = reported.inputs, reported.output
    found: dict[str, EvaluationResult[Any]] = {**reported.assertions, **reported.labels}
    results = [
        CheckResult(
            turn=place + 1,
            kind=check.kind,
            passed=found[name].value in (True, _KEPT),
            is_limit=check.is_limit,
            reason=found[name].reason or "",
        )
        for name, place, check in _checks(asking.case)
        if name in found
    ]
    answered = thread.answered.values()
    return RunResult(
        case=asking.case.name,
        fingerprint=asking.case.fingerprint,
        variant=asking.variant,
        number=thread.number + 1,
        answers=tuple(each.text for each in answered),
        models=tuple(dict.fromkeys(each.model for each in answered)),
        num_tokens=sum(each.num_tokens for each in answered),
        seconds=sum(each.seconds for each in answered),
        checks=tuple(results),
        error=thread.error,
    )

"""Asks the questions, a few at the same time, behind everybody else."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bot.cli.answer import patiently
from bot.cli.answered_bar import AnsweredBar
from bot.cli.ask import Answerer, ParleyGone, answerer
from bot.cli.batch.answers import Record, Sink, sink_of
from bot.cli.batch.questions import BatchQuestion, Defaults, read_questions
from bot.config import Settings
from bot.errors import ParleyError, StartError, UnsupportedFormat


async def run(
    settings: Settings, path: Path, output: Path | None, defaults: Defaults, *, num_at_once: int
) -> int:
    """The number of questions that could not be answered."""
    questions = read_questions(path, await asyncio.to_thread(_source, path), defaults)
    sink = await asyncio.to_thread(sink_of, output, questions)
    if not sink.missing:
        return 0
    async with answerer(settings, defaults.personality, num_at_once=num_at_once) as who:
        batch = BatchRun(who, sink, defaults)
        with AnsweredBar(len(questions), len(questions) - len(sink.missing)) as bar:
            await batch.run(sink.missing, num_at_once, bar.advance)
    await asyncio.to_thread(sink.close)
    return batch.num_failed


def _source(path: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise StartError(f"{path} cannot be read: {error.strerror}.") from None


class BatchRun:
    def __init__(self, who: Answerer, sink: Sink, defaults: Defaults) -> None:
        self._who = who
        self._sink = sink
        self._defaults = defaults
        self._models: dict[str, str] = {}
        self.num_failed = 0

    async def run(
        self,
        questions: Sequence[BatchQuestion],
        num_at_once: int,
        advance: Callable[[int], None],
    ) -> None:
        """Raises ``ParleyGone`` where nobody answers any more, and ``StartError`` for a schema of
        all that cannot be followed, or a personality of all that is unknown: what is done is kept.
        """
        waiting, failure = iter(questions), None
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(num_at_once):
                    group.create_task(self._work(waiting, advance))
        except* ParleyError as errors:
            failure = _first(errors)
        if failure is not None:  # within except*, Debian 12's Python puts it into a group again
            raise failure

    async def _work(self, waiting: Iterator[BatchQuestion], advance: Callable[[int], None]) -> None:
        for question in waiting:
            record = await self.record(question)
            self.num_failed += "error" in record
            self._sink.put(question, record)
            advance(self.num_failed)

    async def record(self, question: BatchQuestion) -> Record:
        head = {question.key: question.id, "question": question.text}
        try:
            return {**head, **await self._answer(question)}
        except ParleyGone:
            raise
        except UnsupportedFormat as error:
            if question.asked.answer_format == self._defaults.answer_format:
                raise StartError(str(error)) from None  # it is that of all lines
            return {**head, "error": str(error)}
        except StartError as error:
            if question.asked.personality == self._defaults.personality:
                raise  # nobody of that name answers any line
            return {**head, "error": str(error)}
        except ParleyError as error:
            return {**head, "error": str(error)}

    async def _answer(self, question: BatchQuestion) -> Record:
        asked = question.asked
        personality = asked.personality or ""
        answer = await patiently(self._who, asked)
        if personality not in self._models:
            self._models[personality] = await self._who.model_of(personality)
        return answer.record(self._models[personality])


def _first(errors: BaseExceptionGroup[ParleyError]) -> ParleyError:
    found = errors.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found

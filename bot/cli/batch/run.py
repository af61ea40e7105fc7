"""Asks the questions, a few at the same time, behind everybody else."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bot.cli.answer import whole
from bot.cli.ask import Answerer, ParleyGone, answerer
from bot.cli.batch.answers import Record, Sink, sink_of
from bot.cli.batch.questions import BatchQuestion, Defaults, read_questions
from bot.config import Settings
from bot.errors import OverLimit, ParleyError, StartError, UnsupportedFormat

_MAX_TRIES = 100


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
        with _Bar(len(questions), len(questions) - len(sink.missing)) as bar:
            await batch.run(sink.missing, num_at_once, bar.advance)
    await asyncio.to_thread(sink.close)
    return batch.num_failed


def _source(path: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise StartError(f"{path} cannot be read: {error.strerror}.") from None


class _Bar:
    """On stderr, where a person sees it."""

    def __init__(self, num: int, num_done: int) -> None:
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self._progress = Progress(
            *columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal
        )
        self._task = self._progress.add_task("Answered", total=num, completed=num_done)

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def advance(self, num_failed: int) -> None:
        failed = f", {num_failed:,} failed" if num_failed else ""
        self._progress.update(self._task, advance=1, description=f"Answered{failed}")


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
        waiting = iter(questions)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(num_at_once):
                    group.create_task(self._work(waiting, advance))
        except* ParleyError as errors:
            raise _first(errors) from None

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
        """Where too many ask at once, the batch is the one that waits."""
        asked = question.asked
        personality = asked.personality or ""
        for _ in range(_MAX_TRIES):
            try:
                answer = await whole(self._who, asked)
                if personality not in self._models:
                    self._models[personality] = await self._who.model_of(personality)
                return answer.record(self._models[personality])
            except OverLimit as limit:
                refusal = limit
                await asyncio.sleep(limit.retry_after)
        raise refusal


def _first(errors: BaseExceptionGroup[ParleyError]) -> ParleyError:
    found = errors.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found

"""How fast answers are that are held to a format, and their steps, beside free text."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Any

from bot.answer_formats import AnswerFormat, JsonSchema
from bot.generation import ChatMessage, GenerationRequest
from bot.inference.engine.service import InferenceService
from bot.metrics import Metrics
from tests.benchmarks import command
from tests.benchmarks.endless import EndlessModel, StepNote, options
from tests.benchmarks.figures import Row, Table, at_least, at_most, milliseconds

NUM_SEQUENCES = (1, 8)
NUM_ROUNDS, NUM_TOKENS = 3, 192
LEAST_SPEED, MOST_STEP = 1.3, 1.1
_PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "maximum": 120}},
    "required": ["name", "age"],
}
_BOOKING: dict[str, Any] = {
    "type": "object",
    "properties": {
        "number_of_guests": {"type": "integer", "minimum": 1, "maximum": 8},
        "breakfast_included": {"type": "boolean"},
        "preferred_room_type": {"enum": ["single", "double", "family"]},
        "arrives_after_midnight": {"type": "boolean"},
        "payment_method": {"enum": ["credit card", "bank transfer", "cash"]},
    },
}
_BOOKING["required"] = list(_BOOKING["properties"])
FIXED_KEYS = "a list of bookings"
FORMATS: dict[str, AnswerFormat | None] = {
    "free text": None,
    "a long string": JsonSchema('{"type": "string", "minLength": 1900}'),
    "a list of people": JsonSchema(
        json.dumps({"type": "array", "items": _PERSON, "minItems": 1_000})
    ),
    FIXED_KEYS: JsonSchema(json.dumps({"type": "array", "items": _BOOKING, "minItems": 1_000})),
}
_COLUMNS = (
    *("sequences", "format", "tokens/s", "to free text"),
    *("ms a step", "to free text", "longest", "forced"),
)
_NOTES = (
    "tokens/s: while all replies are under way; the median of the rounds",
    "ms a step: the median of those in which every reply got one token and nothing else was done",
    "longest: ms of a step in that time; it evaluates what was forced, within the limits "
    "that prompts have beside replies",
)


@dataclass
class _Figures:
    speeds: list[float] = field(default_factory=list)
    steps: list[float] = field(default_factory=list)
    longest: float = 0.0
    num_tokens: int = 0
    num_forced: int = 0

    def add(self, steps: Sequence[StepNote], num_sequences: int) -> None:
        """The steps of one round."""
        begun = max(number for number, note in enumerate(steps) if note.num_opened)
        ends = [n for n, note in enumerate(steps) if note.num_released and n > begun + 1]
        steps = steps[: ends[0] if ends else None]
        lasted = [note.ended_at - before.ended_at for before, note in pairwise(steps[begun:])]
        num_tokens = sum(note.num_generated for note in steps[begun + 1 :])
        self.speeds.append(num_tokens / sum(lasted))
        self.longest = max(self.longest, *lasted)
        self.steps += [
            seconds
            for seconds, note in zip(lasted, steps[begun + 1 :], strict=True)
            if note.num_tokens == note.num_sampled == num_sequences
        ]


async def measure(quick: bool) -> list[Table]:
    num_rounds, num_tokens = (1, 32) if quick else (NUM_ROUNDS, NUM_TOKENS)
    model, metrics = await asyncio.to_thread(_model), Metrics()
    service = InferenceService(
        model,
        metrics,
        max_running=max(NUM_SEQUENCES),
        max_waiting=max(NUM_SEQUENCES),
        loop_guard=False,
    )
    rows: list[Row] = []
    async with service as engine:
        for num_sequences in NUM_SEQUENCES:
            found = {name: _Figures() for name in FORMATS}
            for _ in range(num_rounds):
                for name in FORMATS:
                    before = _num_forced(metrics)
                    await _ask(model, engine, num_sequences, FORMATS[name], num_tokens)
                    found[name].add(model.steps, num_sequences)
                    found[name].num_tokens += num_sequences * num_tokens
                    found[name].num_forced += _num_forced(metrics) - before
            rows += _rows(num_sequences, found)
    failures = [] if _num_forced(metrics) else ["no token was forced by a grammar"]
    return [Table("Answers held to a format", _COLUMNS, rows, _NOTES, failures)]


def _model() -> EndlessModel:
    return EndlessModel(options(max_running=max(NUM_SEQUENCES)))


def _rows(num_sequences: int, found: Mapping[str, _Figures]) -> Iterator[Row]:
    free = found["free text"]
    for name, figures in found.items():
        speed = median(figures.speeds) / median(free.speeds)
        is_asked = name == FIXED_KEYS
        step = median(figures.steps) / median(free.steps) if figures.steps else 0.0
        yield (
            str(num_sequences),
            name,
            f"{median(figures.speeds):.0f}",
            f"{speed:.2f}" + (f" ({at_least(speed, LEAST_SPEED)})" if is_asked else ""),
            milliseconds(median(figures.steps)) if step else "",
            f"{step:.2f} ({at_most(step, MOST_STEP)})" if step else "",
            milliseconds(figures.longest),
            f"{figures.num_forced / figures.num_tokens:.0%}",
        )


def _num_forced(metrics: Metrics) -> int:
    return int(metrics.registry.get_sample_value("parley_grammar_forced_total") or 0)


async def _ask(
    model: EndlessModel,
    engine: InferenceService,
    num_sequences: int,
    answer_format: AnswerFormat | None,
    num_tokens: int,
) -> None:
    model.steps.clear()
    asked = (
        _read(engine, _request(number, answer_format, num_tokens))
        for number in range(num_sequences)
    )
    await asyncio.gather(*asked)


def _request(number: int, answer_format: AnswerFormat | None, num_tokens: int) -> GenerationRequest:
    question = ChatMessage("user", f"Tell me of people and rooms in story {number}, in JSON.")
    return GenerationRequest(
        messages=(question,),
        person=f"person {number}",
        max_tokens=num_tokens,
        answer_format=answer_format,
    )


async def _read(engine: InferenceService, request: GenerationRequest) -> None:
    async for _ in await engine.generate(request):
        pass


if __name__ == "__main__":
    command.run(measure)

"""What a step costs more when its replies are held to a format, measured in alternation."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from statistics import median

from bot.inference.engine.service import InferenceService
from bot.metrics import Metrics
from bot.types import AnswerFormat, ChatMessage, GenerationRequest, JsonSchema
from tests.benchmarks import command
from tests.benchmarks.endless import EndlessModel, options
from tests.benchmarks.figures import Row, Table, milliseconds

NUM_SEQUENCES = (1, 8)
NUM_ROUNDS, NUM_TOKENS = 3, 48
_PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "maximum": 120}},
    "required": ["name", "age"],
}
FORMATS: dict[str, AnswerFormat | None] = {
    "free text": None,
    "a long string": JsonSchema('{"type": "string", "minLength": 1900}'),
    "a list of people": JsonSchema(
        json.dumps({"type": "array", "items": _PERSON, "minItems": 1_000})
    ),
}
_COLUMNS = ("sequences", "format", "ms a step", "to free text", "forced")


async def measure(quick: bool) -> list[Table]:
    num_rounds, num_tokens = (1, 8) if quick else (NUM_ROUNDS, NUM_TOKENS)
    model = await asyncio.to_thread(_model)
    service = InferenceService(
        model, Metrics(), max_running=max(NUM_SEQUENCES), max_waiting=max(NUM_SEQUENCES)
    )
    rows: list[Row] = []
    async with service as engine:
        for num_sequences in NUM_SEQUENCES:
            rows += await _compare(model, engine, num_sequences, num_rounds, num_tokens)
    failures = [] if model.num_forced else ["no token was forced by a grammar"]
    note = "the median of decoding steps"
    return [Table("Answers held to a format", _COLUMNS, rows, [note], failures)]


def _model() -> EndlessModel:
    return EndlessModel(options(max_running=max(NUM_SEQUENCES)))


async def _compare(
    model: EndlessModel, engine: InferenceService, num_sequences: int, num_rounds: int, limit: int
) -> list[Row]:
    seconds: dict[str, list[float]] = {name: [] for name in FORMATS}
    forced = dict.fromkeys(FORMATS, 0)
    for _ in range(num_rounds):
        for name, answer_format in FORMATS.items():
            before = model.num_forced
            seconds[name] += await _steps(model, engine, num_sequences, answer_format, limit)
            forced[name] += model.num_forced - before
    free = median(seconds["free text"])
    num_tokens = num_rounds * num_sequences * limit
    return [
        (
            str(num_sequences),
            name,
            milliseconds(median(seconds[name])),
            f"{median(seconds[name]) / free:.2f}",
            f"{forced[name] / num_tokens:.0%}",
        )
        for name in FORMATS
    ]


async def _steps(
    model: EndlessModel,
    engine: InferenceService,
    num_sequences: int,
    answer_format: AnswerFormat | None,
    num_tokens: int,
) -> list[float]:
    """Seconds of the steps in which every reply got a token and nothing else was done."""
    model.steps.clear()
    asked = (
        _read(engine, _request(number, answer_format, num_tokens))
        for number in range(num_sequences)
    )
    await asyncio.gather(*asked)
    return [
        note.ended_at - before.ended_at
        for before, note in pairwise(model.steps)
        if note.num_tokens == note.num_sampled == num_sequences
    ]


def _request(number: int, answer_format: AnswerFormat | None, num_tokens: int) -> GenerationRequest:
    question = ChatMessage("user", f"Tell me of people in story {number}, in JSON.")
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

"""Answers of the real model in the format that was asked for."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from hypothesis import Phase, event, given, settings
from hypothesis import strategies as st

from bot.answer_formats import AnswerFormat, Grammar, JsonObject, JsonSchema, OneOf, Regex
from bot.errors import UnsupportedFormat
from bot.generation import ChatMessage, Delta, Finished, FinishReason, GenerationRequest, Sampling
from bot.inference.engine.service import InferenceService
from bot.inference.llama.model import LlamaModel
from bot.inference.llama.options import LlamaOptions
from bot.inference.model_files import locate
from bot.metrics import Metrics
from tests.bot.inference.grammar.schemas import FEATURES, Schema, features, schemas
from tests.bot.inference.grammar.test_schema import validate

pytestmark = pytest.mark.model


class Asking:
    """Questions to the real model, and what it counted."""

    def __init__(self, service: InferenceService, metrics: Metrics) -> None:
        self._service = service
        self._metrics = metrics

    def counted(self, name: str) -> float:
        return self._metrics.registry.get_sample_value(f"parley_{name}_total") or 0

    async def ask(
        self, question: str, answer_format: AnswerFormat, max_tokens: int = 1_500
    ) -> tuple[str, Finished]:
        request = GenerationRequest(
            messages=(ChatMessage("user", question),),
            person="ada",
            sampling=Sampling(temperature=0.5),
            max_tokens=max_tokens,
            answer_format=answer_format,
        )
        events = [event async for event in await self._service.generate(request)]
        assert isinstance(events[-1], Finished)
        return "".join(e.text for e in events if isinstance(e, Delta)), events[-1]


@asynccontextmanager
async def asking_of(num_cells: int) -> AsyncIterator[Asking]:
    options = LlamaOptions(num_cells=num_cells, max_running=4, num_threads=1)
    model = await asyncio.to_thread(lambda: LlamaModel(locate.locate("smollm2"), options))
    metrics = Metrics()
    async with InferenceService(model, metrics, max_running=4, max_waiting=8) as service:
        yield Asking(service, metrics)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def asking(runner: asyncio.Runner) -> Iterator[Asking]:
    stack = AsyncExitStack()
    yield runner.run(stack.enter_async_context(asking_of(num_cells=8_192)))
    runner.run(stack.aclose())


def test_whatever_the_schema_the_models_answer_is_valid(
    runner: asyncio.Runner, asking: Asking
) -> None:
    mix: Counter[str] = Counter()

    async def all_answers(wanted: list[Schema]) -> None:
        formats = [JsonSchema(json.dumps(schema)) for schema in wanted]
        asked = (asking.ask("Describe something in JSON.", each) for each in formats)
        for schema, (text, finished) in zip(wanted, await asyncio.gather(*asked), strict=True):
            assert finished.reason is FinishReason.STOP
            validate(schema, text)

    @settings(max_examples=4, deadline=None, derandomize=True, phases=[Phase.generate])
    @given(st.lists(schemas, min_size=4, max_size=4))
    def check(wanted: list[Schema]) -> None:
        for schema in wanted:
            present = set(features(schema))
            mix.update([*present, "all"])
            for feature in present:
                event(feature)
        runner.run(all_answers(wanted))

    check()
    assert {feature for feature in FEATURES if mix[feature] < mix["all"] / 10} == set()


@pytest.mark.parametrize(
    "question", ["Is Paris the capital of France?", "Is the moon made of cheese?", "Who are you?"]
)
def test_yes_or_no_is_the_whole_answer(
    runner: asyncio.Runner, asking: Asking, question: str
) -> None:
    text, finished = runner.run(asking.ask(question, OneOf(("yes", "no"))))
    assert text in ("yes", "no")
    assert finished.reason is FinishReason.STOP


def test_a_choice_is_one_of_its_options_whatever_they_begin_with(
    runner: asyncio.Runner, asking: Asking
) -> None:
    options = ("red", "red wine", "größer als", '"quoted" \\', "日本")
    for question in ("What would you drink?", "What is bigger?", "Where is Tokyo?"):
        text, _ = runner.run(asking.ask(question, OneOf(options)))
        assert text in options


def test_an_answer_follows_a_grammar_or_a_regular_expression(
    runner: asyncio.Runner, asking: Asking
) -> None:
    chess = Grammar('root ::= move move\nmove ::= [a-h] [1-8] "\\n"')
    text, finished = runner.run(asking.ask("What would you play?", chess))
    assert re.fullmatch(r"([a-h][1-8]\n){2}", text)
    assert finished.reason is FinishReason.STOP
    text, finished = runner.run(asking.ask("When?", Regex(r"at \d{1,2} o'clock")))
    assert re.fullmatch(r"at \d{1,2} o'clock", text)


def test_any_json_object_can_be_asked_for(runner: asyncio.Runner, asking: Asking) -> None:
    asked = asking.ask("Say hello in JSON, as {'hello': 'world'}.", JsonObject(), max_tokens=400)
    text, finished = runner.run(asked)
    if finished.reason is FinishReason.STOP:
        assert isinstance(json.loads(text), dict)
    assert text.startswith("{")


def test_what_the_format_left_no_choice_for_is_counted(
    runner: asyncio.Runner, asking: Asking
) -> None:
    before = asking.counted("grammar_forced")
    for only in ("0x7f", "llama"):
        text, _ = runner.run(asking.ask("Say hello.", OneOf((only,))))
        assert text == only
    assert asking.counted("grammar_forced") > before
    assert asking.counted("grammar_prefilled") > 0


def test_an_answer_cut_short_says_so(runner: asyncio.Runner, asking: Asking) -> None:
    schema = JsonSchema('{"type": "string", "minLength": 500}')
    text, finished = runner.run(asking.ask("Tell me a story.", schema, max_tokens=8))
    assert finished.reason is FinishReason.LENGTH
    assert text.startswith('"')


def test_a_format_that_cannot_be_followed_is_refused_before_anything_is_evaluated(
    runner: asyncio.Runner, asking: Asking
) -> None:
    async def ask_in_vain() -> None:
        with pytest.raises(UnsupportedFormat, match="endlessly recursive"):
            await asking.ask("Hello", JsonSchema('{"$ref": "#"}'))

    before = asking.counted("prompt_tokens"), asking.counted("completion_tokens")
    runner.run(ask_in_vain())
    assert (asking.counted("prompt_tokens"), asking.counted("completion_tokens")) == before


def test_a_preempted_answer_continues_in_its_format(runner: asyncio.Runner) -> None:
    """Two answers of a hundred tokens in a pool that holds one and a half."""
    numbers = {"type": "array", "items": {"enum": [1, 2, 3]}, "minItems": 40, "maxItems": 40}

    async def ask_two() -> None:
        async with asking_of(num_cells=192) as asking:
            asked = (asking.ask("Count.", JsonSchema(json.dumps(numbers))) for _ in range(2))
            for text, finished in await asyncio.gather(*asked):
                assert finished.reason is FinishReason.STOP
                validate(numbers, text)
            assert asking.counted("preempted") > 0

    runner.run(ask_two())

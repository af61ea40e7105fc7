"""``answers: quoted``: what is asked of the model, and what becomes of its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from bot.answer_formats import OneOf, Quoted
from bot.citations import with_sources
from bot.generation import ChatMessage, Finished, FinishReason, GenerationRequest, ToolUse
from bot.metrics import Metrics
from bot.ports import EngineGeneration
from bot.source import Source
from bot.strategies.answering import Answering
from bot.types import Personality
from tests import quotations
from tests.bot.strategies.asking import count, end_of, heard, text_of
from tests.fakes.clock import FakeClock
from tests.fakes.generator import ScriptedGenerator

HOUSE = Personality("house", "House", "Help.", facts="docs/handbook", answers="quoted")
REFUSAL = "I did not find this in handbook."
POOL = Source("pool.md", "The pool opens at nine.", kind="fact", heading=("Hours", "Summer"))
DOOR = Source(
    "door.md",
    "# The door\n\nIt is green.\nDogs stay outside of the pool.",
    kind="fact",
    address="https://example.org/door?a_b=*c*",
)
PAGE = Source("News", "The pool is empty.", kind="page", address="https://example.org/news")


class House:
    """A personality that quotes, with a scripted model."""

    def __init__(self, personality: Personality = HOUSE) -> None:
        self.model = ScriptedGenerator()
        self.metrics = Metrics()
        self.personality = personality
        self._answering = Answering(self.model, self.metrics, FakeClock())

    async def ask(
        self, question: str, *sources: Source, begun: str = "", **more: object
    ) -> EngineGeneration:
        asked = ChatMessage("user", with_sources(question, sources))
        goes_on = (ChatMessage("assistant", begun, is_open=True),) if begun else ()
        messages = (ChatMessage("system", "Help."), asked, *goes_on)
        request = GenerationRequest(messages=messages, person="ada", max_tokens=100)
        request = replace(request, **more)  # type: ignore[arg-type]
        return await self._answering.generate(request, self.personality, sources)

    async def answer(self, said: str, question: str, *sources: Source, begun: str = "") -> str:
        self.model.replies.append(said)
        return text_of(await heard(await self.ask(question, *sources, begun=begun)))

    def counted(self, outcome: str) -> float:
        return count(self.metrics, "quoted_answers_total", outcome=outcome)

    @property
    def request(self) -> GenerationRequest:
        return self.model.generations[-1].request

    @property
    def biases(self) -> list[tuple[int | str, float]]:
        return [*self.request.sampling.logit_bias]

    @property
    def said(self) -> Sequence[str]:
        """The sentences that the model may quote."""
        asked = self.request.answer_format
        assert isinstance(asked, Quoted)
        runs = [run for passage in asked.passages for run in passage.runs]
        return ["".join(each.text for each in run) for run in runs]


@pytest.fixture
def house() -> House:
    return House()


async def test_the_model_may_only_quote_and_the_last_line_names_the_sources(house: House) -> None:
    said = "> “Dogs stay outside of the pool.” [2]\n\n> “The pool opens at nine.” [1]"
    reply = await house.answer(said, "When does the pool open?", POOL, DOOR)
    assert reply == (
        f"{said}\n\nSources: [2] door.md (https://example.org/door?a_b=*c*); "
        "[1] pool.md › Hours › Summer"
    )
    assert quotations.faults(reply, (POOL, DOOR), REFUSAL) == []
    assert house.said == ["The pool opens at nine.", "It is green. Dogs stay outside of the pool."]
    assert await house.answer(REFUSAL, "And the dogs?", POOL, DOOR) == REFUSAL
    assert house.said == ["It is green. Dogs stay outside of the pool."]
    assert house.counted("quoted") == 1


async def test_people_see_what_stands_there_and_no_markup(house: House) -> None:
    text = "The pool is 2*3*4 m <b>deep</b>, see [here](https://example.org/pool)."
    pool = Source("__init__.md", text, kind="fact", address="https://example.org/a_*b*")
    escaped = r"The pool is 2\*3\*4 m \<b>deep\</b>, see [here\](https://example.org/pool)."
    reply = await house.answer(f"> “{escaped}” [1]", "Where is the pool?", pool)
    assert house.said == [escaped]
    assert reply.endswith(r"Sources: [1] \_\_init\_\_.md (https://example.org/a_*b*)")
    assert quotations.faults(reply, (pool,), REFUSAL) == []


async def test_only_what_is_quoted_is_named(house: House) -> None:
    reply = await house.answer(
        "> “It is green.” [2]", "How is the pool?\nIs the pool green?", POOL, DOOR
    )
    assert reply.endswith("\n\nSources: [2] door.md (https://example.org/door?a_b=*c*)")


async def test_the_model_may_refuse(house: House) -> None:
    assert await house.answer(REFUSAL, "Where is the green pool?", POOL, DOOR) == REFUSAL
    assert (house.counted("refused"), house.counted("quoted")) == (1, 0)


@pytest.mark.parametrize(
    ("language", "refusal"),
    [
        ("en-GB", REFUSAL),
        ("de", "Das habe ich in handbook nicht gefunden."),
        ("fr", "Je n’ai pas trouvé cela dans handbook."),
        ("fi", REFUSAL),
    ],
)
async def test_without_anything_to_quote_it_refuses_without_a_model(
    language: str, refusal: str
) -> None:
    house = House(replace(HOUSE, language=language))
    events = await heard(await house.ask("When does the pool open?"))
    assert (text_of(events), end_of(events).reason) == (refusal, FinishReason.STOP)
    assert not house.model.generations
    assert house.counted("empty") == 1


async def test_a_question_of_which_nothing_stands_in_a_passage_is_refused(house: House) -> None:
    events = await heard(await house.ask("What is the capital of Mongolia?", POOL, DOOR))
    assert text_of(events) == REFUSAL
    assert not house.model.generations


async def test_the_model_hears_how_much_of_the_question_stands_there(house: House) -> None:
    await house.answer(REFUSAL, "When does the pool open?", POOL)
    assert house.biases == [(">", 12.0)]
    await house.answer(REFUSAL, "Does the pool have showers, towels and lockers?", POOL)
    assert house.biases == []


async def test_a_page_that_was_read_needs_no_words_of_the_question(house: House) -> None:
    await house.answer(REFUSAL, "Sum it up, please: https://example.org/news", PAGE)
    assert house.biases == [(">", 12.0)]


async def test_a_stopped_quotation_is_closed_and_its_source_is_named(house: House) -> None:
    generation = await house.ask("When does the pool open?", POOL)
    call = await house.model.started()
    call.say("> “The pool op")
    assert [await anext(aiter(generation))] != []
    generation.cancel()
    events = await heard(generation)
    assert text_of(events) == "” … [1]\n\nSources: [1] pool.md › Hours › Summer"
    assert end_of(events).reason is FinishReason.CANCELLED
    assert call.is_cancelled


async def test_so_is_one_that_is_too_long(house: House) -> None:
    generation = await house.ask("When does the pool open?", POOL)
    call = await house.model.started()
    call.say("> “The pool opens at nine.” [")
    call.finish(FinishReason.LENGTH)
    events = await heard(generation)
    assert text_of(events).startswith("> “The pool opens at nine.” [1]\n\nSources: ")
    assert end_of(events).reason is FinishReason.LENGTH


async def test_what_goes_on_quotes_something_else_and_names_all(house: House) -> None:
    begun = "> “It is green.” [2]\n\nSources: [2] door.md"
    said = "\n\n> “The pool opens at nine.” [1]"
    reply = await house.answer(said, "And the pool?", POOL, DOOR, begun=begun)
    assert reply == f"{said}\n\nSources: [2] door.md ({DOOR.address}); [1] pool.md › Hours › Summer"
    assert house.said == ["The pool opens at nine."]


async def test_a_refusal_does_not_go_on(house: House) -> None:
    assert text_of(await heard(await house.ask("Pool?", POOL, begun=REFUSAL))) == ""
    assert not house.model.generations


async def test_a_program_with_a_format_or_tools_of_its_own_gets_that(house: House) -> None:
    for more in ({"answer_format": OneOf(("yes", "no"))}, {"tool_use": ToolUse((), frozenset())}):
        house.model.replies.append("no")
        events = await heard(await house.ask("Does the pool open?", POOL, **more))
        assert text_of(events) == "no"
        assert house.request.answer_format == more.get("answer_format")


async def test_penalties_do_not_keep_it_from_quoting_but_what_a_program_asks_for_counts(
    house: House,
) -> None:
    sampling = replace(GenerationRequest(person="").sampling, temperature=1.2, repeat_penalty=1.5)
    for asked, expected in ((frozenset[str](), 0.3), (frozenset({"temperature"}), 1.2)):
        house.model.replies.append(REFUSAL)
        await heard(await house.ask("The pool?", POOL, sampling=sampling, asked_sampling=asked))
        assert house.request.sampling.temperature == expected
        assert house.request.sampling.repeat_penalty == 1


async def test_a_model_that_fails_leaves_a_whole_quotation(house: House) -> None:
    generation = await house.ask("When does the pool open?", POOL)
    call = await house.model.started()
    call.say("> “The pool opens")
    call.finish(FinishReason.ERROR, "It broke.")
    events = await heard(generation)
    assert quotations.faults(text_of(events), (POOL,), REFUSAL) == []
    assert isinstance(events[-1], Finished)
    assert events[-1].detail == "It broke."
    await asyncio.sleep(0)

"""Which of its sources a personality reads: the model says, and trigger words where it does not."""

from __future__ import annotations

import pytest

from bot.answer_formats import OneOf
from bot.errors import EngineFailed, QueueFull, UnsupportedFormat
from bot.grounding.choice import Option, SourceChoice, options_of, triggered
from bot.metrics import Metrics
from bot.source import KnownSource
from bot.types import Personality
from tests.fakes.generator import ScriptedGenerator

NEWS = KnownSource("school", "https://school.example/feed", "feed", "News", ("school", "学校"))
HELP = KnownSource("help", "https://help.example", "page")
OPTIONS = (Option("school", "News of the school", ("school", "学校")), Option("help", "help"))


async def chosen(
    generator: ScriptedGenerator, text: str, metrics: Metrics | None = None
) -> str | None:
    choice = SourceChoice(generator, metrics or Metrics())
    earlier = ("First.", "Second.", "Third.")
    return await choice.choose(OPTIONS, text, earlier, model=None, person="ada", scope="W")


def counted(metrics: Metrics, by: str) -> float | None:
    return metrics.registry.get_sample_value("parley_source_choices_total", {"by": by})


def personality(*sources: KnownSource, facts: str | None = None) -> Personality:
    return Personality("p", "Lakeside", "You help.", sources=sources, facts=facts)


def test_the_fact_base_is_offered_beside_other_sources_only() -> None:
    assert [each.name for each in options_of(personality(NEWS, HELP, facts="f"))] == [
        "school",
        "help",
        "facts",
    ]
    assert options_of(personality(facts="f")) == ()


async def test_the_model_chooses_among_the_names_and_none() -> None:
    generator, metrics = ScriptedGenerator(), Metrics()
    generator.replies.append("help")
    assert await chosen(generator, "What is new at the school?", metrics) == "help"
    (asked,) = (each.request for each in generator.generations)
    assert asked.answer_format == OneOf(("school", "help", "none"))
    assert asked.sampling.is_greedy
    system, question = (message.content for message in asked.messages)
    assert "- school: News of the school" in system
    assert "school?" not in system
    assert question == "Question: Second.\nThird.\nWhat is new at the school?\nSource:"
    assert counted(metrics, "model") == 1


@pytest.mark.parametrize(
    "failure", [None, EngineFailed("Broken."), QueueFull(1.0), UnsupportedFormat("No grammar.")]
)
async def test_trigger_words_choose_where_the_model_does_not(
    failure: EngineFailed | QueueFull | UnsupportedFormat | None,
) -> None:
    generator, metrics = ScriptedGenerator(), Metrics()
    for _ in range(2):
        if failure is None:
            generator.replies.append("none")
        else:
            generator.failures.append(failure)
    assert await chosen(generator, "What is new at the School?", metrics) == "school"
    assert await chosen(generator, "What is new?", metrics) is None
    assert (counted(metrics, "trigger"), counted(metrics, "nobody")) == (1, 1)


async def test_an_answer_that_is_no_name_chooses_nothing() -> None:
    generator = ScriptedGenerator()
    generator.replies.append("The school, I think.")
    assert await chosen(generator, "What is new?") is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("New at school?", "school"),
        ("SCHOOL!", "school"),
        ("Preschool?", None),
        ("学校什么时候放假", "school"),
        ("", None),
    ],
)
def test_a_trigger_is_a_whole_word_where_words_have_spaces(text: str, name: str | None) -> None:
    assert triggered(OPTIONS, text) == name

"""A personality that only quotes, in a conversation: what people see, and what is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.answer_formats import Quoted
from bot.generation import ChatMessage, CompletionRequest, Delta
from bot.grounding.grounder import Grounder
from bot.stored import TurnState
from tests.bot import talk as talking_to
from tests.bot.talk import Talk, talking
from tests.fakes.pages import SEA, FakePages

ASKED = f"How deep is the sea? {SEA.address}"
QUOTATION = f"> “{SEA.text}” [1]"
SOURCES = f"Sources: [1] The sea ({SEA.address})"
REFUSAL = "I did not find this in handbook."


@pytest.fixture
async def talk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Talk]:
    (tmp_path / "handbook").mkdir()
    quoting = "---\ntitle: House\nfacts: ../handbook\nanswers: quoted\n---\nBe kind.\n"
    monkeypatch.setitem(talking_to.PERSONALITIES, "assistant", quoting)
    async with talking(tmp_path, grounder=Grounder(pages=FakePages(SEA))) as talk:
        yield talk


async def test_people_see_the_quotation_and_its_source_once(talk: Talk) -> None:
    question = await talk.answered(ASKED, QUOTATION)
    assert talk.visible() == [f"{QUOTATION}\n\n{SOURCES}"]
    assert (await talk.turn(question)).reply == f"{QUOTATION}\n\n{SOURCES}"


async def test_the_model_is_told_its_task_and_held_to_it(talk: Talk) -> None:
    await talk.answered(ASKED, QUOTATION)
    request = talk.generator.generations[-1].request
    told = request.messages[0].content
    assert told.startswith("Be kind.\n\nAnswer with the sentences below the question")
    assert told.endswith(f"say: {REFUSAL}")
    assert isinstance(request.answer_format, Quoted)


async def test_a_question_without_sources_is_refused_without_the_model(talk: Talk) -> None:
    question = await talk.ask("How deep is the sea?")
    assert (await talk.ended(question)).state is TurnState.DONE
    assert talk.visible() == [REFUSAL]
    assert not talk.generator.generations


async def test_a_refusal_names_no_source(talk: Talk) -> None:
    await talk.answered(ASKED, REFUSAL)
    assert talk.visible() == [REFUSAL]


async def test_what_is_stopped_says_nothing_by_halves(talk: Talk) -> None:
    question = await talk.ask(ASKED)
    (await talk.generation()).say("> “The sea is 11")
    await talk.sees("> “The sea is 11")
    await talk.command("stop")
    turn = await talk.ended(question)
    assert turn.reply == f"> “The sea is 11” … [1]\n\n{SOURCES}"
    assert talk.visible() == [f"{turn.reply}\n\n_(stopped)_"]


async def test_it_goes_on_with_what_was_not_quoted(talk: Talk) -> None:
    question = await talk.ask(ASKED)
    (await talk.generation()).say("> “The sea")
    await talk.sees("> “The sea")
    await talk.command("stop")
    begun = (await talk.ended(question)).reply
    talk.generator.replies.append(f"\n\n{QUOTATION}")
    await talk.ask("continue")
    await talk.sees(f"{begun}\n\n{QUOTATION}\n\n{SOURCES}")


async def test_a_program_gets_quotations_too(talk: Talk) -> None:
    talk.generator.replies.append(QUOTATION)
    request = CompletionRequest(
        account="local", personality="assistant", messages=(ChatMessage("user", ASKED),)
    )
    generation = await talk.service.complete(request)
    text = "".join([each.text async for each in generation if isinstance(each, Delta)])
    assert text == f"{QUOTATION}\n\n{SOURCES}"

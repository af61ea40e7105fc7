"""A personality with a model of its own, as people see it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.errors import EngineFailed, PersonalityError
from bot.generation import ChatMessage, CompletionRequest, Delta
from bot.ports import TextGenerator
from bot.prompt import check_prompts
from bot.stored import TurnState
from bot.types import Personality
from tests.bot.talk import Talk, talking
from tests.fakes.generator import ScriptedGenerator


class TwoModels(ScriptedGenerator):
    """The default one, and ``small`` with a narrow window, which plays by the same hands."""

    def __init__(self) -> None:
        super().__init__(window=4_096)
        self.small = ScriptedGenerator(window=200)
        self.is_there = True

    async def model(self, name: str) -> TextGenerator:
        if name != "small" or not self.is_there:
            raise EngineFailed(f"There is no model {name} any more.")
        return self.small


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    async with talking(tmp_path, generator=TwoModels()) as talk:
        file = tmp_path / "personalities" / "pirate.md"
        text = "---\ntitle: Pirate\nmodel: small\n---\nYou are a pirate.\n"
        await asyncio.to_thread(file.write_text, text)
        assert not await talk.service._services.personalities.refresh(talk.clock.now())
        await talk.command("personality", "pirate")
        yield talk


async def test_people_see_which_model_is_being_loaded(talk: Talk) -> None:
    await talk.ask("Who are you?")
    generation = await talk.generation()
    assert generation.request.model == "small"
    generation.queue(1, loading="small")
    await talk.until(lambda: talk.visible()[-1] == "Loading small…")
    generation.say("A pirate.")
    generation.finish()
    await talk.until(lambda: talk.visible()[-1] == "A pirate.")


async def test_the_prompt_fits_the_window_of_the_personality_s_own_model(talk: Talk) -> None:
    question = await talk.ask("word " * 300)
    assert (await talk.ended(question)).state is TurnState.FAILED
    assert "too long for the model" in talk.visible()[-1]


async def test_a_model_that_is_gone_is_told_in_one_sentence(talk: Talk) -> None:
    assert isinstance(talk.generator, TwoModels)
    talk.generator.is_there = False
    question = await talk.ask("Who are you?")
    assert (await talk.ended(question)).state is TurnState.FAILED
    assert talk.visible()[-1] == "There is no model small any more. Say `retry` to try again."


async def test_status_names_the_model_that_answers(talk: Talk) -> None:
    await talk.command("status")
    await talk.until(lambda: any("Model: small" in text for text in talk.visible()))


async def test_a_program_may_name_a_model_or_a_personality_that_has_one(talk: Talk) -> None:
    hello = (ChatMessage("user", "Hello?"),)
    for request in (
        CompletionRequest(account="local", messages=hello, model="small"),
        CompletionRequest(account="local", messages=hello, personality="pirate"),
    ):
        talk.generator.replies.append("Hi.")
        generation = await talk.service.complete(request)
        assert [event.text async for event in generation if isinstance(event, Delta)]
        asked = talk.generator.generations[-1].request
        assert (asked.model, asked.max_tokens) == ("small", 100)


async def test_a_prompt_is_checked_against_the_window_of_its_own_model(tmp_path: Path) -> None:
    long = Personality("long", "Long", "word " * 190, model="small")
    gone = Personality("gone", "Gone", "word", model="huge")
    with pytest.raises(PersonalityError) as refusal:
        await check_prompts(TwoModels(), [long, gone], folder=tmp_path, max_tokens=100)
    first, second = str(refusal.value).splitlines()
    assert "long.md: the prompt takes" in first
    assert "of the model's 200 tokens" in first
    assert "gone.md: There is no model huge any more." in second

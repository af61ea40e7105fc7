"""Personalities with strategies, as people in a chat see them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.generation import ChatMessage, CompletionRequest, FinishReason
from bot.history import usage
from bot.stored import TurnState
from tests.bot.chat.page import Page
from tests.bot.strategies.asking import ScriptedRemotes, text_of
from tests.bot.talk import StageClock, Talk, talking

FILES = {
    "router": "---\ntitle: Router\nstrategy: route\nremote: gpt-x\n---\nYou are brief.\n",
    "planner": "---\ntitle: Planner\nstrategy: plan\n---\nYou are thorough.\n",
}
HERE, THERE = "_Answered by scripted:_", "_Answered by gpt-x at api.example.com:_"
SHOWN = "_Answered by gpt-x at `api.example.com`:_"
"""An address in a reply is no link."""


@pytest.fixture
def remotes() -> ScriptedRemotes:
    return ScriptedRemotes()


@pytest.fixture
async def talk(tmp_path: Path, remotes: ScriptedRemotes) -> AsyncIterator[Talk]:
    async with talking(tmp_path, remotes=remotes) as talk:
        for name, text in FILES.items():
            await asyncio.to_thread((tmp_path / "personalities" / f"{name}.md").write_text, text)
        await talk.service._services.personalities.refresh(talk.clock.now())
        yield talk


async def test_people_see_who_answers_and_what_is_done_before(
    talk: Talk, remotes: ScriptedRemotes
) -> None:
    await talk.command("personality", "router")
    question = await talk.ask("Why is the sky blue?")
    local = await talk.generation()
    local.say("It is a mirror.")
    await talk.until(lambda: talk.visible()[-1] == "Answering…")
    local.finish()
    verdict = await talk.generation()
    await talk.until(lambda: talk.visible()[-1] == "Checking the answer…")
    verdict.say("bad")
    verdict.finish()
    await talk.until(lambda: bool(remotes.there.generations))
    await talk.until(lambda: talk.visible()[-1] == "Asking gpt-x at api.example.com…")
    remote = remotes.there.generations[0]
    remote.say("Light scatters.")
    await talk.until(lambda: talk.visible()[-1] == f"{SHOWN}\n\nLight scatters.")
    remote.finish()
    turn = await talk.ended(question)
    assert turn.state is TurnState.DONE
    assert (await talk.turn(question)).reply == f"{THERE}\n\nLight scatters."


async def test_the_usage_log_names_the_model_whose_answer_people_got(
    talk: Talk, remotes: ScriptedRemotes, tmp_path: Path
) -> None:
    await talk.command("personality", "router")
    talk.generator.replies += ["It is a mirror.", "bad", "At dusk.", "good"]
    remotes.there.replies.append("Light scatters.")
    for text in ("Why is the sky blue?", "When is it red?"):
        await talk.ended(await talk.ask(text))
        await talk.clock.advance(10)
    talk.generator.replies += ["It is a mirror.", "bad"]
    remotes.there.replies.append("Light scatters.")
    why = (ChatMessage("user", "Why?"),)
    asked = CompletionRequest(account="local", messages=why, personality="router")
    assert text_of([event async for event in await talk.service.complete(asked)])
    await talk.clock.advance(1)
    rows = await asyncio.to_thread(lambda: list(usage.read(tmp_path / "parley.db", None)))
    assert [row.model for row in rows] == ["gpt-x", "scripted", "gpt-x"]


async def test_the_page_names_it_below_the_answer(remotes: ScriptedRemotes, tmp_path: Path) -> None:
    (tmp_path / "personalities").mkdir()
    for name, text in FILES.items():
        (tmp_path / "personalities" / f"{name}.md").write_text(text)
    async with talking(tmp_path, clock=StageClock(), remotes=remotes) as talk:
        page = Page(talk)
        talk.generator.replies += ["It is a mirror.", "bad", "At dusk.", "good"]
        remotes.there.replies.append("Light scatters.")
        for text, model in (("Why is the sky blue?", "gpt-x"), ("When is it red?", "scripted")):
            turn = await page.ask(text, personality="router")
            assert (await page.shows(turn.id)).model == model
        page.close()


async def test_the_next_question_goes_on_where_the_answers_were(talk: Talk) -> None:
    await talk.command("personality", "router")
    talk.generator.replies += ["Light scatters.", "good", "At dusk.", "good"]
    await talk.ended(await talk.ask("Why is the sky blue?"))
    await talk.ended(await talk.ask("When is it red?"))
    assert talk.visible()[-1] == f"{HERE}\n\nAt dusk."
    asked = talk.generator.generations[2].request.messages
    assert [each.content for each in asked[-2:]] == ["Light scatters.", "When is it red?"]


async def test_a_stop_before_there_is_an_answer_leaves_none(
    talk: Talk, remotes: ScriptedRemotes
) -> None:
    await talk.command("personality", "router")
    question = await talk.ask("Why is the sky blue?")
    local = await talk.generation()
    local.say("It is")
    await talk.react(question.message_id, "raised_hand")
    assert (await talk.ended(question)).state is TurnState.STOPPED
    assert talk.visible()[-1] == "Stopped."
    assert local.is_cancelled
    assert remotes.wanted == []


async def test_an_answer_that_was_cut_off_goes_on_where_it_was_begun(
    talk: Talk, remotes: ScriptedRemotes
) -> None:
    await talk.command("personality", "router")
    talk.generator.replies += ["It is a mirror.", "bad"]
    question = await talk.ask("Why is the sky blue?")
    await talk.until(lambda: bool(remotes.there.generations))
    remotes.there.generations[0].say("Light")
    remotes.there.generations[0].finish(FinishReason.LENGTH)
    await talk.ended(question)
    remotes.there.replies.append(" scatters.")
    await talk.command("continue")
    await talk.until(lambda: talk.visible()[-1] == f"{SHOWN}\n\nLight scatters.")
    assert remotes.there.generations[-1].request.begun == "Light"
    assert len(talk.generator.generations) == 2


@pytest.mark.parametrize("again", ["edit", "retry"])
async def test_an_answer_anew_is_routed_anew(
    talk: Talk, remotes: ScriptedRemotes, again: str
) -> None:
    await talk.command("personality", "router")
    talk.generator.replies += ["It is a mirror.", "bad", "Light scatters.", "good"]
    remotes.there.replies.append("Because.")
    question = await talk.ask("Why is the sky blue?")
    await talk.ended(question)
    assert talk.visible()[-1] == f"{SHOWN}\n\nBecause."
    if again == "edit":
        await talk.edit(question, "Why is the sea blue?")
    else:
        await talk.command("retry")
    await talk.until(lambda: talk.visible()[-1] == f"{HERE}\n\nLight scatters.")


async def test_a_plan_grows_step_by_step_and_a_stop_keeps_it(talk: Talk) -> None:
    await talk.command("personality", "planner")
    question = await talk.ask("Why is the sky blue?")
    planning = await talk.generation()
    planning.say('{"steps": ')
    await talk.until(lambda: talk.visible()[-1] == "Planning…")
    planning.say('["Air", "Light"]}')
    planning.finish()
    first, second = await talk.generation(), await talk.generation()
    second.say("It scatters.")
    second.finish()
    await talk.until(lambda: talk.visible()[-1] == "2 steps, 1 done…")
    first.say("It is a gas.")
    await talk.until(lambda: talk.visible()[-1] == "**1. Air**\n\nIt is a gas.")
    await talk.react(question.message_id, "raised_hand")
    turn = await talk.ended(question)
    assert (turn.state, turn.reply) == (TurnState.STOPPED, "**1. Air**\n\nIt is a gas.")
    assert first.is_cancelled


async def test_programs_that_ask_for_the_personality_get_the_same(
    talk: Talk, remotes: ScriptedRemotes
) -> None:
    request = CompletionRequest(account="local", messages=(ChatMessage("user", "Why?"),))
    answers = {
        "router": (["A mirror.", "good"], f"{HERE}\n\nA mirror."),
        "planner": (
            [json.dumps({"steps": ["Air", "Light"]}), "Gas.", "Rays."],
            "**1. Air**\n\nGas.\n\n**2. Light**\n\nRays.",
        ),
        "pirate": (["Arr."], "Arr."),
    }
    for name, (replies, text) in answers.items():
        talk.generator.replies += replies
        asked = CompletionRequest(
            account=request.account, messages=request.messages, personality=name
        )
        events = [event async for event in await talk.service.complete(asked)]
        assert text_of(events) == text
    assert remotes.wanted == []
    assert talk.service._completions.in_flight == set()

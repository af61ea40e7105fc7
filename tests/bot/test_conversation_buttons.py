"""The buttons under a reply come with its last text, and work from that moment on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.generation import FinishReason
from bot.limits import Limits
from bot.stored import TurnState
from bot.types import (
    Label,
    Place,
    Rendered,
    ReplyEnd,
)
from tests.bot.talk import Talk, TalkClock, talking
from tests.bot.test_conversation_refused import ButtonsFakePlatform


class HurriedFakePlatform(ButtonsFakePlatform):
    """``command``: what somebody presses before Parley even knows that the buttons arrived."""

    talk: Talk
    command = ""

    async def finish(
        self,
        place: Place,
        message_id: str | None,
        text: Rendered,
        label: Label,
        end: ReplyEnd | None,
    ) -> str:
        message_id = await super().finish(place, message_id, text, label, end)
        command, self.command = self.command, ""
        if command:
            await self.talk.command(command, label.turn_id)
        return message_id


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    clock = TalkClock()
    platform = HurriedFakePlatform(clock, Limits(max_size=400))
    async with talking(tmp_path, clock=clock, platform=platform) as talk:
        platform.talk = talk
        yield talk


async def test_a_reply_costs_a_post_its_growth_and_one_last_edit(talk: Talk) -> None:
    question = await talk.ask("Why?")
    generation = await talk.generation()
    await talk.sees("Thinking…")
    generation.say("Be")
    await talk.sees("Be")
    generation.say("cause.")
    generation.finish()
    await talk.ended(question)
    await talk.clock.advance(60)
    assert [call.method for call in talk.platform.calls] == ["post", "edit", "edit"]


async def test_who_presses_retry_at_once_is_answered_again(talk: Talk) -> None:
    assert isinstance(talk.platform, HurriedFakePlatform)
    talk.platform.command = "retry"
    talk.generator.replies += ["One.", "Two."]
    question = await talk.ask("Why?")
    await talk.sees("Two.")
    turn = await talk.ended(question)
    assert (turn.reply, turn.state) == ("Two.", TurnState.DONE)


async def test_who_presses_continue_at_once_has_the_answer_go_on(talk: Talk) -> None:
    assert isinstance(talk.platform, HurriedFakePlatform)
    talk.platform.command = "continue"
    question = await talk.ask("Tell me.")
    generation = await talk.generation()
    generation.say("Once upon")
    generation.finish(FinishReason.LENGTH)
    talk.generator.replies.append(" a time.")
    await talk.sees("Once upon a time.")
    turn = await talk.ended(question)
    assert (turn.reply, turn.state) == ("Once upon a time.", TurnState.DONE)

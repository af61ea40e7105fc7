"""A message in Teams that an edit makes a question, or a command."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.stored import TurnState
from bot.turns.questions import EMPTY
from tests.adapters.teams.talk import Talk, talking
from tests.fakes.teams import FakeTeams
from tests.fakes.teams_activities import CHANNEL, PERSONAL, edit, message


@pytest.fixture
async def talk(teams: FakeTeams, tmp_path: Path) -> AsyncIterator[Talk]:
    async with talking(teams, tmp_path) as talk:
        yield talk


async def test_a_mention_alone_becomes_a_question(talk: Talk) -> None:
    alone = message("", "channel")
    await talk.say(alone)
    await talk.sees(CHANNEL, EMPTY)
    talk.generator.replies.append("It is blue.")
    await talk.say(edit(alone, "What colour is the sky?"))
    await talk.sees(CHANNEL, EMPTY, "It is blue.")
    assert await talk.state(alone) is TurnState.DONE


async def test_a_mistyped_stop_stops(talk: Talk) -> None:
    """The second message of a chat waits without a stream of its own."""
    asked = message("Count to a million.")
    generation = await talk.asked(asked)
    generation.say("One, two")
    await talk.sees(PERSONAL, "One, two")
    typo = message("sotp")
    await talk.say(typo)
    await talk.say(edit(typo, "stop"))
    assert await talk.state(asked) is TurnState.STOPPED
    assert await talk.state(typo) is TurnState.STOPPED
    assert len(talk.generator.generations) == 1

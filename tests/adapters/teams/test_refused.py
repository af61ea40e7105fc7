"""What a policy of Teams refuses to show: a sentence in its place, and a turn that says so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.errors import PlatformRefused, refusal_for_people
from bot.stored import TurnState
from tests.adapters.teams.talk import Talk, talking
from tests.fakes import teams as wire
from tests.fakes.teams import FakeTeams
from tests.fakes.teams_activities import CHANNEL, PERSONAL, message

SENTENCE = refusal_for_people(PlatformRefused("edit", "policy"))
CONVERSATIONS = pytest.mark.parametrize(
    ("scope", "conversation"), [("channel", CHANNEL), ("personal", PERSONAL)]
)


@pytest.fixture
async def talk(teams: FakeTeams, tmp_path: Path) -> AsyncIterator[Talk]:
    async with talking(teams, tmp_path) as talk:
        yield talk


@pytest.fixture(params=[(400, "BadArgument"), (403, "PolicyViolation")], ids=["400", "403"])
def policy(request: pytest.FixtureRequest) -> tuple[int, str]:
    found: tuple[int, str] = request.param
    return found


@CONVERSATIONS
async def test_a_text_that_a_policy_blocks_ends_as_a_sentence(
    talk: Talk, policy: tuple[int, str], scope: str, conversation: str
) -> None:
    talk.teams.filter["secret"] = policy
    asked = message("What is it?", scope)  # type: ignore[arg-type]
    generation = await talk.asked(asked)
    generation.say("It is ")
    await talk.sees(conversation, "It is")
    generation.say("the secret plan.")
    generation.finish()
    await talk.sees(conversation, SENTENCE)
    assert await talk.state(asked) is TurnState.FAILED


@CONVERSATIONS
async def test_a_first_text_that_a_policy_blocks_is_a_sentence(
    talk: Talk, policy: tuple[int, str], scope: str, conversation: str
) -> None:
    talk.teams.filter |= {"secret": policy, "Thinking": policy}
    talk.generator.replies.append("The secret plan.")
    asked = message("What is it?", scope)  # type: ignore[arg-type]
    await talk.say(asked)
    await talk.sees(conversation, SENTENCE)
    assert await talk.state(asked) is TurnState.FAILED


async def test_where_edits_are_refused_the_answer_is_another_message(
    talk: Talk, policy: tuple[int, str]
) -> None:
    asked = message("What is it?", "channel")
    generation = await talk.asked(asked)
    generation.say("It is ")
    await talk.sees(CHANNEL, "It is")
    talk.teams.fail("edit", *[wire.Fault(*policy)] * 3)
    generation.say("a plan.")
    generation.finish()
    await talk.sees(CHANNEL, "It is a plan.")
    assert await talk.state(asked) is TurnState.DONE


@pytest.mark.parametrize("code", ["BotDisabledByAdmin", "ConversationBlockedByUser"])
async def test_where_the_bot_may_say_nothing_the_turn_is_not_done(talk: Talk, code: str) -> None:
    talk.teams.filter[""] = (403, code)
    talk.generator.replies.append("A plan.")
    asked = message("What is it?", "channel")
    await talk.say(asked)
    assert await talk.state(asked) is TurnState.FAILED
    assert talk.teams.texts(CHANNEL) == []

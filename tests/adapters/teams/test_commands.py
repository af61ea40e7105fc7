"""Commands in Teams, as words and as buttons, and the greeting that offers them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.adapters.teams.talk import Talk, talking, until
from tests.fakes.teams import FakeTeams
from tests.fakes.teams_activities import (
    BOT,
    CONVERSATIONS,
    SCOPES,
    Json,
    Scope,
    installation,
    members_added,
    message,
    press,
)


@pytest.fixture
async def talk(teams: FakeTeams, tmp_path: Path) -> AsyncIterator[Talk]:
    async with talking(teams, tmp_path) as talk:
        yield talk


everywhere = pytest.mark.parametrize("scope", SCOPES)


async def answer(talk: Talk, scope: Scope, given: Json) -> Json:
    """The message that comes of it."""
    before = set(talk.teams.messages)
    await talk.say(given)
    await until(lambda: set(talk.teams.messages) != before)
    (new,) = set(talk.teams.messages) - before
    assert talk.teams.messages[new].conversation.startswith(CONVERSATIONS[scope])
    return talk.teams.messages[new].body


def buttons(body: Json) -> dict[str, Json]:
    """Title -> what a press of it sends."""
    (card,) = body["attachments"]
    return {each["title"]: each["data"] for each in card["content"]["actions"]}


@everywhere
@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("help", "Ask me anything"),
        ("status", "Model: scripted"),
        ("personality", "`pirate`: Arr."),
        ("personality pirate", "**Pirate** answers"),
        ("stop", "nothing of yours to stop"),
        ("retry", "nothing here to answer again"),
        ("forget", "nothing to forget"),
    ],
)
async def test_a_command_is_understood_as_a_word(
    talk: Talk, scope: Scope, word: str, said: str
) -> None:
    body = await answer(talk, scope, message(word, scope))
    assert said in body["text"]
    assert talk.generator.generations == [], "the model was not asked"


@everywhere
async def test_an_install_is_greeted_once_with_buttons_that_work(talk: Talk, scope: Scope) -> None:
    body = await answer(talk, scope, installation(scope))
    for again in (members_added(scope, BOT), installation(scope, "add-upgrade")):
        await talk.say(again)
    status = buttons(body)["Status"]
    told = await answer(talk, scope, press("the-greeting", status, scope))
    assert "Model: scripted" in told["text"]
    assert len(talk.teams.texts(CONVERSATIONS[scope])) == 2, "one greeting, one answer"


async def test_a_personality_is_picked_on_a_card(talk: Talk) -> None:
    offered = await answer(talk, "personal", message("personality"))
    pick = buttons(offered)["Pirate"]
    told = await answer(talk, "personal", press("the-card", pick))
    assert "**Pirate** answers in this thread from now on" in told["text"]
    talk.generator.replies.append("Arr.")
    await talk.say(message("Who are you?"))
    await until(lambda: bool(talk.generator.generations))
    assert "You are a pirate." in talk.generator.generations[0].request.messages[0].content

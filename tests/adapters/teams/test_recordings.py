"""What Teams really sends, in each scope, through the door that it comes in by.

Nobody here has a tenant to record in: the payloads are rebuilt, field by field, after the
sources that each file names, with ids of our own.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.types import (
    Command,
    Feedback,
    Incoming,
    Place,
    Question,
    QuestionDeleted,
    QuestionEdited,
    StopRequest,
)
from tests.adapters.teams.conftest import make_adapter, serving
from tests.contracts.adapter import listening
from tests.fakes.teams import FakeTeams
from tests.fakes.teams_activities import ADA_ENTRA, SCOPES, TENANT, Json, Scope

FOLDER = Path(__file__).with_name("recordings")
REPLY = "1771290108656"
CHANNEL, ROOT = "19:d441d38c655c47a085215b2726e76927@thread.tacv2", "1771290107407"


def recorded(scope: Scope, name: str) -> Json:
    content = json.loads((FOLDER / f"{scope}.json").read_text(encoding="utf-8"))
    activity: Json = content["activities"][name]
    return activity


class Bot(list[Incoming]):
    """Everything that was taken, in order."""

    def __init__(self, teams: FakeTeams) -> None:
        self._teams = teams

    async def __call__(self, incoming: Incoming) -> None:
        self.append(incoming)

    async def takes(self, scope: Scope, name: str) -> Incoming:
        """What comes of one activity; one thing, and accepted."""
        self.clear()
        assert await self._teams.deliver(recorded(scope, name)) in (200, 202)
        (incoming,) = self
        return incoming


@pytest.fixture
async def bot(teams: FakeTeams) -> AsyncIterator[Bot]:
    bot, adapter = Bot(teams), make_adapter(teams)
    async with serving(adapter, teams), adapter, listening(adapter, bot):
        yield bot


everywhere = pytest.mark.parametrize("scope", SCOPES)


@everywhere
async def test_a_message_is_a_question_of_who_wrote_it(bot: Bot, scope: Scope) -> None:
    question = await bot.takes(scope, "message")
    assert isinstance(question, Question)
    assert question.text == "What is a parley?"
    assert question.person.id == f"teams:{TENANT}/{ADA_ENTRA}"
    assert question.person.name == "Ada Lovelace"
    assert question.is_direct is (scope == "personal")
    assert question.is_mention is (scope != "personal")
    assert question.attachments == ()


async def test_a_message_in_a_channel_is_in_the_thread_of_its_root(bot: Bot) -> None:
    question = await bot.takes("channel", "message")
    assert question.place == Place("teams", TENANT, CHANNEL, ROOT)


async def test_a_mention_that_leaves_its_own_text_out_is_taken_out_all_the_same(
    bot: Bot, teams: FakeTeams
) -> None:
    given = recorded("channel", "message")
    del given["entities"][0]["text"]
    del given["conversation"]["conversationType"]
    assert await teams.deliver(given) == 202
    (question,) = bot
    assert isinstance(question, Question)
    assert question.text == "What is a parley?"
    assert question.is_mention
    assert not question.is_direct, "others read along in a channel"


@pytest.mark.parametrize(("scope", "is_direct"), [("groupChat", False), ("personal", True)])
async def test_a_conversation_that_does_not_say_its_kind_is_personal_only_if_nobody_reads_along(
    bot: Bot, teams: FakeTeams, scope: Scope, is_direct: bool
) -> None:
    given = recorded(scope, "message")
    del given["conversation"]["conversationType"]
    assert await teams.deliver(given) == 202
    (question,) = bot
    assert isinstance(question, Question)
    assert question.is_direct is is_direct


@everywhere
async def test_an_edit_and_an_undeletion_tell_what_the_message_says_now(
    bot: Bot, scope: Scope
) -> None:
    asked = await bot.takes(scope, "message")
    edited, restored = [await bot.takes(scope, name) for name in ("edit", "undelete")]
    assert isinstance(asked, Question)
    assert isinstance(edited, QuestionEdited)
    assert isinstance(restored, QuestionEdited)
    assert edited.message_id == restored.message_id == asked.message_id
    assert (edited.text, restored.text) == ("What is a truce?", "What is a parley?")
    assert edited.event_id != restored.event_id


@everywhere
async def test_a_deletion_names_the_message(bot: Bot, scope: Scope) -> None:
    deleted = await bot.takes(scope, "delete")
    assert isinstance(deleted, QuestionDeleted)
    assert deleted.message_id == recorded(scope, "message")["id"]


@everywhere
async def test_a_reaction_names_the_reply(bot: Bot, scope: Scope) -> None:
    stop = await bot.takes(scope, "reaction")
    assert isinstance(stop, StopRequest)
    assert (stop.message_id, stop.reaction) == (REPLY, "angry")


@everywhere
async def test_a_stop_button_names_the_reply(bot: Bot, scope: Scope) -> None:
    stop = await bot.takes(scope, "button")
    assert isinstance(stop, StopRequest)
    assert (stop.message_id, stop.reaction) == (REPLY, None)


@everywhere
async def test_feedback_names_the_reply_and_the_judgement(bot: Bot, scope: Scope) -> None:
    judged = await bot.takes(scope, "feedback")
    assert isinstance(judged, Feedback)
    assert (judged.message_id, judged.rating) == (REPLY, -1)


@everywhere
async def test_a_card_action_says_what_its_button_stands_for(bot: Bot, scope: Scope) -> None:
    said = await bot.takes(scope, "card action")
    assert isinstance(said, Question)
    assert said.text == "status"


@everywhere
async def test_the_two_activities_of_one_install_are_one_greeting(bot: Bot, scope: Scope) -> None:
    told = [await bot.takes(scope, name) for name in ("install", "members added")]
    assert all(isinstance(each, Command) and each.name == "greet" for each in told)
    assert len({each.event_id for each in told}) == 1


@everywhere
@pytest.mark.parametrize("name", ["reaction taken back", "uninstall"])
async def test_what_asks_for_nothing_is_acknowledged(
    bot: Bot, teams: FakeTeams, scope: Scope, name: str
) -> None:
    assert await teams.deliver(recorded(scope, name)) == 202
    assert bot == []


@everywhere
@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "quoted reply",
            "Is that so?\n\n[Message that is replied to, from Bob]\n"
            "> A parley is a talk between enemies.",
        ),
        (
            "forward",
            "Is that so?\n\n[Forwarded message]\n> A parley is a talk between enemies.",
        ),
        ("emoji", "Is that so 🙂"),
    ],
)
async def test_what_a_message_carries_beside_its_text_is_read(
    bot: Bot, scope: Scope, name: str, text: str
) -> None:
    question = await bot.takes(scope, name)
    assert isinstance(question, Question)
    assert question.text == text
    assert question.is_mention is (scope != "personal")


async def test_a_file_comes_with_the_address_it_is_fetched_from(bot: Bot) -> None:
    question = await bot.takes("personal", "message with a file")
    assert isinstance(question, Question)
    (file,) = question.attachments
    assert (file.name, file.media_type) == ("notes.txt", "text/plain")
    assert file.url.startswith("https://contoso-my.sharepoint.com/")

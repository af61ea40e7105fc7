"""What Teams delivers in each of its scopes, and what Parley takes of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.teams.events import read_activity
from bot.types import (
    Command,
    Feedback,
    Place,
    Question,
    QuestionDeleted,
    QuestionEdited,
    StopRequest,
)
from tests.fakes.teams_activities import (
    ADA_ENTRA,
    BOB,
    BOT,
    CHANNEL,
    GROUP,
    PERSONAL,
    ROOT,
    SCOPES,
    TENANT,
    Json,
    Scope,
    activity,
    deletion,
    edit,
    feedback,
    installation,
    invoke,
    members_added,
    mention,
    message,
    press,
    reaction,
)

PLACES: dict[Scope, Place] = {
    "personal": Place("teams", TENANT, PERSONAL, ""),
    "groupChat": Place("teams", TENANT, GROUP, ""),
    "channel": Place("teams", TENANT, CHANNEL, ROOT),
}
everywhere = pytest.mark.parametrize("scope", SCOPES)


def only(given: Json) -> Any:
    (incoming,) = read_activity(given)
    return incoming


@everywhere
def test_a_message_is_a_question_in_its_own_thread(scope: Scope) -> None:
    question = only(message("What is a turn?", scope, id="m-1"))
    assert isinstance(question, Question)
    assert (question.text, question.message_id) == ("What is a turn?", "m-1")
    assert question.place == PLACES[scope]
    assert question.person.id == f"teams:{TENANT}/{ADA_ENTRA}"
    assert question.person.name == "Ada Lovelace"
    assert question.is_direct is (scope == "personal")
    assert question.is_mention is (scope != "personal")
    assert question.sent_at == datetime(2026, 1, 5, 9, 0, 0, 123456, UTC)


@everywhere
def test_the_same_delivery_twice_is_the_same_event(scope: Scope) -> None:
    given = message("Once?", scope)
    assert only(given) == only(dict(given))


@everywhere
def test_an_edited_message_is_the_same_message_with_another_text(scope: Scope) -> None:
    asked = message("What is a trun?", scope, id="m-1")
    edited = only(edit(asked, "What is a turn?"))
    assert isinstance(edited, QuestionEdited)
    assert (edited.message_id, edited.text) == ("m-1", "What is a turn?")
    assert edited.event_id != only(asked).event_id
    assert edited.person == only(asked).person


@everywhere
def test_two_edits_of_one_message_are_two_events(scope: Scope) -> None:
    first = edit(message("a", scope), "b")
    second = {**first, "text": "c", "timestamp": "2026-01-05T09:06:00.1Z"}
    assert only(first).event_id != only(second).event_id


@everywhere
def test_a_deleted_message_is_a_deleted_question(scope: Scope) -> None:
    deleted = only(deletion(message("Never mind", scope, id="m-1")))
    assert isinstance(deleted, QuestionDeleted)
    assert deleted.message_id == "m-1"


@everywhere
def test_a_reaction_names_the_reply_it_is_on(scope: Scope) -> None:
    stop = only(reaction("m-9", "angry", scope=scope))
    assert isinstance(stop, StopRequest)
    assert (stop.message_id, stop.reaction) == ("m-9", "angry")
    assert stop.place == PLACES[scope]


def test_each_of_several_reactions_counts() -> None:
    names = [
        each.reaction
        for each in read_activity(reaction("m-9", "like", "1f6d1_stopsign"))
        if isinstance(each, StopRequest)
    ]
    assert names == ["like", "1f6d1_stopsign"]


@everywhere
def test_an_install_greets_once_however_it_is_told(scope: Scope) -> None:
    told = [
        installation(scope),
        installation(scope),
        installation(scope, "add-upgrade"),
        members_added(scope, BOB, BOT),
    ]
    greetings = [only(each) for each in told]
    assert {type(each) for each in greetings} == {Command}
    assert {(each.name, each.event_id) for each in greetings} == {
        ("greet", f"greet/{PLACES[scope].channel}")
    }


@pytest.mark.parametrize(
    "given",
    [
        installation(action="remove"),
        members_added("channel", BOB),
        activity("conversationUpdate", "channel", topicName="new name"),
        activity("typing"),
        activity("endOfConversation"),
        message("I am a bot, too") | {"from": {"id": "28:other", "name": "Other"}},
        message("I am a bot, too") | {"from": {"id": "29:x", "role": "bot"}},
        message("I am Parley") | {"from": {"id": BOT}},
        message("nobody") | {"from": {}},
        {**message("no id"), "id": ""},
        {**message("no place"), "conversation": {}},
        reaction("", "angry"),
        reaction("m-1"),
        invoke("message/submitAction", {"actionName": "other"}, replyToId="m-1"),
        invoke("task/fetch", {}),
    ],
)
def test_what_is_nobodys_question_is_nothing(given: Json) -> None:
    assert read_activity(given) == ()


@everywhere
@pytest.mark.parametrize(("name", "rating"), [("like", 1), ("dislike", -1)])
def test_feedback_is_a_judgement_on_the_reply(scope: Scope, name: str, rating: int) -> None:
    judged = only(feedback("m-9", name, scope))
    assert isinstance(judged, Feedback)
    assert (judged.message_id, judged.rating) == ("m-9", rating)


@everywhere
def test_the_stop_button_stops_the_reply_it_stands_under(scope: Scope) -> None:
    stop = only(press("m-9", {"parley": {"stop": True}}, scope))
    assert isinstance(stop, StopRequest)
    assert (stop.message_id, stop.reaction) == ("m-9", None)


@everywhere
def test_a_button_says_what_it_stands_for(scope: Scope) -> None:
    said = only(press("m-9", {"parley": {"says": "status"}}, scope))
    assert isinstance(said, Question)
    assert (said.text, said.is_mention) == ("status", True)


def test_what_was_picked_from_a_list_is_said() -> None:
    given = press("m-9", {"parley": {"picks": True}, "picked": "personality coder"})
    assert only(given).text == "personality coder"


def test_a_card_of_another_bot_is_an_empty_question_at_most() -> None:
    assert only(press("m-9", {"their": "data"})).text == ""


def test_only_the_bots_own_mention_is_taken_out() -> None:
    text = "<at>Parley</at> ask <at>Bob</at> or <at>Parley</at>&nbsp;"
    entities = [mention(), mention(BOB, "Bob")]
    question = only({**message("", "channel"), "text": text, "entities": entities})
    assert question.text == "ask @Bob or @Parley"
    assert question.is_mention
    assert question.mentions_others


def test_a_tag_that_somebody_typed_is_no_mention() -> None:
    question = only({**message("", "channel"), "text": "<at>Parley</at> hello", "entities": []})
    assert not question.is_mention


def test_formatted_text_is_read_without_its_tags() -> None:
    text = "<at>Parley</at> <b>bold</b><br>a &lt; b<p>end</p>"
    question = only({**message("", "channel"), "text": text, "textFormat": "xml"})
    assert question.text == "bold\na < bend"


def test_a_channel_message_without_a_thread_begins_one() -> None:
    given = message("Hello", "channel")
    given["conversation"]["id"] = CHANNEL
    assert only(given).place.thread == given["id"]


def test_a_file_is_an_attachment_and_the_copy_of_the_text_is_none() -> None:
    file = {
        "contentType": "application/vnd.microsoft.teams.file.download.info",
        "name": "report.pdf",
        "content": {"downloadUrl": "https://files.example/1", "fileType": "pdf", "uniqueId": "1"},
    }
    html = {"contentType": "text/html", "content": "<p>Read this</p>"}
    (attachment,) = only(message("Read this", attachments=[file, html])).attachments
    assert (attachment.name, attachment.media_type) == ("report.pdf", "application/pdf")
    assert attachment.url == "https://files.example/1"


KEYS = (
    *("from", "text", "value", "entities", "attachments", "reactionsAdded", "membersAdded"),
    *("recipient", "channelData", "timestamp", "replyToId", "name", "textFormat"),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(
        ["message", "messageUpdate", "messageReaction", "invoke", "conversationUpdate"]
    ),
    st.dictionaries(
        st.sampled_from(KEYS),
        JSON,
    ),
)
def test_no_shape_of_an_activity_makes_it_stumble(kind: str, more: Json) -> None:
    read_activity({**message("x"), "type": kind, **more})

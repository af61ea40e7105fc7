"""What becomes of each delivery of Slack's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.slack.events import read_event
from bot.types import (
    Attachment,
    Incoming,
    Place,
    Question,
    QuestionDeleted,
    QuestionEdited,
    StopRequest,
)
from tests.adapters.slack.payloads import (
    ME,
    ROOT,
    TS,
    Json,
    changed,
    deleted,
    delivery,
    direct,
    forward,
    mention,
    message,
    reaction,
    rich,
    words,
)
from tests.fakes.slack_api import BOT

FILE = {"name": "a.pdf", "mimetype": "application/pdf", "size": 12, "url_private": "https://x"}


def read(event: Json, **names: str) -> Incoming | None:
    return read_event(delivery(event), ME, names)


def question(event: Json, **names: str) -> Question:
    incoming = read(event, **names)
    assert isinstance(incoming, Question)
    return incoming


@pytest.mark.parametrize(
    "event", [mention("hi"), direct("hi"), changed("a", "b"), deleted(), reaction("+1")]
)
def test_an_event_without_an_id_is_one_however_often_it_is_delivered(event: Json) -> None:
    event = {**event, "event_ts": "1795154999.000100"}
    bare = {key: value for key, value in delivery(event).items() if key != "event_id"}
    later = {**bare, "event": {**event, "event_ts": "1795154999.000200"}}
    found = [read_event(each, ME, {}) for each in (bare, dict(bare), later)]
    ids = [each.event_id for each in found if each is not None]
    assert len(ids) == 3
    assert ids[0] == ids[1] != ids[2]


def test_an_event_without_an_id_of_its_own_has_that_of_its_trigger() -> None:
    bare = {**delivery(mention("hi")), "event_id": None, "trigger_id": "1.2.3"}
    found = read_event(bare, ME, {})
    assert found is not None
    assert found.event_id == "1.2.3"


def test_a_mention_is_a_question_without_the_mention() -> None:
    asked = question(mention(f"<@{BOT}> what is a turn?"), U01="Ada")
    assert asked.text == "what is a turn?"
    assert asked.is_mention
    assert not asked.is_direct
    assert asked.message_id == TS
    assert asked.event_id == "Ev1"
    assert str(asked.place) == f"slack:T01/C01/{TS}"
    assert (str(asked.person), asked.person.name) == ("slack:T01/U01", "Ada")
    assert asked.sent_at == datetime(2026, 11, 20, 6, 9, 2, 8, tzinfo=UTC)


def test_both_deliveries_of_one_mention_have_the_same_message_id() -> None:
    text = f"<@{BOT}> hello"
    first = read_event(delivery(mention(text), "Ev1"), ME, {})
    second = read_event(delivery(message(text), "Ev2"), ME, {})
    assert isinstance(first, Question)
    assert isinstance(second, Question)
    assert first.message_id == second.message_id
    assert first.event_id != second.event_id
    assert second.is_mention
    assert first.place == second.place


def test_a_direct_message_needs_no_mention_and_is_answered_flat() -> None:
    asked = question(direct("hello"))
    assert asked.is_direct
    assert str(asked.place) == "slack:T01/D01/"


def test_a_thread_within_a_direct_message_is_answered_there() -> None:
    assert question(direct(thread_ts=ROOT)).place.thread == ROOT


def test_a_follow_up_in_a_thread_needs_no_mention() -> None:
    asked = question(message("and why?", thread_ts=ROOT))
    assert asked.place.thread == ROOT
    assert not asked.is_mention
    assert not asked.mentions_others


def test_a_follow_up_for_somebody_else_says_so() -> None:
    asked = question(message("<@U02> what do you think?", thread_ts=ROOT), U02="Bob")
    assert asked.mentions_others
    assert not asked.is_mention
    assert asked.text == "@Bob what do you think?"


def test_chatter_outside_of_threads_is_nothing() -> None:
    assert read(message("lunch?")) is None
    assert read(message("<@U02> lunch?")) is None


def test_where_parley_listens_a_message_of_the_channel_needs_no_mention() -> None:
    def listens(place: Place) -> bool:
        return place.channel_form == "slack:T01/C01"

    def heard(event: Json) -> Incoming | None:
        return read_event(delivery(event), ME, {}, listens)

    asked = heard(message("lunch?"))
    assert isinstance(asked, Question)
    assert (asked.begins_thread, asked.is_mention, asked.place.thread) == (True, False, TS)
    follow_up = heard(message("and why?", thread_ts=ROOT))
    assert isinstance(follow_up, Question)
    assert not follow_up.begins_thread
    assert heard(message("lunch?", channel="C02")) is None
    assert heard(message("lunch?", bot_id="B02")) is None
    assert heard(message("joined", subtype="channel_join")) is None


@pytest.mark.parametrize(
    "event",
    [
        mention(user=BOT),
        mention(bot_id="BBOT"),
        direct(user=BOT),
        direct(user="USLACKBOT"),
        direct(bot_id="B02"),
        message("hi", subtype="bot_message", bot_id="B02"),
        message("hi", subtype="bot_message", bot_id="B02", thread_ts=ROOT),
        message(f"<@{BOT}> hi", subtype="bot_message", bot_id="BBOT"),
        changed("a", f"<@{BOT}> b", bot_id="B02"),
        deleted(bot_id="B02"),
        changed("a", "b", user=BOT),
        deleted(user=BOT, bot_id="BBOT"),
        reaction(user=BOT),
    ],
)
def test_bots_and_parley_itself_are_not_heard(event: Json) -> None:
    assert read(event) is None


@pytest.mark.parametrize("as_", [mention, message])
def test_a_workflow_that_mentions_parley_asks_as_a_bot(as_: Callable[..., Json]) -> None:
    profile = {"bot_profile": {"id": "B02", "name": "Stand-up"}}
    event = as_(f"<@{BOT}> hi", subtype="bot_message", bot_id="B02", thread_ts=ROOT, **profile)
    del event["user"]
    asked = question(event)
    assert (str(asked.person), asked.person.name) == ("slack:T01/B02", "Stand-up")
    assert asked.person.is_bot
    assert asked.text == "hi"
    assert not question(mention()).person.is_bot


def test_a_deleted_message_of_a_bot_counts_where_it_mentioned_parley() -> None:
    gone = read(deleted(bot_id="B02", text=f"<@{BOT}> hi"))
    assert isinstance(gone, QuestionDeleted)
    assert gone.message_id == TS


@pytest.mark.parametrize("subtype", ["channel_join", "channel_topic", "message_replied", "new"])
def test_what_slack_says_about_a_channel_is_nothing(subtype: str) -> None:
    assert read(message(f"<@{BOT}> joined", subtype=subtype)) is None


@pytest.mark.parametrize("subtype", ["file_share", "me_message", "thread_broadcast"])
def test_what_a_person_says_in_other_ways_is_a_question(subtype: str) -> None:
    assert question(direct("hello", subtype=subtype)).text == "hello"


def test_files_come_with_the_question() -> None:
    asked = question(direct("", subtype="file_share", files=[FILE, {"mode": "tombstone"}, "?"]))
    assert asked.attachments == (Attachment("a.pdf", "application/pdf", 12, "https://x"),)


def test_an_edited_question_carries_its_new_text() -> None:
    edited = read(changed(f"<@{BOT}> befor", f"<@{BOT}> before", thread_ts=ROOT))
    assert isinstance(edited, QuestionEdited)
    assert edited.text == "before"
    assert edited.message_id == TS
    assert edited.place.thread == ROOT
    assert str(edited.person) == "slack:T01/U01"


@pytest.mark.parametrize("text", ["see https://x.org", f"<@{BOT}> see https://x.org", ""])
def test_an_unfurled_link_is_no_edit(text: str) -> None:
    event = changed(text, text, blocks=rich(words("see")))
    for preview in ({"from_url": "https://x.org", "text": "a page"}, forward()):
        event["message"]["attachments"] = [preview]
        assert read(event) is None


def edited(event: Json) -> QuestionEdited:
    incoming = read(event)
    assert isinstance(incoming, QuestionEdited)
    return incoming


def test_what_an_edit_makes_of_its_message_is_a_question() -> None:
    became = edited(changed(f"<@{BOT}>", f"<@{BOT}> what is a turn?", files=[FILE])).becomes
    assert isinstance(became, Question)
    assert (became.text, became.is_mention, became.message_id) == ("what is a turn?", True, TS)
    assert str(became.place) == f"slack:T01/C01/{TS}"
    assert became.sent_at == datetime(2026, 11, 20, 6, 9, 2, 8, tzinfo=UTC)
    assert [file.name for file in became.attachments] == ["a.pdf"]


def test_a_mention_that_comes_with_an_edit_makes_a_question() -> None:
    became = edited(changed("lunch?", f"<@{BOT}> lunch?")).becomes
    assert isinstance(became, Question)
    assert became.is_mention
    assert edited(changed("lunch?", "dinner?")).becomes is None


def test_an_edit_in_a_direct_message_or_a_thread_makes_a_question_without_a_mention() -> None:
    event = changed("sotp", "stop") | {"channel": "D01", "channel_type": "im"}
    became = edited(event).becomes
    assert isinstance(became, Question)
    assert (became.text, became.is_direct, became.place.thread) == ("stop", True, "")
    became = edited(changed("a", "b", thread_ts=ROOT)).becomes
    assert isinstance(became, Question)
    assert (became.is_mention, became.place.thread) == (False, ROOT)


def test_an_edit_of_a_forward_keeps_what_is_quoted() -> None:
    change = edited(changed(f"<@{BOT}> who", f"<@{BOT}> who now?", attachments=[forward()]))
    assert change.text == "who now?\n\n[Forwarded message from Bob]\n> the lift is broken"
    assert change.becomes is not None
    assert change.becomes == question(mention(f"<@{BOT}> who now?", attachments=[forward()]))


def test_a_changed_message_of_a_kind_that_is_no_question_makes_none() -> None:
    event = changed("a", f"<@{BOT}> b", subtype="channel_topic")
    assert edited(event).becomes is None


def test_a_mention_in_code_is_no_mention_whatever_slack_calls_it() -> None:
    text = f"type `<@{BOT}> stop`"
    assert read(message(text)) is None
    assert read(mention(text)) is None
    asked = question(direct(text))
    assert (asked.text, asked.is_mention) == ("type `@parley stop`", False)


def test_a_mention_that_only_slack_sees_is_one() -> None:
    assert question(mention("", attachments=[forward()])).is_mention


def test_a_forward_into_a_direct_message_is_a_question() -> None:
    asked = question(direct("", attachments=[forward()]))
    assert asked.text == "[Forwarded message from Bob]\n> the lift is broken"


def test_a_deleted_question_is_told() -> None:
    gone = read(deleted(thread_ts=ROOT))
    assert isinstance(gone, QuestionDeleted)
    assert (gone.message_id, gone.place.thread) == (TS, ROOT)
    assert str(gone.person) == "slack:T01/U01"


def test_a_deleted_root_that_leaves_a_tombstone_is_told() -> None:
    event = changed("hello", "This message was deleted.")
    event["message"] |= {"subtype": "tombstone", "user": "USLACKBOT", "hidden": True}
    gone = read(event)
    assert isinstance(gone, QuestionDeleted)
    assert (gone.message_id, str(gone.person)) == (TS, "slack:T01/U01")


@pytest.mark.parametrize("before", [{"user": BOT}, {"bot_id": "B07"}])
def test_the_tombstone_of_a_bots_message_is_nothing(before: Json) -> None:
    event = changed("hello", "This message was deleted.")
    event["message"] |= {"subtype": "tombstone", "user": "USLACKBOT"}
    event["previous_message"] |= before
    assert read(event) is None


def test_a_deletion_without_the_old_message_has_no_person() -> None:
    event = deleted()
    del event["previous_message"]
    gone = read(event)
    assert isinstance(gone, QuestionDeleted)
    assert gone.person.name == ""


def test_a_reaction_may_mean_stop() -> None:
    stop = read(reaction("octagonal_sign"))
    assert isinstance(stop, StopRequest)
    assert (stop.message_id, stop.reaction) == (TS, "octagonal_sign")
    assert str(stop.person) == "slack:T01/U01"


def test_a_hand_of_any_colour_is_the_same_reaction() -> None:
    stop = read(reaction("raised_hand::skin-tone-4"))
    assert isinstance(stop, StopRequest)
    assert stop.reaction == "raised_hand"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
FIELDS = ("type", "subtype", "channel", "user", "ts", "text", "item", "message", "files", "event")


@given(st.sampled_from([mention(), direct(), changed("a", "b"), deleted(), reaction()]), st.data())
def test_no_shape_of_an_event_is_too_strange(event: Json, data: st.DataObject) -> None:
    broken: dict[str, Any] = {**event, data.draw(st.sampled_from(FIELDS)): data.draw(JSON)}
    read_event({**delivery(broken), "event_id": "Ev1"}, ME, {})


@given(st.dictionaries(st.sampled_from([*FIELDS, "event_id"]), JSON))
def test_no_shape_of_a_delivery_is_too_strange(payload: Json) -> None:
    read_event(payload, ME, {})

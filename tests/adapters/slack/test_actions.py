"""Presses of buttons, as Slack delivers them, and as nobody should."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.slack.interactions.actions import MenuPress, read_action
from adapters.slack.interactions.buttons import (
    personality_menu,
    when_ended,
    when_offering,
    while_growing,
)
from bot.types import (
    Choice,
    Command,
    Feedback,
    Incoming,
    Person,
    Personality,
    Place,
    Question,
    ReplyEnd,
)
from bot.types import StopRequest as Stop
from tests.adapters.slack.payloads import ME, ROOT, TS
from tests.fakes.slack_api import ADA, BOT, CHANNEL, DIRECT, TEAM
from tests.fakes.slack_blocks import pressed
from tests.fakes.slack_presses import interaction

AT = "1795154999.000100"
PLACE = Place("slack", TEAM, CHANNEL, ROOT)
ADA_THERE = Person.at(PLACE, ADA, "Ada")
CONCLUDED = when_ended("So.", ROOT, "t1", ReplyEnd(can_continue=True))


def payload(
    blocks: list[dict[str, Any]], title: str, channel: str = CHANNEL, **message: Any
) -> Any:
    reply = {"type": "message", "user": BOT, "text": "So.", "thread_ts": ROOT, **message}
    return interaction(reply, pressed(blocks, title, AT), TS, ADA, channel)


def read(found: Any) -> Incoming | MenuPress | None:
    return read_action(found, ME, {ADA: "Ada"})


def test_stop_is_about_the_message_that_carries_it() -> None:
    found = read(payload(while_growing("Be", ROOT), "Stop"))
    assert isinstance(found, Stop)
    assert (found.message_id, found.reaction, found.place) == (TS, None, PLACE)
    assert found.person == ADA_THERE


@pytest.mark.parametrize(
    ("title", "name", "argument"), [("Retry", "retry", "t1"), ("Continue", "continue", "t1")]
)
def test_what_follows_a_reply_is_a_command_of_its_thread(
    title: str, name: str, argument: str
) -> None:
    found = read(payload(CONCLUDED, title))
    assert isinstance(found, Command)
    assert (found.name, found.argument, found.place) == (name, argument, PLACE)


@pytest.mark.parametrize(("title", "rating"), [("👍", 1), ("👎", -1)])
def test_a_thumb_judges_the_reply(title: str, rating: int) -> None:
    found = read(payload(CONCLUDED, title))
    assert isinstance(found, Feedback)
    assert (found.message_id, found.rating, found.is_pressed) == (TS, rating, True)


def test_personality_asks_for_the_menu() -> None:
    found = read(payload(CONCLUDED, "Personality…"))
    assert isinstance(found, MenuPress)
    assert (found.place, found.person, found.page) == (PLACE, ADA_THERE, 0)


def test_who_is_chosen_from_the_menu_that_one_person_sees_answers_in_its_thread() -> None:
    menu = personality_menu("Who?", ROOT, [Personality("pirate", "Pirate", "Arr.")])
    whispered = {"user": ADA, "channel": CHANNEL, "text": "Who?"}
    found = read(interaction(whispered, pressed(menu, "Pirate", AT), TS, ADA, CHANNEL))
    assert isinstance(found, Question)
    assert (found.text, found.place, found.is_mention) == ("personality pirate", PLACE, True)


def test_a_page_of_the_menu_leads_to_the_next() -> None:
    many = [Personality(f"helper-{n}", f"Helper {n}", "p") for n in range(150)]
    found = read(payload(personality_menu("Who?", ROOT, many, 0), "Page 2 ▶"))
    assert isinstance(found, MenuPress)
    assert (found.place, found.person, found.page) == (PLACE, ADA_THERE, 1)


def test_a_choice_is_said_as_if_it_had_been_written() -> None:
    offered = when_offering("Hello.", "", [Choice("A joke", "Tell me a joke, please")])
    found = read(payload(offered, "A joke", channel=DIRECT, thread_ts=""))
    assert isinstance(found, Question)
    assert found.text == "Tell me a joke, please"
    assert found.is_direct
    assert found.place == Place("slack", TEAM, DIRECT, "")


@pytest.mark.parametrize("title", ["Retry", "👍", "Personality…"])
def test_a_press_without_its_time_is_known_by_its_trigger(title: str) -> None:
    first, other = payload(CONCLUDED, title), payload(CONCLUDED, title)
    for each in (first, other):
        del each["actions"][0]["action_ts"]
    other["trigger_id"] = "4.5.6"
    found = [each.event_id for each in map(read, (first, first, other)) if each]
    assert len(found) == 3
    assert found[0] == found[1] != found[2]


def test_two_presses_of_one_button_are_two_events_and_one_press_is_one() -> None:
    first, again = payload(CONCLUDED, "Retry"), payload(CONCLUDED, "Retry")
    again["actions"][0]["action_ts"] = "1795154999.000200"
    ids = [
        found.event_id for found in map(read, (first, first, again)) if isinstance(found, Command)
    ]
    assert ids[0] == ids[1] != ids[2]


def test_a_button_that_names_no_thread_is_in_that_of_its_message() -> None:
    for thread, expected in ((ROOT, ROOT), ("", TS)):
        found = payload(CONCLUDED, "Retry", thread_ts=thread)
        found["actions"][0]["block_id"] = "made by Slack"
        command = read(found)
        assert isinstance(command, Command)
        assert command.place.thread == expected


@pytest.mark.parametrize(
    "changed",
    [
        {"type": "view_submission"},
        {"actions": []},
        {"user": {}},
        {"channel": {}, "container": {}},
        {"actions": [{"action_id": "approve", "action_ts": AT}]},
        {"actions": [{"action_id": "parley.sing", "action_ts": AT}]},
        {"actions": [{"action_id": "parley.say.0", "action_ts": AT, "value": " "}]},
        {"actions": [{"action_id": "parley.say.0", "value": "hi"}]},
        {"actions": [{"action_id": "parley.stop"}], "trigger_id": ""},
        {"actions": [{"action_id": "parley.stop", "action_ts": "yesterday"}], "trigger_id": None},
    ],
)
def test_what_parley_did_not_offer_means_nothing(changed: dict[str, Any]) -> None:
    assert read({**payload(CONCLUDED, "Retry"), **changed}) is None


KEYS = st.sampled_from(
    [
        *("actions", "action_id", "action_ts", "value", "user", "id", "channel", "container"),
        *("message_ts", "type", "message", "selected_option", "block_id", "thread_ts"),
        "channel_id",
    ]
)
LEAVES = (
    st.none()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(
        [
            "block_actions",
            "parley.stop",
            "parley.say.1",
            "parley.page.9",
            "parley.up",
            "parley|1",
            AT,
            TS,
        ]
    )
)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5)
)


@given(st.dictionaries(KEYS, JSON, max_size=6), st.dictionaries(KEYS, JSON, max_size=5))
def test_no_payload_is_too_odd_to_be_read(found: dict[str, Any], action: dict[str, Any]) -> None:
    read(found)
    read({**payload(CONCLUDED, "Retry"), **found})
    read({**payload(CONCLUDED, "Retry"), "actions": [action]})

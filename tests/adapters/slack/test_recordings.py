"""What Slack really sends, by both ways, through bolt to what it asks of Parley.

Nobody here has a workspace to record in: the payloads are whole, and rebuilt field by field after
Slack's reference and what bots write down of theirs, with ids and tokens of our own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from adapters.slack.events import EVENTS, read_event
from adapters.slack.interactions.actions import read_action
from adapters.slack.interactions.commands import read_command
from adapters.slack.interactions.shortcuts import read_form, read_shortcut
from adapters.slack.manifest import COMMANDS, SHORTCUTS
from adapters.slack.reading.text import SlackIdentity
from adapters.slack.receivers.deliveries import Delivery, json_of, read_envelope
from adapters.slack.receivers.dispatcher import Dispatcher
from bot.types import (
    Command,
    Feedback,
    Question,
    QuestionDeleted,
    QuestionEdited,
    StopRequest,
    UnpostedQuestion,
)

FOLDER = Path(__file__).with_name("recordings")
ME = SlackIdentity("T0ACME0001", "U0PARLEY01", "parley")
NAMES = {"U0ADA00001": "Ada", "U0BOB00001": "Bob"}
KINDS = {"channels": "channel", "groups": "group", "im": "im", "mpim": "mpim"}
ROOT, TS = "1732780800.000119", "1732780842.271839"

Json = dict[str, Any]

EXPECTED: dict[str, object] = {
    "app_mention": (Question, "why is the sky blue?"),
    "message.channels": (Question, "and at night?"),
    "message.channels.mention": (Question, "why is the sky blue?"),
    "message.channels.thread_broadcast": (Question, "and at night?"),
    "message.channels.message_changed": (QuestionEdited, "why is the sky blue?"),
    "message.channels.message_deleted": (QuestionDeleted, TS),
    "message.channels.tombstone": (QuestionDeleted, TS),
    "message.channels.chatter": None,
    "message.channels.bot_message": None,
    "message.channels.workflow": (Question, "build 42 failed"),  # if PARLEY_ALLOW names it
    "message.channels.own": None,
    "message.channels.channel_join": None,
    "message.channels.unfurled": None,
    "message.groups": (Question, "and at night?"),
    "message.mpim": (Question, "why is the sky blue?"),
    "message.im": (Question, "why is the sky blue?"),
    "message.im.file_share": (Question, "sum this up"),
    "message.im.assistant_app_thread": None,
    "reaction_added": (StopRequest, "octagonal_sign"),
    "reaction_removed": (Feedback, 0),
    "agent_session_stopped": (StopRequest, None),
    "agent_session_stopped.without_stream": (Command, "stop"),
    "app_home_opened": None,  # the panel's, which answers with calls of its own
    "assistant_thread_started": None,
    "block_actions.stop": (StopRequest, None),
    "block_actions.continue": (Command, "continue"),
    "block_actions.up": (Feedback, 1),
    "block_actions.personality_menu": (Question, "personality coder"),
    "message_action": "Bob: the lift is broken",
    "view_submission": (UnpostedQuestion, "who mends it?"),
    "slash_command.ask": (UnpostedQuestion, "why is the sky blue? & at night"),
    "slash_command.stop": (Command, "stop"),
}
"""What each delivery asks: of which kind, and its text, name, reaction, rating or message."""

UNANSWERED = {"app_rate_limited", "url_verification"}
"""Events about events."""


def recorded(name: str) -> Json:
    content: Json = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    return content


def names(prefix: str = "") -> list[str]:
    return sorted(path.stem for path in FOLDER.glob(f"{prefix}*.json"))


def over_http(payload: Json) -> str:
    """As the body of a request: JSON, a form around JSON, or a form."""
    if "event" in payload or "challenge" in payload or "minute_rate_limited" in payload:
        return json.dumps(payload)
    return urlencode({"payload": json.dumps(payload)} if "type" in payload else payload)


def over_the_socket(payload: Json) -> Json:
    """The payload of an envelope, as it comes out of it."""
    is_event = "event" in payload
    kind = "events_api" if is_event else "interactive" if "type" in payload else "slash_commands"
    more: Json = {"retry_attempt": 0, "retry_reason": ""} if is_event else {}
    envelope = {"envelope_id": "a3c1", "payload": payload, "type": kind, **more}
    message = read_envelope(json.dumps({**envelope, "accepts_response_payload": not is_event}))
    assert (message.type, message.id) == (kind, "a3c1")
    return dict(message.payload)


async def deliveries_of(*payloads: str | Json) -> list[Delivery]:
    taken: list[Delivery] = []

    async def deliver(delivery: Delivery) -> None:
        taken.append(delivery)

    for payload in payloads:
        assert (await Dispatcher(deliver).dispatch(payload)).status == 200
    return taken


def asked(delivery: Delivery) -> object:
    """By whichever part of the adapter reads such a delivery."""
    payload = delivery.payload
    if delivery.kind == "event":
        return read_event(payload, ME, NAMES)
    if delivery.kind == "command":
        return read_command(payload, ME, NAMES)
    if shortcut := read_shortcut(payload, ME, NAMES):
        return str(shortcut.form["blocks"][0]["text"]["text"])
    form = read_form(payload, ME, NAMES)
    return form.question if form else read_action(payload, ME, NAMES)


def essence(incoming: object) -> object:
    match incoming:
        case Question() | QuestionEdited() | UnpostedQuestion():
            return type(incoming), incoming.text
        case Command():
            return Command, incoming.name
        case StopRequest():
            return StopRequest, incoming.reaction
        case Feedback():
            return Feedback, incoming.rating
        case QuestionDeleted():
            return QuestionDeleted, incoming.message_id
    return incoming


@pytest.mark.parametrize("name", EXPECTED)
async def test_each_delivery_asks_the_same_by_both_ways(name: str) -> None:
    payload = recorded(name)
    http, socket = await deliveries_of(json_of(over_http(payload)), over_the_socket(payload))
    assert http == socket
    assert essence(asked(http)) == EXPECTED[name]


def incomings() -> Iterator[tuple[str, Any]]:
    for name in EXPECTED:
        payload = recorded(name)
        if "event" in payload and (incoming := read_event(payload, ME, NAMES)):
            yield name, incoming


def test_every_event_has_an_id_a_person_and_a_place() -> None:
    for name, incoming in incomings():
        assert incoming.event_id == recorded(name)["event_id"], name
        user = "B0FLOW0001" if name.endswith("workflow") else "U0ADA00001"
        assert incoming.person.id == f"slack:T0ACME0001/{user}", name
        channel = recorded(name)["event"].get("channel") or "C0GENERAL1"
        assert (incoming.place.workspace, incoming.place.channel) == (ME.team_id, channel), name


def test_a_file_comes_with_its_question() -> None:
    question = read_event(recorded("message.im.file_share"), ME, NAMES)
    assert isinstance(question, Question)
    (attachment,) = question.attachments
    assert (attachment.name, attachment.size) == ("notes.txt", 42)
    assert attachment.url.startswith("https://files.slack.com/files-pri/")


async def test_a_press_belongs_to_the_thread_of_its_reply() -> None:
    for name in names("block_actions"):
        (delivery,) = await deliveries_of(recorded(name))
        incoming = asked(delivery)
        assert isinstance(incoming, StopRequest | Command | Feedback | Question)
        assert incoming.place.thread == ROOT, name


@pytest.mark.parametrize("name", sorted(UNANSWERED))
async def test_what_is_about_events_asks_nothing(name: str) -> None:
    assert await deliveries_of(json_of(over_http(recorded(name)))) == []


@pytest.mark.parametrize("name", names("socket."))
def test_what_a_socket_says_of_itself_is_read(name: str) -> None:
    message = read_envelope(json.dumps(recorded(name)))
    assert name == ".".join(filter(None, ["socket", message.type, message.reason]))
    assert message.id == ""


def test_nothing_that_is_recorded_goes_unread() -> None:
    assert {*EXPECTED, *UNANSWERED, *names("socket.")} == {*names()}


@pytest.mark.parametrize("event", sorted(EVENTS))
def test_every_event_that_the_app_subscribes_to_is_recorded(event: str) -> None:
    kind, _, where = event.partition(".")
    found = recorded(event)["event"]
    assert found["type"] == kind
    assert found.get("channel_type") == KINDS.get(where)


async def test_every_command_and_shortcut_is_recorded() -> None:
    commands = {recorded(name)["command"] for name in names("slash_command")}
    assert commands == {*COMMANDS}
    assert {recorded("message_action")["callback_id"]} == {*SHORTCUTS}


def test_nothing_that_is_recorded_holds_a_secret() -> None:
    text = "".join(path.read_text("utf-8") for path in FOLDER.iterdir())
    assert not any(secret in text for secret in ("xox", "xapp", "@gmail", '"token": "x'))
    assert {each.get("token", "scrubbed") for each in map(recorded, names())} == {"scrubbed"}

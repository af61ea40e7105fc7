"""What becomes of each slash command."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.slack.interactions.commands import read_command
from bot.types import Command, UnpostedQuestion
from tests.adapters.slack.payloads import ME
from tests.fakes.slack_api import ADA, CHANNEL, DIRECT

FIELDS = {
    "command": "/parley",
    "text": "help",
    "user_id": ADA,
    "user_name": "ada",
    "channel_id": CHANNEL,
    "trigger_id": "13345224609.738474920.8088930838d88f008e0",
}


def read(text: str, channel: str = CHANNEL) -> Command | UnpostedQuestion:
    found = read_command({**FIELDS, "text": text, "channel_id": channel}, ME, {"U02": "Bob"})
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "name", "argument"),
    [
        ("", "help", ""),
        ("  Help! ", "help", ""),
        ("stop", "stop", ""),
        ("retry", "retry", ""),
        ("continue", "continue", ""),
        ("forget", "forget", ""),
        ("status.", "status", ""),
        ("catch  up", "catch up", ""),
        ("listen", "listen", ""),
        ("listen off", "listen", "off"),
        ("personality", "personality", ""),
        ("personality Pirate", "personality", "pirate channel"),
        ("personality pirate channel", "personality", "pirate channel"),
    ],
)
def test_a_word_of_command_is_a_command(text: str, name: str, argument: str) -> None:
    command = read(text)
    assert isinstance(command, Command)
    assert (command.name, command.argument) == (name, argument)
    assert (str(command.place), command.is_private) == ("slack:T01/C01/", True)


def test_in_a_direct_message_a_personality_is_that_of_the_conversation() -> None:
    command = read("personality pirate", DIRECT)
    assert isinstance(command, Command)
    assert command.argument == "pirate"


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("ask What is a turn?", "What is a turn?"),
        ("ASK  stop", "stop"),
        ("ask", ""),
        ("asking is free", "asking is free"),
        ("what is a turn?", "what is a turn?"),
        ("help me with <@U02|bob> &amp; co", "help me with @Bob & co"),
        ("stop the press", "stop the press"),
        ("personality of a good teacher", "personality of a good teacher"),
    ],
)
def test_everything_else_is_a_question(text: str, question: str) -> None:
    asked = read(text)
    assert isinstance(asked, UnpostedQuestion)
    assert (asked.text, asked.person.name, asked.is_direct) == (question, "ada", False)


@pytest.mark.parametrize("part", ["user_id", "channel_id", "trigger_id"])
def test_what_lacks_a_part_is_nothing(part: str) -> None:
    assert read_command({**FIELDS, part: ""}, ME, {}) is None


@given(st.dictionaries(st.sampled_from([*FIELDS, "x"]), st.none() | st.text() | st.integers()))
def test_no_shape_of_a_command_is_too_strange(payload: dict[str, Any]) -> None:
    read_command(payload, ME, {})
    read_command({**FIELDS, **payload}, ME, {})

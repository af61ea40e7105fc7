"""What an HTTP body of Slack is read as."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.slack.receivers.deliveries import Delivery, read_body, read_challenge
from tests.adapters.slack.payloads import delivery, mention

COMMAND = {
    "command": "/parley",
    "text": "ask what is a monad? & why",
    "user_id": "U01",
    "channel_id": "C01",
    "team_id": "T01",
    "trigger_id": "1.2.3",
    "response_url": "https://hooks.example.com/1",
}
PRESSED = {"type": "block_actions", "actions": [{"action_id": "parley.stop", "value": "t1"}]}
SHORTCUT = {"type": "message_action", "callback_id": "parley.ask_about"}
SUBMITTED = {"type": "view_submission", "view": {}}


def test_json_is_an_event() -> None:
    event: dict[str, Any] = delivery(mention())
    assert read_body(json.dumps(event)) == Delivery("event", event)


@pytest.mark.parametrize("payload", [PRESSED, SHORTCUT, SUBMITTED])
def test_a_form_with_a_payload_is_an_interaction(payload: dict[str, Any]) -> None:
    body = urlencode({"payload": json.dumps(payload)})
    assert read_body(body) == Delivery("interaction", payload)


def test_a_form_with_a_command_is_a_command_with_all_its_fields() -> None:
    assert read_body(urlencode(COMMAND)) == Delivery("command", COMMAND)


def test_a_command_without_text_has_an_empty_one() -> None:
    found = read_body("command=%2Fparley&text=&user_id=U01")
    assert found == Delivery("command", {"command": "/parley", "text": "", "user_id": "U01"})


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "[" * 100_000,
        "{" * 100_000,
        '{"type": "event_callback"}',
        '{"type": "event_callback", "event": {"type": 5}}',
        '{"type": ["event_callback"], "event": {"type": "message"}}',
        '{"type": "block_actions", "actions": []}',
        "ssl_check=1&token=x",
        "payload=",
        "payload=%5B%5D",
        "payload=%7B",
        "payload=" + "%5B" * 50_000,
        "payload=%7B%22type%22%3A5%7D",
        "command=",
        "text=hello",
        "command=/parley&" + "&".join(f"a{n}=1" for n in range(200)),
    ],
)
def test_all_else_is_nothing(body: str) -> None:
    assert read_body(body) is None
    assert read_challenge(body) == ""


@given(st.text())
def test_any_text_is_read_without_an_error(body: str) -> None:
    read_body(body)
    read_body(f"payload={body}")
    read_body(f"command={body}")
    read_challenge(body)


def test_the_challenge_is_what_slack_wants_back() -> None:
    assert read_challenge('{"type": "url_verification", "challenge": "c0ffee"}') == "c0ffee"
    assert read_challenge('{"type": "event_callback", "challenge": "c0ffee"}') == ""

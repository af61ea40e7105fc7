"""What bolt makes of Slack's payloads, and what Slack is answered."""

from __future__ import annotations

import json
import logging
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.slack.receivers.deliveries import Delivery, json_of
from adapters.slack.receivers.dispatcher import Dispatcher
from bot.errors import StorageFull
from tests.adapters.slack.payloads import delivery, mention

COMMAND = {
    "command": "/parley",
    "text": "ask what is a payload? & why",
    "user_id": "U01",
    "channel_id": "C01",
    "team_id": "T01",
    "trigger_id": "1.2.3",
    "response_url": "https://hooks.example.com/1",
}
PRESSED = {"type": "block_actions", "actions": [{"action_id": "parley.stop", "value": "t1"}]}
PAGED = {"type": "block_actions", "actions": [{"action_id": "parley.page.1", "value": "1"}]}
SHORTCUT = {"type": "message_action", "callback_id": "parley.ask_about"}
SUBMITTED = {
    "type": "view_submission",
    "view": {"type": "modal", "callback_id": "parley.ask_about"},
}


async def dispatched(body: str) -> list[Delivery]:
    """What is handed on, which is the same by both ways."""
    taken: list[Delivery] = []

    async def deliver(delivery: Delivery) -> None:
        taken.append(delivery)

    assert (await Dispatcher(deliver).dispatch(json_of(body))).status == 200
    return taken


def form(payload: dict[str, Any]) -> str:
    return urlencode({"payload": json.dumps(payload)})


async def test_json_is_an_event() -> None:
    event: dict[str, Any] = delivery(mention())
    assert await dispatched(json.dumps(event)) == [Delivery("event", event)]


@pytest.mark.parametrize("payload", [PRESSED, PAGED, SHORTCUT, SUBMITTED])
async def test_a_form_with_a_payload_is_an_interaction(payload: dict[str, Any]) -> None:
    assert await dispatched(form(payload)) == [Delivery("interaction", payload)]


async def test_a_command_has_all_its_fields_also_where_it_speaks_of_a_payload() -> None:
    assert await dispatched(urlencode(COMMAND)) == [Delivery("command", COMMAND)]


async def test_a_command_without_text_has_an_empty_one() -> None:
    found = await dispatched("command=%2Fparley&text=&user_id=U01")
    assert found == [Delivery("command", {"command": "/parley", "text": "", "user_id": "U01"})]


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
        '{"type": "event_callback", "event": {"type": "x", "user": 5}, "team": 5, "view": 5}',
        '{"type": "block_actions", "actions": []}',
        '{"type": "block_actions", "actions": [{"action_id": "another.stop"}]}',
        '{"type": "view_submission", "view": {"callback_id": 5}}',
        "ssl_check=1&token=x",
        "payload=",
        "payload=%5B%5D",
        "payload=%7B",
        "payload=%7B%22type%22%3A5%7D",
        "payload=" + "%5B" * 50_000,
        "command=",
        "text=hello",
        "command=/parley&" + "&".join(f"a{n}=1" for n in range(200)),
    ],
)
async def test_all_else_is_acknowledged_and_nothing_more(
    body: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    assert await dispatched(body) == []
    assert caplog.text == ""


@given(st.text())
async def test_any_text_is_dispatched_without_an_error(body: str) -> None:
    for each in (body, f"payload={body}", f"command={body}"):
        await dispatched(each)


@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner)))
async def test_an_event_of_any_shape_is_acknowledged(value: Any) -> None:
    for key in ("event", "authorizations", "team", "view", "actions", "user", "response_urls"):
        for kind in ("event_callback", "block_actions", "view_submission"):
            await dispatched(json.dumps({"type": kind, key: value}))


async def test_the_challenge_is_what_slack_wants_back() -> None:
    async def deliver(_: Delivery) -> None:
        raise AssertionError

    answer = await Dispatcher(deliver).dispatch('{"type": "url_verification", "challenge": "c0ff"}')
    assert answer.status == 200
    assert "c0ff" in answer.body


@pytest.mark.parametrize("payload", [delivery(mention()), PRESSED, COMMAND, SUBMITTED])
async def test_what_could_not_be_taken_is_asked_for_again(payload: dict[str, Any]) -> None:
    async def deliver(_: Delivery) -> None:
        raise StorageFull("The disk is full.")

    for body in (payload, json.dumps(payload)):
        assert (await Dispatcher(deliver).dispatch(body)).status == 500

"""What Slack is answered, and what of it reaches Parley."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator

import aiohttp
import pytest

from adapters.slack.adapter import SlackAdapter
from bot.adapter_support.connection import MAX_BODY
from bot.errors import StorageFull
from bot.types import Incoming, Question, QuestionEdited
from tests.adapters.slack.conftest import bound_socket, make_adapter, serving
from tests.adapters.slack.payloads import ROOT, changed, delivery, mention, message
from tests.contracts.adapter import listening
from tests.fakes.clock import FakeClock
from tests.fakes.slack import DROPS, HANGS, FakeSlack, Fault
from tests.fakes.slack_api import ADA, BOB, BOT

BODY = json.dumps(delivery(mention(f"<@{BOT}> hello")))


@pytest.fixture
async def taken(adapter: SlackAdapter) -> AsyncIterator[list[Incoming]]:
    """What reached the conversation."""
    taken: list[Incoming] = []

    async def handler(incoming: Incoming) -> None:
        taken.append(incoming)

    async with listening(adapter, handler):
        yield taken


async def test_a_signed_question_is_taken_and_answered_200(
    slack: FakeSlack, taken: list[Incoming]
) -> None:
    assert await slack.send(BODY) == 200
    (question,) = taken
    assert isinstance(question, Question)
    assert (question.text, question.person.name) == ("hello", "Ada Lovelace")


@pytest.mark.parametrize("age", [301, -310, 10**9])
async def test_an_old_or_future_timestamp_is_refused(
    slack: FakeSlack, taken: list[Incoming], age: float
) -> None:
    assert await slack.send(BODY, age=age) == 401
    assert taken == []


async def test_five_minutes_are_measured_by_the_clock() -> None:
    clock = FakeClock()
    async with FakeSlack(clock) as slack:
        listener, slack.events_url = bound_socket()
        adapter = make_adapter(slack.api_url, clock=clock)
        async with serving(adapter, listener), adapter, listening(adapter, _ignore):
            assert await slack.send(BODY, age=299) == 200
            assert await slack.send(BODY, age=302) == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Slack-Signature": "v0=" + "0" * 64},
        {"X-Slack-Signature": ""},
        {"X-Slack-Signature": "sch\u00f6n"},
        {"X-Slack-Request-Timestamp": "now"},
        {"X-Slack-Request-Timestamp": "1e9"},
        {"X-Slack-Request-Timestamp": "9" * 5_000},
        {"X-Slack-Request-Timestamp": ""},
    ],
)
async def test_a_forged_header_is_refused(
    slack: FakeSlack, taken: list[Incoming], headers: dict[str, str]
) -> None:
    assert await slack.send(BODY, headers=headers) == 401
    assert taken == []


async def test_a_wrong_secret_is_refused_and_nothing_of_the_body_is_logged(
    slack: FakeSlack, taken: list[Incoming], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert await slack.send(BODY, secret="guessed") == 401
    assert taken == []
    assert "hello" not in caplog.text


async def test_the_same_event_again_is_handed_on_for_the_conversation_to_know(
    slack: FakeSlack, taken: list[Incoming]
) -> None:
    statuses = await asyncio.gather(*(slack.send(BODY) for _ in range(4)))
    assert statuses == [200] * 4
    assert [incoming.event_id for incoming in taken] == ["Ev1"] * 4


async def test_a_body_over_a_megabyte_is_refused(slack: FakeSlack, taken: list[Incoming]) -> None:
    assert await slack.send("x" * (MAX_BODY + 1)) == 413
    assert taken == []


async def test_a_question_of_almost_a_megabyte_is_taken(
    slack: FakeSlack, taken: list[Incoming]
) -> None:
    assert await slack.send(json.dumps(delivery(mention("x" * (MAX_BODY - 2_000))))) == 200
    assert len(taken) == 1


STRANGE = [
    "",
    "null",
    "[]",
    '"text"',
    "{",
    "{}",
    "payload=%7B%7D&command=/parley",
    "[" * 100_000,
    '{"type": "event_callback"}',
    '{"type": "event_callback", "event": []}',
    '{"type": "event_callback", "event": {}}',
    '{"type": "event_callback", "event": {"type": 5}}',
    '{"type": "event_callback", "event": {"type": "star_added"}}',
    '{"type": "event_callback", "event": {"type": "message"}, "event_id": "Ev1"}',
    '{"type": "event_callback", "event": {"type": "message"}, "authorizations": [7]}',
    '{"type": "event_callback", "event": {"type": "app_uninstalled"}, "event_id": "Ev1"}',
    '{"type": "event_callback", "event": {"type": "reaction_added", "item": 1}, "event_id": "E"}',
    '{"type": "event_callback", "event": {"type": "x", "user": 5}, "team": 5, "view": 5}',
    '{"type": "app_rate_limited", "minute_rate_limited": 1}',
    '{"type": "url_verification", "challenge": 5}',
    '{"type": "block_actions", "actions": []}',
    '{"type": ["event_callback"]}',
]


@pytest.mark.parametrize("body", STRANGE)
async def test_a_signed_delivery_of_unknown_shape_is_ignored(
    slack: FakeSlack, taken: list[Incoming], body: str
) -> None:
    assert await slack.send(body) == 200
    assert taken == []


async def test_bytes_that_are_no_text_are_refused(slack: FakeSlack, taken: list[Incoming]) -> None:
    assert await slack.send(b"\xff\xfe{}") == 401
    assert taken == []


async def test_slacks_challenge_is_answered(slack: FakeSlack, taken: list[Incoming]) -> None:
    body = b'{"type": "url_verification", "challenge": "c0ffee"}'
    headers = slack.signed(body)
    async with (
        aiohttp.ClientSession() as session,
        session.post(slack.events_url, data=body, headers=headers) as answer,
    ):
        assert answer.status == 200
        assert "c0ffee" in await answer.text()
    assert taken == []


async def test_before_anybody_listens_slack_is_told_to_come_back(
    slack: FakeSlack, adapter: SlackAdapter
) -> None:
    assert await slack.send(BODY) == 503
    async with listening(adapter, _ignore):
        assert await slack.send(BODY) == 200
    assert await slack.send(BODY) == 503


async def test_what_could_not_be_stored_is_delivered_again_and_then_taken(
    slack: FakeSlack, adapter: SlackAdapter
) -> None:
    taken: list[Incoming] = []

    async def handler(incoming: Incoming) -> None:
        taken.append(incoming)
        if len(taken) < 3:
            raise StorageFull("The disk is full.")

    async with listening(adapter, handler):
        assert await slack.deliver(mention(), retries=3) == 200
    assert len({incoming.event_id for incoming in taken}) == 1
    assert len(taken) == 3


async def test_a_mistake_of_ours_is_a_500_without_the_message_in_the_log(
    slack: FakeSlack, adapter: SlackAdapter, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(_: Incoming) -> None:
        raise ZeroDivisionError

    caplog.set_level(logging.INFO)
    async with listening(adapter, handler):
        assert await slack.send(BODY) == 500
    assert "ZeroDivisionError" in caplog.text
    assert "hello" not in caplog.text


async def test_a_name_is_looked_up_once(slack: FakeSlack, taken: list[Incoming]) -> None:
    for number in range(3):
        assert await slack.send(json.dumps(delivery(mention(), f"Ev{number}"))) == 200
    assert slack.num_calls("users.info") == 1
    assert {incoming.person.name for incoming in taken} == {"Ada Lovelace"}


async def test_both_events_of_one_mention_cost_one_look_at_the_name(
    slack: FakeSlack, taken: list[Incoming]
) -> None:
    await slack.say(f"<@{BOT}> hello")
    assert slack.num_calls("users.info") == 1
    assert {incoming.person.name for incoming in taken} == {"Ada Lovelace"}


async def test_a_person_met_before_is_called_by_name_in_the_question(
    slack: FakeSlack, taken: list[Incoming]
) -> None:
    await slack.deliver(mention(user=BOB))
    await slack.deliver(mention(f"<@{BOT}> does <@{BOB}> know?", user=ADA))
    question = taken[-1]
    assert isinstance(question, Question)
    assert question.text == "does @Bob know?"


async def test_people_who_are_mentioned_are_called_by_name(
    slack: FakeSlack, taken: list[Incoming]
) -> None:
    await slack.deliver(mention(f"<@{BOT}> does <@{BOB}> know?"))
    await slack.deliver(mention(f"<@{BOT}> and <@UGONE>?", thread_ts=ROOT))
    await slack.deliver(changed(f"<@{BOT}>", f"<@{BOT}> ask <@{BOB}>"))
    first, second, edited = taken
    assert isinstance(first, Question)
    assert isinstance(second, Question)
    assert isinstance(edited, QuestionEdited)
    assert (first.text, second.text) == ("does @Bob know?", "and @UGONE?")
    assert edited.text == "ask @Bob"
    assert slack.num_calls("users.info") == 3


@pytest.mark.parametrize("fault", [DROPS, HANGS])
async def test_without_a_name_the_question_is_taken_all_the_same_and_none_is_sought_for_a_while(
    slack: FakeSlack, taken: list[Incoming], fault: Fault
) -> None:
    slack.fail("users.info", fault, fault)  # aiohttp tries a dropped GET once more
    await slack.deliver(mention())
    num_calls = slack.num_calls("users.info")
    await slack.deliver(mention())
    assert [incoming.person.name for incoming in taken] == [ADA, ADA]
    assert slack.num_calls("users.info") == num_calls


async def test_chatter_costs_no_call(slack: FakeSlack, taken: list[Incoming]) -> None:
    before = len(slack.calls)
    assert await slack.deliver(message("lunch?")) == 200
    assert taken == []
    assert len(slack.calls) == before


@pytest.mark.parametrize(
    ("age", "said"), [(361, "6 minutes ago"), (-361, "6 minutes from now"), (3_600, "60 minutes")]
)
async def test_a_clock_that_is_off_is_said_in_the_log_once(
    caplog: pytest.LogCaptureFixture, age: float, said: str
) -> None:
    clock = FakeClock()
    async with FakeSlack(clock) as slack:
        listener, slack.events_url = bound_socket()
        adapter = make_adapter(slack.api_url, clock=clock)
        async with serving(adapter, listener), adapter, listening(adapter, _ignore):
            for _ in range(3):
                assert await slack.send(BODY, age=age) == 401
            (line,) = caplog.messages
            assert f"by this machine's clock it was signed {said}" in line
            assert "the clock may be off" in line
            await clock.advance(3_601)
            assert await slack.send(BODY, age=age) == 401
    assert len(caplog.messages) == 2


@pytest.mark.parametrize("age", [0, 301])
async def test_a_wrong_secret_is_said_in_the_log_once(
    slack: FakeSlack, taken: list[Incoming], caplog: pytest.LogCaptureFixture, age: float
) -> None:
    for _ in range(3):
        assert await slack.send(BODY, secret="guessed", age=age) == 401
    (line,) = caplog.messages
    assert "copy SLACK_SIGNING_SECRET again" in line


@pytest.mark.parametrize("header", ["X-Slack-Signature", "X-Slack-Request-Timestamp"])
async def test_a_missing_header_is_refused(
    slack: FakeSlack, taken: list[Incoming], header: str
) -> None:
    headers = slack.signed(BODY.encode())
    del headers[header]
    async with (
        aiohttp.ClientSession() as session,
        session.post(slack.events_url, data=BODY.encode(), headers=headers) as answer,
    ):
        assert answer.status == 401
    assert taken == []


async def _ignore(_: Incoming) -> None:
    pass

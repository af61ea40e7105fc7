"""Socket Mode on the strict fake: what Slack is told, and what becomes of a lost connection."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from adapters.slack.adapter import SlackAdapter
from bot.clock import SystemClock
from bot.errors import (
    NotPermitted,
    ParleyError,
    PlatformError,
    RateLimited,
    SettingsError,
    StorageFull,
    Unavailable,
)
from bot.running.supervision import Supervisor
from bot.types import Incoming, Label, Place, Question
from tests.adapters.slack.conftest import bound_socket, make_adapter, serving
from tests.adapters.slack.payloads import delivery, mention
from tests.adapters.slack.test_dispatcher import COMMAND, PRESSED
from tests.contracts.adapter import listening
from tests.fakes.slack import DROPS, FAILS, FakeSlack, Fault, rate_limited
from tests.fakes.slack_socket import APP_TOKEN

EVENT = delivery(mention())
PATIENCE = 10.0


class Taken(list[Incoming]):
    """What reached the conversation; ``holds``: nobody is done before it is set."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.came = asyncio.Event()
        self.refusals = 0

    async def handle(self, incoming: Incoming) -> None:
        self.append(incoming)
        self.came.set()
        await self.goes_on.wait()
        if self.refusals:
            self.refusals -= 1
            raise StorageFull("The disk is full.")


@pytest.fixture
def taken() -> Taken:
    return Taken()


@pytest.fixture
async def socket_adapter(slack: FakeSlack) -> AsyncIterator[SlackAdapter]:
    """With an app token alone, entered."""
    slack.uses_socket_mode = True
    async with make_adapter(slack.api_url, secret="", app_token=APP_TOKEN) as adapter:
        yield adapter


@pytest.fixture
async def listens(socket_adapter: SlackAdapter, taken: Taken) -> AsyncIterator[SlackAdapter]:
    async with listening(socket_adapter, taken.handle), asyncio.timeout(PATIENCE):
        yield socket_adapter


async def end_of(adapter: SlackAdapter, taken: Taken) -> ParleyError:
    """Why the adapter stops listening, which is what /readyz says."""
    with pytest.raises(ParleyError) as caught:
        async with asyncio.timeout(PATIENCE):
            await adapter.listen(taken.handle)
    return caught.value


@pytest.mark.usefixtures("listens")
async def test_a_question_is_taken_and_acknowledged(slack: FakeSlack, taken: Taken) -> None:
    assert await slack.deliver(mention()) == 200
    (question,) = taken
    assert isinstance(question, Question)
    assert (question.text, question.person.name) == ("hello", "Ada Lovelace")
    assert slack.socket.num_acks == 1


@pytest.mark.usefixtures("listens")
async def test_nothing_is_acknowledged_before_it_is_on_disk(slack: FakeSlack, taken: Taken) -> None:
    taken.goes_on.clear()
    delivering = asyncio.create_task(slack.deliver(mention()))
    await taken.came.wait()
    assert slack.socket.num_acks == 0
    taken.goes_on.set()
    assert await delivering == 200


@pytest.mark.usefixtures("listens")
async def test_one_delivery_that_waits_does_not_hold_up_another(
    slack: FakeSlack, taken: Taken
) -> None:
    taken.goes_on.clear()
    waiting = asyncio.create_task(slack.deliver(mention()))
    await taken.came.wait()
    assert await slack.socket.deliver("events_api", {"type": "event_callback"})
    taken.goes_on.set()
    assert await waiting == 200


@pytest.mark.usefixtures("listens")
async def test_what_could_not_be_stored_is_not_acknowledged_and_comes_again(
    slack: FakeSlack, taken: Taken
) -> None:
    taken.refusals = 1
    assert not await slack.socket.deliver("events_api", EVENT, seconds=0.2)
    assert await slack.socket.deliver("events_api", EVENT)
    assert [incoming.event_id for incoming in taken] == ["Ev1", "Ev1"]


async def test_a_mistake_of_ours_is_logged_without_the_message_and_the_next_is_taken(
    slack: FakeSlack, socket_adapter: SlackAdapter, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(_: Incoming) -> None:
        raise ZeroDivisionError

    async with listening(socket_adapter, handler), asyncio.timeout(PATIENCE):
        assert not await slack.socket.deliver("events_api", EVENT, seconds=0.2)
        assert await slack.socket.deliver("something_new", {})
    assert "ZeroDivisionError" in caplog.text
    assert "> hello" not in caplog.text


@pytest.mark.usefixtures("listens")
@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("interactive", PRESSED),
        ("slash_commands", COMMAND),
        ("slash_commands", {}),
        ("events_api", {"type": "event_callback", "event": {"type": "star_added"}}),
        ("events_api", {"type": 5}),
        ("something_new", {}),
    ],
)
async def test_everything_is_acknowledged_once(
    slack: FakeSlack, kind: str, payload: dict[str, object]
) -> None:
    assert await slack.socket.deliver(kind, payload)


@pytest.mark.usefixtures("listens")
@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"type": 5}', "[" * 100_000, "pong"])
async def test_what_is_no_envelope_is_ignored(slack: FakeSlack, text: str) -> None:
    line = await slack.socket.connected()
    await line.websocket.send_str(text)
    assert await slack.socket.deliver("something_new", {})
    assert slack.socket.num_lines == 1


@pytest.mark.usefixtures("listens")
async def test_a_dropped_line_is_opened_again_and_what_was_on_it_comes_again(
    slack: FakeSlack, taken: Taken
) -> None:
    taken.goes_on.clear()
    delivering = asyncio.create_task(slack.deliver(mention(), retries=1))
    await taken.came.wait()
    (await slack.socket.connected()).drop()
    await slack.socket.connected(2)
    taken.goes_on.set()
    assert await delivering == 200
    assert len({incoming.event_id for incoming in taken}) == 1


@pytest.mark.usefixtures("listens")
@pytest.mark.parametrize("reason", ["warning", "refresh_requested"])
async def test_while_slack_refreshes_the_line_both_are_read(
    slack: FakeSlack, taken: Taken, reason: str
) -> None:
    old = await slack.socket.connected()
    await old.announce(reason)
    new = await slack.socket.connected(2)
    for number, line in enumerate((old, new, old)):
        envelope = {"type": "events_api", "envelope_id": f"e{number}", "payload": EVENT}
        assert await line.hand_over(envelope, PATIENCE)
    assert {incoming.event_id for incoming in taken} == {"Ev1"}
    await old.websocket.close()
    assert await slack.deliver(mention()) == 200
    assert slack.socket.num_lines == 2


async def test_of_a_slack_that_never_closes_old_lines_no_more_than_two_are_kept(
    slack: FakeSlack, listens: SlackAdapter
) -> None:
    for number in range(1, 4):
        await (await slack.socket.connected(number)).announce("warning")
    await slack.socket.connected(4)
    assert await slack.socket.deliver("something_new", {})
    await slack.socket.has_at_most(2)


async def test_a_slack_that_ends_every_line_at_once_is_not_asked_in_a_hurry(
    slack: FakeSlack, socket_adapter: SlackAdapter, taken: Taken
) -> None:
    async def end_all() -> None:
        for number in range(1, 10):
            (await slack.socket.connected(number)).drop()

    ending = asyncio.create_task(end_all())
    error = await end_of(socket_adapter, taken)
    ending.cancel()
    assert str(error) == "Socket Mode: Slack ends each connection at once."
    assert slack.num_calls("apps.connections.open") == 4


async def test_socket_mode_switched_off_is_said(
    slack: FakeSlack, socket_adapter: SlackAdapter, taken: Taken
) -> None:
    ending = asyncio.create_task(end_of(socket_adapter, taken))
    await (await slack.socket.connected()).announce("link_disabled")
    error = await ending
    assert isinstance(error, NotPermitted)
    assert "switched off" in str(error)


async def test_a_line_on_which_nobody_says_hello_is_given_up(
    slack: FakeSlack, socket_adapter: SlackAdapter, taken: Taken
) -> None:
    slack.socket.greets = False
    assert "says nothing" in str(await end_of(socket_adapter, taken))


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (rate_limited(30), RateLimited, "rate limited"),
        (FAILS, Unavailable, "apps.connections.open"),
        (DROPS, Unavailable, "apps.connections.open"),
        (Fault(error="invalid_auth"), NotPermitted, "SLACK_APP_TOKEN is refused by Slack"),
        (Fault(error="token_revoked"), NotPermitted, "SLACK_APP_TOKEN is refused by Slack"),
    ],
)
async def test_why_the_line_cannot_be_opened_again_is_one_sentence(
    slack: FakeSlack,
    socket_adapter: SlackAdapter,
    taken: Taken,
    fault: Fault,
    kind: type[ParleyError],
    words: str,
) -> None:
    ending = asyncio.create_task(end_of(socket_adapter, taken))
    line = await slack.socket.connected()
    slack.fail("apps.connections.open", fault)
    line.drop()
    error = await ending
    assert isinstance(error, kind)
    assert words in str(error)
    assert "\n" not in str(error)
    assert APP_TOKEN not in str(error)


@pytest.mark.parametrize("code", ["invalid_auth", "not_allowed_token_type", "missing_scope"])
async def test_a_refused_app_token_is_a_wrong_setting(slack: FakeSlack, code: str) -> None:
    slack.fail("apps.connections.open", Fault(error=code))
    adapter = make_adapter(slack.api_url, secret="", app_token=APP_TOKEN)
    with pytest.raises(SettingsError) as caught:
        await adapter.__aenter__()
    (problem,) = caught.value.problems
    assert problem.startswith("SLACK_APP_TOKEN is refused by Slack")
    assert code in problem


async def test_slack_is_asked_again_only_after_the_pause_that_it_wants(slack: FakeSlack) -> None:
    clock = Stopped()
    adapter = make_adapter(slack.api_url, secret="", app_token=APP_TOKEN, clock=clock)
    slack.fail("apps.connections.open", rate_limited(30))
    with pytest.raises(RateLimited):
        await adapter.__aenter__()
    async with adapter:
        pass
    assert max(clock.slept) == pytest.approx(30, abs=5)


class Stopped(SystemClock):
    """Sleeps no longer than nothing."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


async def test_no_webhook_is_open_without_a_signing_secret(socket_adapter: SlackAdapter) -> None:
    assert socket_adapter.routes() == []


async def test_what_is_handled_when_parley_stops_is_still_acknowledged(
    slack: FakeSlack, socket_adapter: SlackAdapter, taken: Taken
) -> None:
    taken.goes_on.clear()
    listening_task = asyncio.create_task(socket_adapter.listen(taken.handle))
    delivering = asyncio.create_task(slack.deliver(mention()))
    async with asyncio.timeout(PATIENCE):
        await taken.came.wait()
        listening_task.cancel()
        await asyncio.sleep(0)
        taken.goes_on.set()
        assert await delivering == 200
        with suppress(asyncio.CancelledError):
            await listening_task


async def test_both_ways_are_served_at_once(slack: FakeSlack, taken: Taken) -> None:
    listener, slack.events_url = bound_socket()
    adapter = make_adapter(slack.api_url, app_token=APP_TOKEN)
    async with (
        serving(adapter, listener),
        adapter,
        listening(adapter, taken.handle),
        asyncio.timeout(PATIENCE),
    ):
        assert await slack.socket.deliver("events_api", EVENT)
        assert await slack.send(json.dumps(EVENT)) == 200
    assert [incoming.event_id for incoming in taken] == ["Ev1", "Ev1"]


class Paused(SystemClock):
    """Sleeps until it is told to go on."""

    def __init__(self) -> None:
        self.sleeps, self.goes_on = asyncio.Event(), asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        if seconds > 0:
            self.sleeps.set()
            await self.goes_on.wait()


async def test_while_socket_mode_is_lost_what_comes_by_http_is_taken_and_answered(
    slack: FakeSlack, taken: Taken, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    listener, slack.events_url = bound_socket()
    clock = Paused()
    adapter = make_adapter(slack.api_url, app_token=APP_TOKEN, clock=clock)
    supervisor = Supervisor(adapter, taken.handle, clock)
    supervisor.go.set()
    async with serving(adapter, listener), asyncio.timeout(PATIENCE):
        running = asyncio.create_task(supervisor.run())
        line = await slack.socket.connected()
        slack.fail("apps.connections.open", FAILS)
        line.drop()
        await clock.sleeps.wait()
        assert supervisor.state.status == "up"
        assert supervisor.state.detail.startswith("only HTTP; Socket Mode is tried again: apps.")
        assert "Socket Mode is lost and is tried again; what comes by HTTP is taken" in caplog.text
        assert await slack.send(json.dumps(EVENT)) == 200
        assert await adapter.post(place, adapter.render("Here."), Label("t1", 0))
        clock.goes_on.set()
        await slack.socket.connected(2)
        while supervisor.state.detail:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert "Slack's Socket Mode is connected again" in caplog.text
        running.cancel()
        await asyncio.wait({running})
    assert [incoming.event_id for incoming in taken] == ["Ev1"]


@pytest.mark.parametrize("fault", [rate_limited(30), FAILS, DROPS])
async def test_parley_starts_by_http_though_socket_mode_cannot_be_opened(
    slack: FakeSlack, fault: Fault
) -> None:
    slack.fail("apps.connections.open", fault)
    async with make_adapter(slack.api_url, app_token=APP_TOKEN) as adapter:
        assert adapter.trouble.startswith("only HTTP; Socket Mode is tried again: ")
    slack.fail("apps.connections.open", fault)
    with pytest.raises(PlatformError):
        await make_adapter(slack.api_url, secret="", app_token=APP_TOKEN).__aenter__()


async def test_no_token_and_no_text_is_logged(
    slack: FakeSlack,
    socket_adapter: SlackAdapter,
    taken: Taken,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with listening(socket_adapter, taken.handle), asyncio.timeout(PATIENCE):
        taken.refusals = 1
        assert not await slack.socket.deliver("events_api", EVENT, seconds=0.2)
    assert "My disk is full" in caplog.text
    assert "xapp" not in caplog.text
    assert "> hello" not in caplog.text

"""What is broken in the calls of botbuilder 4.17.1 as it comes; see ``test_botbuilder``."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from botbuilder.integration.aiohttp import CloudAdapter  # type: ignore[import-untyped]
from botbuilder.schema import (  # type: ignore[import-untyped]
    Activity,
    ConversationReference,
    ErrorResponseException,
)
from botframework.connector.aio import ConnectorClient  # type: ignore[import-untyped]
from botframework.connector.auth import (  # type: ignore[import-untyped]
    BotFrameworkAuthenticationFactory,
    MicrosoftAppCredentials,
    PasswordServiceClientCredentialFactory,
)
from msrest.exceptions import ClientRequestError

from tests.fakes import teams as wire
from tests.fakes.teams import FakeTeams
from tests.fakes.teams_activities import APP, CHANNEL
from tests.fakes.teams_issuer import ISSUER

TEXT = Activity(type="message", text="hello", text_format="markdown")


@pytest.fixture
async def teams() -> AsyncIterator[FakeTeams]:
    async with FakeTeams() as fake:
        fake.takes_anonymous = True
        yield fake


def client(url: str) -> ConnectorClient:
    """As botbuilder makes it, but for the pauses between its attempts."""
    made = ConnectorClient(MicrosoftAppCredentials.empty(), base_url=url)
    made.config.retry_policy.policy.backoff_factor = 0
    return made


async def test_an_acceptance_without_an_id_is_a_message_named_none(teams: FakeTeams) -> None:
    typing = Activity(type="typing")
    answer = await client(teams.url).conversations.send_to_conversation(CHANNEL, typing)
    assert answer.id is None


@pytest.mark.parametrize("fault", [wire.FAILS, wire.rate_limited(0)])
async def test_an_edit_and_a_deletion_are_made_four_times_in_secret(
    teams: FakeTeams, fault: wire.Fault
) -> None:
    calls = client(teams.url).conversations
    message = await calls.send_to_conversation(CHANNEL, TEXT)
    for method, call in (
        ("edit", calls.update_activity(CHANNEL, message.id, TEXT)),
        ("delete", calls.delete_activity(CHANNEL, message.id)),
    ):
        teams.fail(method, *[fault] * 9)
        with pytest.raises((ClientRequestError, ErrorResponseException)):
            await call
        assert teams.num_made(method) == 4


async def test_a_call_may_take_a_hundred_seconds(teams: FakeTeams) -> None:
    assert client(teams.url).config.connection.timeout == 100


async def test_a_refusal_is_an_exception_that_carries_the_whole_exchange(teams: FakeTeams) -> None:
    teams.fail("post", wire.Fault(403, "BotNotInConversationRoster", headers={"Retry-After": "7"}))
    with pytest.raises(ErrorResponseException) as caught:
        await client(teams.url).conversations.send_to_conversation(CHANNEL, TEXT)
    assert caught.value.response.status_code == 403
    assert caught.value.response.headers["Retry-After"] == "7"
    assert "hello" in caught.value.response.request.body


async def test_a_dropped_line_is_an_exception_of_another_family(teams: FakeTeams) -> None:
    teams.fail("post", *[wire.DROPS] * 9)
    with pytest.raises(ClientRequestError):
        await client(teams.url).conversations.send_to_conversation(CHANNEL, TEXT)


async def test_a_call_goes_on_in_its_thread_after_its_task_was_cancelled() -> None:
    arrived, may_answer, answered = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def serve(_: web.Request) -> web.Response:
        """Cancelled by a caller who hangs up."""
        arrived.set()
        await may_answer.wait()
        answered.set()
        return web.json_response({"id": "1"}, status=201)

    application = web.Application()
    application.router.add_post("/{path:.*}", serve)
    runner = web.AppRunner(application, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    calls = client(f"http://127.0.0.1:{runner.addresses[0][1]}/").conversations
    posting = asyncio.create_task(calls.send_to_conversation(CHANNEL, TEXT))
    await arrived.wait()
    posting.cancel()
    await asyncio.wait([posting])
    may_answer.set()
    await asyncio.wait_for(answered.wait(), 5)
    assert posting.cancelled()
    await runner.cleanup()


async def test_each_turn_has_credentials_of_its_own_that_remember_no_token() -> None:
    """And they ask for one without ``await``: the loop waits for it."""
    factory = PasswordServiceClientCredentialFactory(APP, "secret")
    login = "https://login.microsoftonline.com/botframework.com"
    first, second = [
        await factory.create_credentials(APP, ISSUER, login, validate_authority=True)
        for _ in range(2)
    ]
    assert first is not second
    assert first.app is None
    assert not inspect.iscoroutinefunction(first.get_access_token)


async def test_going_on_with_a_conversation_needs_what_its_signature_calls_optional() -> None:
    factory = PasswordServiceClientCredentialFactory(APP, "secret")
    cloud = CloudAdapter(BotFrameworkAuthenticationFactory.create(credential_factory=factory))
    reference = ConversationReference(service_url="http://127.0.0.1:9/", channel_id="msteams")

    async def logic(_: object) -> None:
        pass

    with pytest.raises(Exception, match="Invalid app_id"):
        await cloud.continue_conversation(reference, logic)

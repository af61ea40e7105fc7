"""What is broken in botbuilder 4.17.1, each fault made to happen here.

A test that fails: it was mended, and what ``adapters.teams`` does about it may go.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from aiohttp import web
from botbuilder.core import (  # type: ignore[import-untyped]
    ActivityHandler,
    InvokeResponse,
    TurnContext,
)
from botbuilder.integration.aiohttp import CloudAdapter  # type: ignore[import-untyped]
from botbuilder.schema import (  # type: ignore[import-untyped]
    Activity,
    AdaptiveCardInvokeResponse,
)
from botframework.connector.auth import (  # type: ignore[import-untyped]
    AuthenticationConfiguration,
    BotFrameworkAuthentication,
    BotFrameworkAuthenticationFactory,
    PasswordServiceClientCredentialFactory,
)
from jwt.algorithms import RSAAlgorithm
from multidict import CIMultiDict

from bot.clock import SystemClock
from tests.fakes.teams_activities import APP, TENANT, Json, feedback, invoke, message
from tests.fakes.teams_issuer import ISSUER, FakeIssuer, private_key

# Activities


def test_entities_lose_all_but_their_type_on_the_way_out() -> None:
    entity = {"type": "streaminfo", "streamType": "final"}
    sent = Activity.deserialize({"type": "message", "entities": [entity]}).serialize()
    assert sent["entities"] == [{"type": "streaminfo"}]


def test_entities_keep_their_data_in_another_place_on_the_way_in() -> None:
    (entity,) = Activity.deserialize(message("hello")).entities
    assert entity.additional_properties["platform"] == "Web"


def test_the_tenant_of_a_conversation_is_lost_on_the_way_in() -> None:
    read = Activity.deserialize(message("hello"))
    assert read.conversation.tenant_id is None
    assert read.conversation.additional_properties["tenantId"] == TENANT


# Its route


class Keys(BaseHTTPRequestHandler):
    """botbuilder asks for keys on the loop itself, so they are served from a thread."""

    issuer: FakeIssuer
    num_fetches = 0

    def do_GET(self) -> None:
        host = self.headers["Host"]
        body: Json = {"issuer": ISSUER, "jwks_uri": f"http://{host}/keys"}
        if self.path == "/keys":
            type(self).num_fetches += 1
            body = {"keys": [_jwk(name) for name in self.issuer.keys]}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: Any) -> None:
        pass


def _jwk(name: str) -> Json:
    key = RSAAlgorithm.to_jwk(private_key(name).public_key(), as_dict=True)
    return {**key, "kid": name, "endorsements": ["msteams"]}


async def takes(
    authentication: BotFrameworkAuthentication, activity: Json, header: str, handler: Any = None
) -> int | str:
    """The status of its route's answer, or what it raised instead: people see a 500 then."""
    cloud = CloudAdapter(authentication)

    async def let_pass(_: TurnContext, error: Exception) -> None:
        raise error

    cloud.on_turn_error = let_pass
    try:
        answer = await cloud.process(_request(activity, header), handler or ActivityHandler())
    except web.HTTPException as error:
        return error.status
    except Exception as error:  # whatever it is, it is the finding
        return type(error).__name__
    return int(answer.status)


class Bot:
    """botbuilder's own route, behind the keys of ``issuer``."""

    def __init__(self, metadata_url: str, issuer: FakeIssuer, keys: type[Keys]) -> None:
        self.issuer = issuer
        self.keys = keys
        self._authentication = _authentication(metadata_url)

    async def takes(self, activity: Json, handler: Any = None, **token: Any) -> int | str:
        signed = self.issuer.sign(activity["serviceUrl"], **token)
        return await self.takes_with(activity, f"Bearer {signed}", handler)

    async def takes_with(self, activity: Json, header: str, handler: Any = None) -> int | str:
        return await takes(self._authentication, activity, header, handler)


def _authentication(metadata_url: str) -> BotFrameworkAuthentication:
    return BotFrameworkAuthenticationFactory.create(
        credential_factory=PasswordServiceClientCredentialFactory(APP, "secret"),
        auth_configuration=AuthenticationConfiguration(),
        validate_authority=True,
        to_channel_from_bot_login_url="https://login.microsoftonline.com/botframework.com",
        to_channel_from_bot_oauth_scope=ISSUER,
        to_bot_from_channel_token_issuer=ISSUER,
        oauth_url="https://oauth.example",
        to_bot_from_channel_open_id_metadata_url=metadata_url,
        to_bot_from_emulator_open_id_metadata_url=metadata_url,
        caller_id="",
    )


def _request(activity: Json, header: str) -> Any:
    class Request:
        method = "POST"
        headers = CIMultiDict({"Content-Type": "application/json", "Authorization": header})

        async def json(self) -> Json:
            return activity

    return Request()


@contextmanager
def _serving(issuer: FakeIssuer) -> Iterator[tuple[str, type[Keys]]]:
    keys = type("TheseKeys", (Keys,), {"issuer": issuer})
    with ThreadingHTTPServer(("127.0.0.1", 0), keys) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/openid", keys
        server.shutdown()
        thread.join()


@pytest.fixture
def bot() -> Iterator[Bot]:
    issuer = FakeIssuer(SystemClock())
    with _serving(issuer) as (url, keys):
        yield Bot(url, issuer, keys)


async def test_its_route_takes_what_is_proven(bot: Bot) -> None:
    """So that what follows is not for want of a good token."""
    assert await bot.takes(message("hello")) == 201


async def test_a_token_that_never_expires_is_taken(bot: Bot) -> None:
    assert await bot.takes(message("hello"), exp=None) == 201


@pytest.mark.parametrize(
    ("token", "raised"),
    [
        ({"exp": 1}, "ExpiredSignatureError"),
        ({"key": "key-of-a-stranger", "key_id": "key-1"}, "InvalidSignatureError"),
        ({"key": "key-of-a-stranger"}, "IndexError"),
    ],
)
async def test_a_bad_token_is_an_exception_of_the_route_and_no_401(
    bot: Bot, token: Json, raised: str
) -> None:
    assert await bot.takes(message("hello"), **token) == raised


@pytest.mark.parametrize(
    ("header", "raised"),
    [("", "AttributeError"), ("Bearer garbage", "DecodeError"), ("Bearer a.b.c", "DecodeError")],
)
async def test_garbage_instead_of_a_token_is_no_401_either(
    bot: Bot, header: str, raised: str
) -> None:
    assert await bot.takes_with(message("hello"), header) == raised


async def test_a_new_signing_key_is_refused_without_looking_for_it(bot: Bot) -> None:
    """It looks again only once what it has is a day old."""
    assert await bot.takes(message("hello")) == 201
    bot.issuer.keys = {"key-1": ("msteams",), "key-2": ("msteams",)}
    assert await bot.takes(message("hello"), key="key-2") == "IndexError"
    assert bot.keys.num_fetches == 1


async def test_nothing_else_runs_while_it_fetches_keys(bot: Bot) -> None:
    num_turns = 0

    async def turn() -> None:
        nonlocal num_turns
        while True:
            num_turns += 1
            await asyncio.sleep(0)

    turning = asyncio.create_task(turn())
    assert await bot.takes(message("hello")) == 201
    assert num_turns == 0
    turning.cancel()


async def test_without_an_app_id_everybody_is_believed() -> None:
    nobody = PasswordServiceClientCredentialFactory("", "")
    authentication = BotFrameworkAuthenticationFactory.create(credential_factory=nobody)
    assert await takes(authentication, message("hello"), "") == 201


class Cards(ActivityHandler):  # type: ignore[misc]
    async def on_adaptive_card_invoke(self, *_: Any) -> AdaptiveCardInvokeResponse:
        return AdaptiveCardInvokeResponse(status_code=200, type="text", value="Done.")

    async def on_invoke_activity(self, context: TurnContext) -> InvokeResponse:
        if context.activity.name == "plain":
            return InvokeResponse(status=200, body={"a": 1})
        return await super().on_invoke_activity(context)


@pytest.mark.parametrize(
    ("name", "raised"), [("adaptiveCard/action", "SerializationError"), ("plain", "AttributeError")]
)
async def test_what_answers_an_invoke_is_serialised_twice_and_fails(
    bot: Bot, name: str, raised: str
) -> None:
    value = {"action": {"type": "Action.Execute", "data": {}}}
    assert await bot.takes(invoke(name, value), Cards()) == raised


async def test_feedback_has_no_handler(bot: Bot) -> None:
    assert await bot.takes(feedback("m-1")) == 501

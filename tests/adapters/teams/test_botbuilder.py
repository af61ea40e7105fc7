"""What is broken in botbuilder 4.17.1. A test that fails here: it was mended, and ours may go."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web
from botbuilder.core import ActivityHandler  # type: ignore[import-untyped]
from botbuilder.core.serializer_helper import (  # type: ignore[import-untyped]
    serializer_helper,
)
from botbuilder.integration.aiohttp import CloudAdapter  # type: ignore[import-untyped]
from botbuilder.schema import Activity  # type: ignore[import-untyped]
from botframework.connector.auth import (  # type: ignore[import-untyped]
    AuthenticationConfiguration,
    BotFrameworkAuthenticationFactory,
    PasswordServiceClientCredentialFactory,
)
from multidict import CIMultiDict

from tests.fakes.teams_activities import APP, TENANT, Json, message


def test_entities_lose_all_but_their_type_on_the_way_out() -> None:
    entity = {"type": "streaminfo", "streamType": "final"}
    sent = Activity.deserialize({"type": "message", "entities": [entity]}).serialize()
    assert sent["entities"] == [{"type": "streaminfo"}]


def test_the_tenant_of_a_conversation_is_lost_on_the_way_in() -> None:
    read = Activity.deserialize(message("hello"))
    assert read.conversation.tenant_id is None
    assert read.conversation.additional_properties["tenantId"] == TENANT


def test_an_answer_of_plain_values_cannot_be_serialised_by_its_route() -> None:
    with pytest.raises(Exception, match=r".+"):
        serializer_helper({"statusCode": 200, "value": {"a": 1}})


def _request(activity: Json, header: str) -> Any:
    class Request:
        method = "POST"
        headers = CIMultiDict({"Content-Type": "application/json", "Authorization": header})

        async def json(self) -> Json:
            return activity

    return Request()


@pytest.mark.parametrize("header", ["Bearer garbage", "Bearer a.b.c"])
async def test_a_garbage_token_ends_in_anything_but_a_401(header: str) -> None:
    authentication = BotFrameworkAuthenticationFactory.create(
        credential_factory=PasswordServiceClientCredentialFactory(APP, "secret"),
        auth_configuration=AuthenticationConfiguration(),
        validate_authority=True,
        to_channel_from_bot_login_url="https://login.example",
        to_channel_from_bot_oauth_scope="scope",
        to_bot_from_channel_token_issuer="issuer",
        oauth_url="https://oauth.example",
        to_bot_from_channel_open_id_metadata_url="http://127.0.0.1:9/openid",
        to_bot_from_emulator_open_id_metadata_url="http://127.0.0.1:9/openid",
        caller_id="",
    )
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is, it is not that
        await CloudAdapter(authentication).process(
            _request(message("hi"), header), ActivityHandler()
        )
    assert not isinstance(caught.value, web.HTTPUnauthorized)

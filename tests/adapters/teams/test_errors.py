"""No error of Teams', of botbuilder or of aiohttp crosses the port."""

from __future__ import annotations

from collections.abc import Iterator

import aiohttp
import pytest

from adapters.teams.activities.streams import StreamRefused
from adapters.teams.auth.credentials import NoToken
from adapters.teams.connector import SDK_ERRORS, _guarded
from adapters.teams.errors import (
    BrokenAnswer,
    Refusal,
    refusal_of,
    translated,
)
from bot.errors import (
    MessageGone,
    MessageTooLong,
    NotPermitted,
    PlatformError,
    PlatformRefused,
    RateLimited,
    Unavailable,
)
from tests.adapters.teams.conftest import Observed


def families(*roots: type[BaseException]) -> Iterator[type[BaseException]]:
    for root in roots:
        yield root
        yield from families(*root.__subclasses__())


def in_order(*roots: type[BaseException]) -> list[type[BaseException]]:
    found = {kind.__qualname__: kind for kind in families(*roots)}
    return [found[name] for name in sorted(found)]


def blank(kind: type[BaseException]) -> BaseException:
    """An error of that kind, whatever its constructor wants."""
    error = kind.__new__(kind)
    error.args = ("secret text",)
    return error


@pytest.mark.parametrize("kind", in_order(*SDK_ERRORS))
async def test_every_error_of_the_sdk_is_mapped(kind: type[BaseException]) -> None:
    async def call() -> None:
        raise blank(kind)

    with pytest.raises(PlatformError) as caught, translated("post", Observed()):
        await _guarded(call())
    assert "secret text" not in str(caught.value)


@pytest.mark.parametrize("kind", in_order(aiohttp.ClientError))
def test_every_error_of_aiohttp_is_mapped(kind: type[BaseException]) -> None:
    with pytest.raises(Unavailable) as caught, translated("post", Observed()):
        raise blank(kind)
    assert "secret text" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (429, "TooManyRequests", RateLimited),
        (413, "MessageSizeTooBig", MessageTooLong),
        (400, "MessageSizeTooBig", MessageTooLong),
        (404, "ConversationNotFound", MessageGone),
        (404, "ActivityNotFoundInConversation", MessageGone),
        (410, "Gone", MessageGone),
        (401, "Unauthorized", NotPermitted),
        (403, "BotNotInConversationRoster", NotPermitted),
        (403, "MessageWritesBlocked", NotPermitted),
        (403, "PolicyViolation", PlatformRefused),
        (403, "ContentStreamNotAllowed", StreamRefused),
        (405, "MethodNotAllowed", StreamRefused),
        (412, "PreconditionFailed", Unavailable),
        (500, "ServiceError", Unavailable),
        (502, "BadGateway", Unavailable),
        (503, "ServiceUnavailable", Unavailable),
        (504, "GatewayTimeout", Unavailable),
        (400, "BadSyntax", PlatformRefused),
        (418, "Teapot", PlatformRefused),
    ],
)
def test_each_refusal_has_its_meaning(status: int, code: str, expected: type[Exception]) -> None:
    answer = {"error": {"code": code, "message": "why"}}
    with pytest.raises(expected), translated("post", observed := Observed()):
        raise refusal_of(status, {}, answer)
    assert observed == [("post", code)]


def test_a_refusal_of_the_token_and_a_broken_answer_are_told_apart() -> None:
    with pytest.raises(NotPermitted), translated("post", Observed()):
        raise NoToken("invalid_client")
    with pytest.raises(Unavailable), translated("post", Observed()):
        raise BrokenAnswer


@pytest.mark.parametrize("body", [None, [], "x", {"error": "x"}, {"error": {"code": "a b\n"}}])
def test_a_refusal_of_any_shape_is_named_by_its_status(body: object) -> None:
    assert refusal_of(400, {}, body).code == "http_400"


@pytest.mark.parametrize(
    ("header", "seconds"), [("3", 3.0), ("0.5", 0.5), ("soon", 1.0), ("-1", 1.0), ("1e9", 1.0)]
)
def test_retry_after_is_believed_within_reason(header: str, seconds: float) -> None:
    refusal: Refusal = refusal_of(429, {"Retry-After": header}, None)
    assert refusal.retry_after == seconds

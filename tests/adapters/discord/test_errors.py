"""Whatever discord.py raises, Parley sees a PlatformError that says nothing secret."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import aiohttp
import discord.app_commands.errors
import discord.errors
import pytest

from adapters.discord.errors import translated
from bot.errors import (
    MessageGone,
    MessageTooLong,
    NotPermitted,
    PlatformError,
    PlatformRefused,
    RateLimited,
    TextRefused,
    Unavailable,
)
from tests.adapters.discord.conftest import Observed


class Response:
    """As much of aiohttp's response as an error carries."""

    def __init__(self, status: int, **headers: str) -> None:
        self.status = status
        self.reason = "reason"
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def exceptions(module: ModuleType) -> Iterator[type[Exception]]:
    for _, kind in inspect.getmembers(module, inspect.isclass):
        if issubclass(kind, Exception) and kind is not aiohttp.WSMessageTypeError:  # no websocket
            yield kind


@pytest.mark.parametrize(
    "kind",
    [
        *exceptions(discord.errors),
        *exceptions(discord.app_commands.errors),
        *exceptions(aiohttp.client_exceptions),
        *(TimeoutError, ConnectionResetError, BrokenPipeError, OSError, ValueError),
    ],
)
def test_no_error_of_the_sdk_crosses_the_port(kind: type[Exception]) -> None:
    error: Any = kind.__new__(kind)
    if isinstance(error, discord.HTTPException):
        vars(error).update(response=Response(400), status=400, code=0, text="")
    if isinstance(error, discord.RateLimited):
        error.retry_after = 3.0
    observed = Observed()
    with pytest.raises(PlatformError), translated("POST /x", observed):
        raise error
    ((method, status),) = observed
    assert method == "POST /x"
    assert status != "ok"


def caught(status: int, code: int, message: str = "no", **headers: str) -> PlatformError:
    answer: Any = Response(status, **headers)
    refusal = discord.HTTPException(answer, {"code": code, "message": message})
    with pytest.raises(PlatformError) as error, translated("POST /x", Observed()):
        raise refusal
    assert error.value.__suppress_context__
    return error.value


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, 10008, MessageGone),
        (404, 10003, MessageGone),
        (400, 40005, MessageTooLong),
        (403, 50013, NotPermitted),
        (403, 50001, NotPermitted),
        (401, 0, NotPermitted),
        (401, 50027, PlatformRefused),
        (400, 30046, PlatformRefused),
        (403, 160002, PlatformRefused),
        (400, 240000, TextRefused),
        (400, 200000, TextRefused),
        (400, 20009, TextRefused),
        (429, 0, RateLimited),
        (500, 0, Unavailable),
    ],
)
def test_discords_codes_have_their_meaning(
    status: int, code: int, kind: type[PlatformError]
) -> None:
    assert type(caught(status, code)) is kind


@pytest.mark.parametrize(("given", "seconds"), [("30", 30), ("soon", 1), ("-5", 1), ("nan", 1)])
def test_the_wait_that_is_asked_for_is_kept(given: str, seconds: float) -> None:
    error = caught(429, 0, Retry_After=given)
    assert isinstance(error, RateLimited)
    assert error.retry_after == seconds

"""Whatever the SDK raises, Parley sees a PlatformError that says nothing secret."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import ModuleType

import aiohttp
import pytest
import slack_sdk.errors
from slack_sdk.errors import SlackApiError

from adapters.slack.api.errors import translated
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
from tests.adapters.slack.conftest import Observed


class Answer:
    """As much of an SDK response as errors carry."""

    def __init__(self, data: object, status: int = 200, **headers: str) -> None:
        self.data = data
        self.status_code = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def exceptions(module: ModuleType) -> Iterator[type[Exception]]:
    for _, kind in inspect.getmembers(module, inspect.isclass):
        if issubclass(kind, Exception) and kind is not aiohttp.WSMessageTypeError:  # no websocket
            yield kind


@pytest.mark.parametrize(
    "kind",
    [
        *exceptions(slack_sdk.errors),
        *exceptions(aiohttp.client_exceptions),
        *(TimeoutError, ConnectionResetError, BrokenPipeError, OSError, UnicodeError),
    ],
)
def test_no_error_of_the_sdk_crosses_the_port(kind: type[Exception]) -> None:
    error = kind.__new__(kind)
    error.response = {}  # type: ignore[attr-defined]
    observed = Observed()
    with pytest.raises(PlatformError), translated("chat.update", observed):
        raise error
    ((method, status),) = observed
    assert method == "chat.update"
    assert status != "ok"


def caught(data: object, status: int = 200, **headers: str) -> PlatformError:
    with pytest.raises(PlatformError) as error, translated("chat.update", Observed()):
        raise SlackApiError("xoxb-secret", Answer(data, status, **headers))  # type: ignore[no-untyped-call]
    assert "xoxb" not in f"{error.value!r} {error.value}"
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__
    return error.value


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("message_not_found", MessageGone),
        ("channel_not_found", MessageGone),
        ("msg_too_long", MessageTooLong),
        ("not_in_channel", NotPermitted),
        ("token_revoked", NotPermitted),
        ("restricted_action_read_only_channel", NotPermitted),
        ("internal_error", Unavailable),
        ("ratelimited", RateLimited),
        ("no_text", PlatformRefused),
        ("is_archived", NotPermitted),
        ("is_inactive", NotPermitted),
        ("edit_window_closed", PlatformRefused),
        ("cannot_reply_to_message", PlatformRefused),
        ("restricted_action_non_threadable_channel", PlatformRefused),
        ("slack_connect_file_link_sharing_blocked", TextRefused),
        ("external_channel_migrating", Unavailable),
    ],
)
def test_slacks_words_have_their_meaning(code: str, kind: type[PlatformError]) -> None:
    assert type(caught({"ok": False, "error": code})) is kind


@pytest.mark.parametrize(
    ("given", "seconds"), [("30", 30), ("0.5", 0.5), ("soon", 1), ("-5", 1), ("nan", 1)]
)
def test_the_wait_that_slack_asks_for_is_kept(given: str, seconds: float) -> None:
    error = caught({}, 429, Retry_After=given)
    assert isinstance(error, RateLimited)
    assert error.retry_after == seconds


def test_a_server_error_may_have_happened() -> None:
    error = caught({}, 503)
    assert isinstance(error, Unavailable)
    assert error.ambiguous


def test_a_code_that_is_no_word_never_becomes_a_label() -> None:
    observed = Observed()
    with pytest.raises(PlatformRefused), translated("chat.update", observed):
        raise SlackApiError("", Answer({"error": "Ada said <hi>"}))  # type: ignore[no-untyped-call]
    assert observed == [("chat.update", "http_200")]

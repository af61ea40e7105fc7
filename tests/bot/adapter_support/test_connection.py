"""A call that got lost on its way: whether it may have arrived decides what is done about it."""

from __future__ import annotations

import aiohttp
import pytest

from bot.adapter_support.connection import DEFAULT_RETRY_AFTER, counted, retry_after
from bot.errors import MessageGone, Unavailable


@pytest.mark.parametrize(
    ("error", "status", "is_ambiguous"),
    [
        (aiohttp.InvalidURL("x"), "unreachable", False),
        (aiohttp.ConnectionTimeoutError(), "unreachable", False),
        (TimeoutError(), "timeout", True),
        (aiohttp.ServerDisconnectedError(), "dropped", True),
        (ConnectionResetError(), "dropped", True),
    ],
)
def test_a_lost_call_is_counted_and_says_whether_it_may_have_arrived(
    error: Exception, status: str, is_ambiguous: bool
) -> None:
    seen: list[tuple[str, str]] = []
    with pytest.raises(Unavailable) as caught, counted("X", "post", lambda *c: seen.append(c)):
        raise error
    assert seen == [("post", status)]
    assert caught.value.ambiguous is is_ambiguous


def test_what_the_platform_refused_is_counted_by_whoever_knows_its_word_for_it() -> None:
    seen: list[tuple[str, str]] = []
    with pytest.raises(MessageGone), counted("X", "edit", lambda *c: seen.append(c)):
        raise MessageGone("It is gone.")
    assert seen == []
    with counted("X", "edit", lambda *c: seen.append(c)):
        pass
    assert seen == [("edit", "ok")]


@pytest.mark.parametrize("header", [None, "", "soon", "-1", "nan", "1e9"])
def test_a_wait_that_nobody_can_mean_is_a_second(header: str | None) -> None:
    assert retry_after(header) == DEFAULT_RETRY_AFTER
    assert retry_after("2.5") == 2.5

"""The connection is opened and closed in turn; a call that got lost may have arrived or not."""

from __future__ import annotations

from contextlib import AsyncExitStack

import aiohttp
import pytest

from bot.adapter_support.connection import (
    DEFAULT_RETRY_AFTER,
    ConnectedAdapter,
    counted,
    retry_after,
)
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


class Unlucky(ConnectedAdapter[str]):
    """Opens two parts, and fails while it opens the second for the first time."""

    name = "unlucky"

    def __init__(self) -> None:
        super().__init__()
        self.is_lucky = False
        self.closed: list[str] = []

    async def _connect(self, opened: AsyncExitStack) -> str:
        opened.callback(self.closed.append, "first")
        if not self.is_lucky:
            raise Unavailable("Nobody is there.", ambiguous=False)
        opened.callback(self.closed.append, "second")
        return "connected"

    def use(self) -> str:
        return self._connected


async def test_what_was_opened_is_closed_when_the_rest_cannot_be() -> None:
    adapter = Unlucky()
    with pytest.raises(Unavailable):
        await adapter.__aenter__()
    assert adapter.closed == ["first"]
    with pytest.raises(Unavailable, match="Unlucky is not connected"):
        adapter.use()


async def test_an_adapter_that_is_entered_twice_connects_once_and_closes_in_turn() -> None:
    adapter = Unlucky()
    adapter.is_lucky = True
    async with adapter:
        assert await adapter.__aenter__() is adapter
        assert adapter.use() == "connected"
    assert adapter.closed == ["second", "first"]
    with pytest.raises(Unavailable):
        adapter.use()

"""What every adapter must do, whatever its platform.

A platform's tests subclass ``AdapterContract``, ``AdapterFaultContract`` and, where it can be
asked, ``FindsPostsContract``, and give the fixtures: ``adapter`` (entered, with a short
``call_timeout``), ``platform`` (the far side), ``place`` (a thread to post into) and ``person``
(somebody there).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from enum import Enum, auto
from typing import Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.capabilities import FindsPosts, Reacts, Whispers
from bot.errors import (
    MessageGone,
    MessageTooLong,
    NotPermitted,
    PlatformError,
    PlatformRefused,
    RateLimited,
    StorageError,
    StorageFull,
    Unavailable,
)
from bot.ports import Adapter, Handler
from bot.types import Incoming, Label, Person, Place, Question, Rendered
from tests.fakes.clock import settle

WORDS = st.sampled_from(
    [
        *("<", ">", "&", "|", "!", "@", "#", "*", "**", "_", "__", "~~", "`", "```", "\n", " "),
        *("<!channel>", "<!here|x>", "<@U01>", "<#C01>", "<@&1>", "@everyone", "@here"),
        *("<at>x</at>", "[a](http://x.org)", "[b](!channel)", "![c](@U01)", "\n- ", "\n1. "),
        *("\n# ", "\n> ", "|a|b|\n|-|-|\n|c|", "&lt;!channel&gt;", "https://x.org/?a=1&b", "word"),
    ]
)
MARKDOWN = st.one_of(st.text(), st.lists(WORDS, max_size=30).map("".join))
quickly = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)


class Fault(Enum):
    """What the far side can be told to do to the next call of a kind."""

    RATE_LIMITED = auto()  # with a wait of 3 seconds
    FAILED = auto()  # an internal error, before anything happened
    DROPPED = auto()  # the connection ends; nothing happened
    DROPPED_AFTER = auto()  # the connection ends; it happened
    SILENT = auto()  # no answer at all
    GARBAGE = auto()  # an answer that is none
    GONE = auto()
    TOO_LONG = auto()
    FORBIDDEN = auto()
    OTHER = auto()  # a refusal nobody has heard of


class Platform(Protocol):
    """The far side, as a person there sees it."""

    async def shown(self, place: Place, message_id: str) -> str | None:
        """The text of a message; None if there is none."""
        ...

    async def ask(self, text: str) -> bool:
        """Ask Parley; whether the platform was told that it arrived (no retries)."""
        ...

    def pings(self, rendered: str) -> bool:
        """Whether this text would notify anybody or command anything."""
        ...


class FaultyPlatform(Platform, Protocol):
    def fail_next(self, call: str, fault: Fault) -> None:
        """Break the next call that the adapter's method ``call`` makes."""
        ...


class AdapterContract:
    """For a platform that works."""

    async def test_a_post_is_seen_and_an_edit_replaces_it(
        self, adapter: Adapter, platform: Platform, place: Place
    ) -> None:
        message_id = await adapter.post(place, adapter.render("thinking"), Label("turn-1", 0))
        assert await platform.shown(place, message_id) == "thinking"
        await adapter.edit(place, message_id, adapter.render("the answer"))
        assert await platform.shown(place, message_id) == "the answer"

    async def test_a_deleted_post_is_gone(
        self, adapter: Adapter, platform: Platform, place: Place
    ) -> None:
        message_id = await adapter.post(place, adapter.render("a leftover"), Label("turn-1", 1))
        await adapter.delete(place, message_id)
        assert await platform.shown(place, message_id) is None

    async def test_editing_a_deleted_post_says_that_it_is_gone(
        self, adapter: Adapter, place: Place
    ) -> None:
        message_id = await adapter.post(place, adapter.render("soon gone"), Label("turn-1", 0))
        await adapter.delete(place, message_id)
        with pytest.raises(MessageGone):
            await adapter.edit(place, message_id, adapter.render("too late"))

    async def test_a_message_as_long_as_the_limit_allows_is_posted(
        self, adapter: Adapter, platform: Platform, place: Place
    ) -> None:
        text = Rendered("x" * adapter.limits.max_size)
        message_id = await adapter.post(place, text, Label("turn-1", 0))
        assert await platform.shown(place, message_id) == text

    async def test_typing_reacting_and_whispering_do_not_fail(
        self, adapter: Adapter, place: Place, person: Person
    ) -> None:
        message_id = await adapter.post(place, adapter.render("hm"), Label("turn-1", 0))
        await adapter.typing(place)
        if isinstance(adapter, Reacts):
            for step in (adapter.react, adapter.react, adapter.unreact, adapter.unreact):
                await step(place, message_id)
        if isinstance(adapter, Whispers):
            await adapter.whisper(place, person, adapter.render("only for you"))

    @quickly
    @given(MARKDOWN)
    def test_any_text_renders_the_same_every_time_and_pings_nobody(
        self, adapter: Adapter, platform: Platform, markdown: str
    ) -> None:
        rendered = adapter.render(markdown)
        assert rendered == adapter.render(markdown)
        assert not platform.pings(rendered)
        assert rendered.strip() or not any(map(str.isalnum, markdown)), "text got lost"

    async def test_a_question_arrives_and_is_acknowledged(
        self, adapter: Adapter, platform: Platform
    ) -> None:
        taken: list[Incoming] = []

        async def handler(incoming: Incoming) -> None:
            taken.append(incoming)

        async with listening(adapter, handler):
            assert await platform.ask("What is a turn?")
        questions = [incoming for incoming in taken if isinstance(incoming, Question)]
        assert {question.text for question in questions} == {"What is a turn?"}
        assert len({question.message_id for question in questions}) == 1
        assert all(question.is_mention or question.is_direct for question in questions)

    async def test_the_platform_hears_nothing_before_the_question_is_safe(
        self, adapter: Adapter, platform: Platform
    ) -> None:
        arrived, stored = asyncio.Event(), asyncio.Event()

        async def handler(_: Incoming) -> None:
            arrived.set()
            await stored.wait()

        async with listening(adapter, handler):
            asking = asyncio.create_task(platform.ask("Is it on disk?"))
            await arrived.wait()
            await settle()
            assert not asking.done()
            stored.set()
            assert await asking

    @pytest.mark.parametrize("fault", [StorageFull, StorageError])
    async def test_a_question_that_cannot_be_stored_is_not_acknowledged(
        self, adapter: Adapter, platform: Platform, fault: type[StorageError]
    ) -> None:
        async def handler(_: Incoming) -> None:
            raise fault("The disk failed at data/parley.db.")

        async with listening(adapter, handler):
            assert not await platform.ask("Is there room?")

    async def test_entering_and_leaving_twice_is_safe(
        self, adapter: Adapter, platform: Platform, place: Place
    ) -> None:
        async with adapter:
            pass
        await adapter.__aexit__(None, None, None)
        async with adapter:
            message_id = await adapter.post(place, adapter.render("again"), Label("turn-1", 0))
        assert await platform.shown(place, message_id) == "again"

    async def test_a_call_outside_of_enter_and_leave_is_a_platform_error(
        self, adapter: Adapter, place: Place
    ) -> None:
        await adapter.__aexit__(None, None, None)
        with pytest.raises(PlatformError):
            await adapter.edit(place, "1.1", adapter.render("x"))


class FindsPostsContract:
    """For a platform that can be asked for a turn's posts."""

    async def test_posts_are_found_by_their_turn(self, adapter: Adapter, place: Place) -> None:
        assert isinstance(adapter, FindsPosts)
        ids = [await adapter.post(place, adapter.render("a part"), Label("t-7", n)) for n in (0, 1)]
        await adapter.post(place, adapter.render("another"), Label("t-8", 0))
        await adapter.edit(place, ids[0], adapter.render("edited since"))
        assert await adapter.find_posts(place, "t-7") == {0: ids[0], 1: ids[1]}
        assert await adapter.find_posts(place, "t-9") == {}


REFUSALS: dict[Fault, type[PlatformError]] = {
    Fault.RATE_LIMITED: RateLimited,
    Fault.FAILED: Unavailable,
    Fault.DROPPED: Unavailable,
    Fault.SILENT: Unavailable,
    Fault.GARBAGE: PlatformError,
    Fault.GONE: MessageGone,
    Fault.TOO_LONG: MessageTooLong,
    Fault.FORBIDDEN: NotPermitted,
    Fault.OTHER: PlatformRefused,
}


class AdapterFaultContract:
    """For a platform that can be told to fail."""

    @pytest.mark.parametrize("fault", REFUSALS)
    @pytest.mark.parametrize("call", ["post", "edit", "delete"])
    async def test_each_fault_is_the_right_platform_error_and_the_next_call_works(
        self, adapter: Adapter, platform: FaultyPlatform, place: Place, call: str, fault: Fault
    ) -> None:
        message_id = await adapter.post(place, adapter.render("before"), Label("turn-1", 0))
        calls: dict[str, Callable[[], object]] = {
            "post": lambda: adapter.post(place, adapter.render("more"), Label("turn-1", 1)),
            "edit": lambda: adapter.edit(place, message_id, adapter.render("more")),
            "delete": lambda: adapter.delete(place, message_id),
        }
        platform.fail_next(call, fault)
        with pytest.raises(REFUSALS[fault]) as caught:
            await calls[call]()  # type: ignore[misc]
        if isinstance(caught.value, RateLimited):
            assert caught.value.retry_after == 3
        await calls[call]()  # type: ignore[misc]

    async def test_a_post_whose_answer_is_lost_is_ambiguous_and_made_once(
        self, adapter: Adapter, platform: FaultyPlatform, place: Place
    ) -> None:
        platform.fail_next("post", Fault.DROPPED_AFTER)
        with pytest.raises(Unavailable) as caught:
            await adapter.post(place, adapter.render("once"), Label("turn-5", 0))
        assert caught.value.ambiguous
        if isinstance(adapter, FindsPosts):
            (message_id,) = (await adapter.find_posts(place, "turn-5")).values()
            assert await platform.shown(place, message_id) == "once"


@asynccontextmanager
async def listening(adapter: Adapter, handler: Handler) -> AsyncIterator[None]:
    """``adapter`` delivers to ``handler`` within the block."""
    task = asyncio.create_task(adapter.listen(handler))
    await asyncio.sleep(0)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

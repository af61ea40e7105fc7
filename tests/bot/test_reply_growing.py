"""A reply on a platform that shows growth its own way, and wants to know which text is last."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from typing import Any

import pytest

from bot.errors import NotPermitted, ReplyStopped, Unavailable
from bot.limits import Limits
from bot.pacing import EditBudget
from bot.reply import ReplyEditor
from bot.source import Source
from bot.stored import Post
from bot.types import Label, Place, Rendered, ReplyEnd
from tests.bot.test_reply import PLACE, Scene
from tests.fakes.platform import Call, FakePlatform


class GrowingFakePlatform(FakePlatform):
    """``last`` are the messages whose text was said to be the last; ``renamed`` get new ids."""

    interval = 3.0
    renames = False

    def growth_interval(self, place: Place) -> float:
        return self.interval

    async def begin(self, place: Place, text: Rendered, label: Label, *, is_text: bool) -> str:
        call = Call(0.0, "begin" if is_text else "announce", place, None, text, label)
        return await self._arrive(call, self._post)

    async def grow(self, place: Place, message_id: str, text: Rendered, *, is_text: bool) -> None:
        method = "grow" if is_text else "announce"
        await self._arrive(Call(0.0, method, place, message_id, text), self._edit)

    async def finish(
        self,
        place: Place,
        message_id: str | None,
        text: Rendered,
        label: Label,
        end: ReplyEnd | None,
    ) -> str:
        call = Call(0.0, "finish", place, message_id, text, label)
        if message_id is None or self.renames:
            self.messages.pop(message_id or "", None)
            return await self._arrive(replace(call, message_id=None), self._post)
        await self._arrive(call, self._edit)
        return message_id


def scene(max_size: int = 4000) -> Scene:
    return Scene(GrowingFakePlatform, Limits(max_size=max_size))


async def test_a_reply_is_announced_grows_at_the_platforms_pace_and_is_finished_once() -> None:
    shown = scene()
    async with shown.editor() as editor:
        editor.show_placeholder("Thinking…")
        await shown.clock.advance(1)
        for text in ("One", "One two", "One two three"):
            editor.show(text)
            await shown.clock.advance(2)
        await shown.finish(editor, "One two three.")
    assert shown.methods == ["announce", "grow", "grow", "finish"]
    grown = [call.at for call in shown.platform.made("grow")]
    assert grown[1] - grown[0] >= 3
    assert shown.visible == ["One two three."]


async def test_the_last_text_is_finished_even_if_it_is_shown_already() -> None:
    shown = scene()
    async with shown.reply("All of it") as editor:
        await shown.finish(editor, "All of it")
    assert shown.methods == ["begin", "finish"]


async def test_a_reply_that_is_ready_at_once_is_one_finished_post() -> None:
    shown = scene()
    async with shown.editor() as editor:
        await shown.finish(editor, "Yes.")
    assert shown.methods == ["finish"]
    assert shown.recorded == {0: "m1"}


async def test_each_part_of_a_long_reply_is_finished_when_the_next_begins() -> None:
    shown = scene(max_size=30)
    async with shown.reply("A first sentence is here.") as editor:
        editor.show("A first sentence is here. And another one.")
        await shown.clock.advance(10)
        assert [call.message_id for call in shown.platform.made("finish")] == ["m1"]
        await shown.finish(editor, "A first sentence is here. And another one.")
    assert [call.message_id for call in shown.platform.made("finish")] == ["m1", "m2"]


async def test_a_finished_message_that_got_another_id_is_recorded_by_it() -> None:
    shown = scene()
    async with shown.reply("One") as editor:
        assert isinstance(shown.platform, GrowingFakePlatform)
        shown.platform.renames = True
        await shown.finish(editor, "One two")
    assert shown.recorded == {0: "m2"}
    assert shown.visible == ["One two"]


async def test_the_platforms_own_stop_is_told_and_the_last_text_still_comes() -> None:
    shown = scene()
    stops: list[str] = []
    editor = ReplyEditor(
        shown.platform,
        EditBudget((), shown.clock),
        shown.clock,
        place=PLACE,
        turn_id="turn",
        record=shown.record,
        rng=random.Random(1),  # noqa: S311
        on_stop=lambda: stops.append("stopped"),
        later=asyncio.ensure_future,
    )
    shown.platform.fail("grow", ReplyStopped("Somebody pressed Stop."))
    async with editor:
        editor.show("One")
        await shown.clock.advance(1)
        editor.show("One two")
        await shown.clock.advance(5)
        assert stops == ["stopped"]
        editor.show("One two three")
        await shown.clock.advance(5)
        await shown.finish(editor, "One _(stopped)_")
    assert shown.visible == ["One _(stopped)_"]
    assert len(stops) == 1


async def test_a_failed_finish_is_tried_again_and_a_refused_one_is_not() -> None:
    shown = scene()
    shown.platform.fail("finish", Unavailable("Gone for a moment.", ambiguous=True))
    async with shown.reply("One") as editor:
        await shown.finish(editor, "One two", within=10)
    assert shown.visible == ["One two"]
    refused = scene()
    refused.platform.fail("finish", NotPermitted("It may have been posted."))
    async with refused.editor() as editor:
        with pytest.raises(NotPermitted):
            await refused.finish(editor, "One")
    assert refused.visible == []


async def test_a_message_of_an_earlier_run_is_grown_and_finished() -> None:
    shown = scene()
    async with shown.reply("One") as editor:
        await shown.finish(editor, "One two")
    shown.recorded = {post.part: post.message_id for post in [Post(0, "m1")]}
    async with shown.editor(resume=True) as editor:
        editor.show("Again")
        await shown.clock.advance(1)
        await shown.finish(editor, "Again.")
    assert shown.visible == ["Again."]
    assert shown.methods[-2:] == ["grow", "finish"]


class CitingFakePlatform(GrowingFakePlatform):
    """``cited``: by message, what it says its reply was made from. ``offering``: to go on."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.cited: dict[str, tuple[str, ...]] = {}
        self.offering: list[str] = []

    async def finish(
        self,
        place: Place,
        message_id: str | None,
        text: Rendered,
        label: Label,
        end: ReplyEnd | None,
    ) -> str:
        message_id = await super().finish(place, message_id, text, label, end)
        if end and end.sources:
            self.cited[message_id] = tuple(each.name for each in end.sources)
        if end and end.can_continue:
            self.offering.append(message_id)
        return message_id


SOURCES = (Source("a.txt", "one"), Source("b.pdf", "two"))


async def test_only_the_last_message_of_a_reply_says_what_it_was_made_from() -> None:
    shown = Scene(CitingFakePlatform, Limits(max_size=30))
    async with shown.reply("A first sentence is here.") as editor:
        await shown.finish(
            editor, "A first sentence is here. And another one.", end=ReplyEnd(SOURCES)
        )
    assert isinstance(shown.platform, CitingFakePlatform)
    assert shown.platform.cited == {"m2": ("a.txt", "b.pdf")}
    assert len(shown.platform.made("finish")) == 2


async def test_only_the_last_message_of_a_reply_offers_to_go_on() -> None:
    shown = Scene(CitingFakePlatform, Limits(max_size=30))
    async with shown.reply("A first sentence is here.") as editor:
        end = ReplyEnd(can_continue=True)
        await shown.finish(editor, "A first sentence is here. And another", end=end)
    assert isinstance(shown.platform, CitingFakePlatform)
    assert shown.platform.offering == ["m2"]


async def test_where_the_platform_cannot_show_it_the_reply_is_finished_as_ever() -> None:
    shown = scene()
    async with shown.editor() as editor:
        await shown.finish(editor, "Yes.", end=ReplyEnd(SOURCES))
    assert shown.methods == ["finish"]

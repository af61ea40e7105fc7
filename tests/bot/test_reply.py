"""A reply as people see it grow, roll over, survive failures and come to its end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from bot.errors import (
    MessageGone,
    MessageTooLong,
    NotPermitted,
    PlatformError,
    PlatformRefused,
    RateLimited,
    StorageFull,
    Unavailable,
)
from bot.limits import Limits, RateRule
from bot.pacing import EditBudget
from bot.reply import ReplyEditor
from bot.stored import Post
from bot.types import PLAIN_END, Place, ReplyEnd
from tests.fakes.clock import FakeClock, settle
from tests.fakes.platform import FakePlatform, FindingFakePlatform, RichFakePlatform

PLACE = Place("fake", "W", "C", "t")
AMBIGUOUS = Unavailable("The line dropped.", ambiguous=True)
REFUSED = Unavailable("There is nobody.", ambiguous=False)


class Scene:
    """One reply on one platform, and what was recorded of it."""

    def __init__(
        self, kind: type[FakePlatform] = RichFakePlatform, limits: Limits | None = None
    ) -> None:
        self.clock = FakeClock()
        self.limits = limits or Limits(max_size=4000)
        self.platform = kind(self.clock, self.limits)
        self.budget = EditBudget(self.limits.rules, self.clock)
        self.recorded: dict[int, str] = {}

    async def record(self, part: int, message_id: str | None) -> None:
        if message_id is None:
            del self.recorded[part]
        else:
            self.recorded[part] = message_id

    def editor(
        self, *, search_first: bool = False, patience: float = 600.0, resume: bool = False
    ) -> ReplyEditor:
        posts = [Post(part, message_id) for part, message_id in self.recorded.items()]
        return ReplyEditor(
            self.platform,
            self.budget,
            self.clock,
            place=PLACE,
            turn_id="turn",
            record=self.record,
            posts=posts if resume else (),
            search_first=search_first,
            question_id="question",
            patience=patience,
            rng=random.Random(1),  # noqa: S311
            later=asyncio.ensure_future,
        )

    async def finish(
        self,
        editor: ReplyEditor,
        markdown: str,
        within: float = 5.0,
        end: ReplyEnd = PLAIN_END,
    ) -> None:
        finishing = asyncio.create_task(editor.finish(markdown, end))
        await self.clock.advance(within)
        assert finishing.done(), "the final text was not delivered in time"
        await finishing

    @asynccontextmanager
    async def reply(self, *texts: str) -> AsyncIterator[ReplyEditor]:
        """A reply that already shows ``texts``, one second each."""
        async with self.editor() as editor:
            for text in texts:
                editor.show(text)
                await self.clock.advance(1)
            yield editor

    @property
    def visible(self) -> list[str]:
        return self.platform.visible(PLACE)

    @property
    def methods(self) -> list[str]:
        return [call.method for call in self.platform.calls]


async def test_a_reply_begins_as_a_placeholder_grows_and_ends_in_one_message() -> None:
    scene = Scene()
    async with scene.editor() as editor:
        editor.show_placeholder("Thinking…")
        await scene.clock.advance(1)
        assert scene.visible == ["Thinking…"]
        editor.show("Hello")
        await scene.clock.advance(1)
        assert scene.visible == ["Hello"]
        await scene.finish(editor, "Hello there.")
    assert scene.visible == ["Hello there."]
    assert scene.recorded == {0: "m1"}


async def test_a_reply_that_is_ready_at_once_is_one_post() -> None:
    scene = Scene()
    async with scene.editor() as editor:
        await scene.finish(editor, "Yes.", within=0)
    assert scene.methods == ["post"]
    assert scene.visible == ["Yes."]


async def test_the_latest_text_wins_and_the_same_text_is_never_sent_twice() -> None:
    scene = Scene()
    async with scene.reply("a") as editor:
        for n in range(100):
            editor.show(f"a {n}")
        await scene.clock.advance(3)
        editor.show("a 99")
        await scene.clock.advance(3)
        await scene.finish(editor, "a 99")
    assert [call.text for call in scene.platform.calls] == ["a", "a 99"]


async def test_edits_of_a_message_keep_the_interval_but_the_last_one_does_not_wait() -> None:
    scene = Scene()
    async with scene.reply() as editor:
        for n in range(1, 31):
            editor.show("word " * n)
            await scene.clock.advance(0.1)
        await scene.finish(editor, "word " * 31, within=0)
    moments = [call.at for call in scene.platform.made("post", "edit")]
    assert len(moments) == 6
    assert all(b - a >= 0.7 - 1e-9 for a, b in pairwise(moments[:-1]))


async def test_places_in_the_queue_move_only_while_most_of_the_allowance_is_free() -> None:
    rules = (RateRule(frozenset({"edit"}), "workspace", 6, 60.0),)
    scene = Scene(limits=Limits(max_size=4000, rules=rules))
    async with scene.editor() as editor:
        for place in range(9, 0, -1):
            editor.show_placeholder(f"{place} before you…")
            await scene.clock.advance(2)
        assert len(scene.platform.made("edit")) == 2
        await scene.finish(editor, "Done.")
    assert scene.visible == ["Done."]


async def test_blank_growth_shows_nothing_and_a_blank_end_is_a_mistake_of_the_caller() -> None:
    scene = Scene()
    async with scene.reply(" \n") as editor:
        assert scene.visible == []
        with pytest.raises(ValueError, match="visible"):
            await editor.finish("\n")


async def test_a_fence_that_is_still_open_is_shown_closed() -> None:
    scene = Scene()
    async with scene.reply("```py\nprint(1)") as editor:
        assert scene.visible == ["```py\nprint(1)\n```"]
        await scene.finish(editor, "```py\nprint(1)\n```\nDone.")
    assert scene.visible == ["```py\nprint(1)\n```\nDone."]


async def test_a_long_reply_rolls_over_inside_a_code_fence_and_earlier_parts_stay() -> None:
    scene = Scene(limits=Limits(max_size=80))
    code = [f"print({n}) < {n}" for n in range(30)]
    earlier: list[str] = []
    async with scene.reply() as editor:
        for num_lines in range(1, 31):
            editor.show("Look:\n```python\n" + "\n".join(code[:num_lines]))
            await scene.clock.advance(2)
            assert scene.visible[: len(earlier)] == earlier
            earlier = scene.visible[:-1]
        await scene.finish(editor, "Look:\n```python\n" + "\n".join(code) + "\n```\nDone.")
    assert len(scene.visible) > 5
    assert all(text.count("```") == 2 for text in scene.visible)
    lines = [line for text in scene.visible for line in text.splitlines() if "print" in line]
    assert lines == code
    assert list(scene.recorded) == list(range(len(scene.visible)))


async def test_a_link_at_the_cut_goes_whole_into_the_next_message() -> None:
    scene = Scene(limits=Limits(max_size=40))
    async with scene.reply() as editor:
        await scene.finish(editor, "Some words that fill [the page](https://example.org/x).")
    assert scene.visible == ["Some words that fill", "[the page](https://example.org/x)."]


async def test_a_single_endless_word_is_delivered_all_the_same() -> None:
    scene = Scene(limits=Limits(max_size=40))
    async with scene.reply() as editor:
        await scene.finish(editor, "x" * 100)
    assert scene.visible == ["x" * 40, "x" * 40, "x" * 20]


async def test_a_shorter_end_deletes_the_messages_that_are_left_over() -> None:
    scene = Scene(limits=Limits(max_size=40))
    async with scene.reply("word " * 20) as editor:
        assert len(scene.visible) == 3
        await scene.finish(editor, "Short.")
    assert scene.visible == ["Short."]
    assert scene.recorded == {0: "m1"}


async def test_a_recovered_reply_goes_into_the_same_messages() -> None:
    scene = Scene(limits=Limits(max_size=40))
    async with scene.reply("word " * 12):
        pass
    async with scene.editor(resume=True) as editor:
        await scene.finish(editor, "other " * 9)
    assert scene.visible == ["other other other other other other", "other other other"]
    assert scene.methods.count("post") == 2


async def test_a_recovered_reply_with_fewer_parts_deletes_the_rest_only_at_its_end() -> None:
    scene = Scene(limits=Limits(max_size=40))
    async with scene.reply("word " * 20):
        pass
    async with scene.editor(resume=True) as editor:
        editor.show("New")
        await scene.clock.advance(1)
        assert scene.visible[0] == "New"
        assert len(scene.visible) == 3
        await scene.finish(editor, "New text.")
    assert scene.visible == ["New text."]
    assert scene.recorded == {0: "m1"}


async def test_a_post_that_was_never_recorded_is_found_and_used() -> None:
    scene = Scene()
    async with scene.reply("Before the crash"):
        scene.recorded.clear()
    async with scene.editor(search_first=True) as editor:
        await scene.finish(editor, "After the crash.")
    assert scene.visible == ["After the crash."]
    assert scene.recorded == {0: "m1"}


async def test_a_search_that_is_not_permitted_does_not_keep_the_reply_back() -> None:
    scene = Scene()
    scene.platform.fail("find_posts", NotPermitted("The scope is missing."))
    async with scene.editor(search_first=True) as editor:
        await scene.finish(editor, "Here.")
    assert scene.visible == ["Here."]


@pytest.mark.parametrize("method", ["post", "edit"])
@pytest.mark.parametrize(
    ("error", "has_effect"),
    [(RateLimited("x", 2.0), False), (REFUSED, False), (AMBIGUOUS, False), (AMBIGUOUS, True)],
)
async def test_a_failing_call_while_growing_is_made_up_for(
    method: str, error: PlatformError, has_effect: bool
) -> None:
    scene = Scene()
    scene.platform.fail(method, error, has_effect=has_effect)
    async with scene.reply("One", "One two", "One two three", "One two three four") as editor:
        await scene.clock.advance(2)
        assert scene.visible == ["One two three four"]
        await scene.finish(editor, "One two three four five.")
    assert scene.visible == ["One two three four five."]


@pytest.mark.parametrize(
    ("error", "has_effect"),
    [(RateLimited("x", 2.0), False), (REFUSED, False), (AMBIGUOUS, False), (AMBIGUOUS, True)],
)
async def test_a_failing_last_edit_is_made_up_for(error: PlatformError, has_effect: bool) -> None:
    scene = Scene()
    async with scene.reply("One") as editor:
        scene.platform.fail("edit", error, error, has_effect=has_effect)
        await scene.finish(editor, "One two.")
    assert scene.visible == ["One two."]


async def test_a_last_edit_right_after_a_failed_one_does_not_sit_out_the_pause() -> None:
    scene = Scene()
    async with scene.reply("One") as editor:
        scene.platform.fail("edit", *[REFUSED] * 20)
        editor.show("One two")
        await scene.clock.advance(30)
        scene.platform.heal("edit")
        await scene.finish(editor, "One two three.", within=0)


async def test_an_outage_of_minutes_still_ends_with_the_final_text() -> None:
    scene = Scene()
    async with scene.reply("One") as editor:
        scene.platform.fail("edit", *[REFUSED] * 15)
        await scene.finish(editor, "One two.", within=500)
    assert scene.visible == ["One two."]


async def test_an_outage_beyond_patience_is_told_to_the_caller() -> None:
    scene = Scene()
    async with scene.editor(patience=60) as editor:
        scene.platform.fail("post", *[REFUSED] * 100)
        with pytest.raises(Unavailable):
            await scene.finish(editor, "Hello.", within=200)


@pytest.mark.parametrize("has_effect", [False, True])
async def test_a_dropped_post_is_looked_for_and_never_doubled(has_effect: bool) -> None:
    scene = Scene(FindingFakePlatform)
    scene.platform.fail("post", AMBIGUOUS, has_effect=has_effect)
    async with scene.reply("One") as editor:
        await scene.finish(editor, "One two.")
    assert scene.visible == ["One two."]


async def test_where_posts_cannot_be_found_a_dropped_one_is_repeated_only_for_the_end() -> None:
    scene = Scene(FakePlatform)
    scene.platform.fail("post", AMBIGUOUS)
    async with scene.reply("One", "One two", "One two three") as editor:
        assert scene.methods == ["typing", "post"] or scene.methods == ["post"]
        await scene.finish(editor, "One two three.")
    assert scene.visible == ["One two three."]


async def test_a_rate_limit_holds_everybody_in_its_scope() -> None:
    rules = (RateRule(frozenset({"edit"}), "workspace", 50, 60.0),)
    scene = Scene(limits=Limits(max_size=4000, rules=rules))
    async with scene.reply("One") as one, scene.reply("Other") as other:
        scene.platform.fail("edit", RateLimited("edit", 7.0))
        one.show("One two")
        await scene.clock.advance(0)
        asked_at = scene.clock.monotonic()
        other.show("Other two")
        await scene.finish(one, "One two.", within=8)
        await scene.clock.advance(2)
        assert min(call.at for call in scene.platform.made("edit")) >= asked_at + 7
        await scene.finish(other, "Other two.")


async def test_a_reply_that_somebody_deleted_is_not_posted_again() -> None:
    scene = Scene()
    async with scene.reply("One") as editor:
        scene.platform.remove("m1")
        editor.show("One two")
        await scene.clock.advance(1)
        with pytest.raises(MessageGone):
            await scene.finish(editor, "One two three.")
    assert scene.visible == []


@pytest.mark.parametrize("error", [NotPermitted("No."), PlatformRefused("edit", "no")])
async def test_a_refused_last_edit_is_told_to_the_caller(error: PlatformError) -> None:
    scene = Scene()
    async with scene.reply("One") as editor:
        scene.platform.fail("edit", error)
        with pytest.raises(type(error)):
            await scene.finish(editor, "One two.")


async def test_a_refused_growth_ends_the_growth_but_not_the_reply() -> None:
    scene = Scene()
    async with scene.reply("One") as editor:
        scene.platform.fail("edit", PlatformRefused("edit", "odd_text"))
        editor.show("One odd")
        await scene.clock.advance(1)
        editor.show("One odd text")
        await scene.clock.advance(5)
        assert scene.visible == ["One"]
        await scene.finish(editor, "One good text.")
    assert scene.visible == ["One good text."]


async def test_what_the_platform_finds_too_long_is_cut_smaller() -> None:
    scene = Scene()
    async with scene.reply() as editor:
        scene.platform.fail("post", MessageTooLong("Too long."))
        await scene.finish(editor, "word " * 100)
    assert len(scene.visible[0]) <= 250
    assert " ".join(scene.visible).split() == ["word"] * 100


async def test_a_placeholder_that_is_refused_while_the_text_arrives_does_not_end_the_reply() -> (
    None
):
    scene = Scene()
    scene.platform = RichFakePlatform(scene.clock, scene.limits, latency=lambda: 1.0)
    scene.platform.fail("post", MessageTooLong("Too long."))
    async with scene.editor() as editor:
        editor.show_placeholder("Thinking…")
        await scene.clock.advance(0.5)
        editor.show("A whole sentence")
        await scene.clock.advance(1)
        await scene.finish(editor, "A whole sentence.")
    assert scene.visible == ["A whole sentence."]


async def test_a_message_too_old_to_be_edited_is_replaced_by_a_new_one() -> None:
    scene = Scene(limits=Limits(max_size=4000, edit_deadline=60.0))
    async with scene.reply("One") as editor:
        await scene.clock.advance(120)
        await scene.finish(editor, "One two.")
    assert scene.visible == ["One two."]
    assert scene.recorded == {0: "m2"}


async def test_an_old_reply_that_may_not_be_edited_any_more_is_replaced() -> None:
    scene = Scene()
    async with scene.reply("One"):
        pass
    scene.platform.fail("edit", PlatformRefused("edit", "edit_window_closed"))
    async with scene.editor(resume=True) as editor:
        await scene.finish(editor, "Again.")
    assert scene.visible == ["Again."]


async def test_a_cancelled_caller_neither_cancels_a_call_nor_loses_the_final_text() -> None:
    scene = Scene()
    scene.platform = RichFakePlatform(scene.clock, scene.limits, latency=lambda: 1.0)

    async def answer() -> None:
        async with scene.editor() as editor:
            editor.show("One")
            await scene.clock.sleep(1.2)
            await editor.finish("One two.")

    answering = asyncio.create_task(answer())
    await scene.clock.advance(1.5)
    answering.cancel()
    await scene.clock.advance(5)
    assert scene.visible == ["One two."]
    with pytest.raises(asyncio.CancelledError):
        await answering


async def test_a_cancelled_caller_still_sees_the_final_text_after_a_rate_limit() -> None:
    scene = Scene()

    async def answer() -> None:
        async with scene.editor() as editor:
            editor.show("One")
            await scene.clock.sleep(1)
            scene.platform.fail("edit", RateLimited("edit", 10.0))
            await editor.finish("One two.")

    answering = asyncio.create_task(answer())
    await scene.clock.advance(2)
    answering.cancel()
    await scene.clock.advance(10)
    assert scene.visible == ["One two."]
    assert answering.done()


async def test_a_producer_cancelled_in_the_middle_leaves_what_was_shown() -> None:
    scene = Scene()
    scene.platform = RichFakePlatform(scene.clock, scene.limits, latency=lambda: 1.0)

    async def answer() -> None:
        async with scene.editor() as editor:
            editor.show("One")
            await scene.clock.sleep(60)

    answering = asyncio.create_task(answer())
    await scene.clock.advance(0.7)
    answering.cancel()
    await scene.clock.advance(2)
    assert answering.cancelled()
    assert scene.visible == ["One"]
    assert scene.recorded == {0: "m1"}


async def test_a_cancelled_reply_does_not_wait_until_its_eyes_may_be_removed() -> None:
    rules = tuple(RateRule(frozenset({name}), "channel", 1, 60.0) for name in ("post", "unreact"))
    scene = Scene(limits=Limits(max_size=4000, rules=rules))
    for method in ("post", "unreact"):
        async with scene.budget.call(method, PLACE):
            pass

    async def reply() -> None:
        async with scene.editor() as editor:
            editor.show("One")
            await asyncio.Event().wait()

    task = asyncio.create_task(reply())
    await scene.clock.advance(1)
    assert scene.methods == ["react"]
    task.cancel()
    await settle()
    assert task.done()
    assert scene.methods == ["react"]


async def test_a_reply_has_ended_though_its_eyes_may_be_removed_only_later() -> None:
    rules = tuple(RateRule(frozenset({name}), "channel", 1, 60.0) for name in ("post", "unreact"))
    scene = Scene(limits=Limits(max_size=4000, rules=rules))
    async with scene.budget.call("post", PLACE):
        pass
    async with scene.editor() as editor:
        editor.show("One")
        await scene.clock.advance(30)
        async with scene.budget.call("unreact", PLACE):
            pass
        await scene.finish(editor, "One two.", within=40)
    assert scene.methods == ["react", "post"]
    await scene.clock.advance(60)
    assert scene.methods == ["react", "post", "unreact"]


async def test_a_full_disk_does_not_keep_the_reply_back() -> None:
    scene = Scene()

    async def full(part: int, message_id: str | None) -> None:
        raise StorageFull("The disk is full.")

    scene.record = full  # type: ignore[method-assign]
    async with scene.reply("One") as editor:
        await scene.finish(editor, "One two.")
    assert scene.visible == ["One two."]


async def test_nothing_is_left_running_when_all_replies_are_over() -> None:
    scene = Scene(limits=Limits(4000, (RateRule(frozenset({"post"}), "channel", 1, 1.0),)))
    async with scene.reply("One") as one, scene.editor() as two:
        two.show("Two")
        await scene.finish(one, "One.")
        await scene.finish(two, "Two.")
    await settle()
    assert asyncio.all_tasks() == {asyncio.current_task()}

"""A reply that the platform does not show: one sentence stands in its place."""

from __future__ import annotations

import asyncio

import pytest

from bot.errors import PlatformError, PlatformRefused, TextRefused, refusal_for_people
from bot.limits import Limits
from bot.reply import ReplyEditor
from bot.source import Source
from bot.types import ReplyEnd
from tests.bot.test_reply import PLACE, Scene
from tests.bot.test_reply_growing import CitingFakePlatform

FILTERED = TextRefused("edit", "240000")
REFUSED = PlatformRefused("edit", "odd")
FILTER_SENTENCE = refusal_for_people(FILTERED)


@pytest.fixture(params=[FILTERED, REFUSED], ids=["a filter", "something else"])
def error(request: pytest.FixtureRequest) -> PlatformError:
    found: PlatformError = request.param
    return found


async def test_a_sentence_replaces_the_first_words_of_a_text_that_is_refused(
    error: PlatformError,
) -> None:
    scene = Scene()
    scene.platform.filter["evil"] = error
    async with scene.reply("See") as editor:
        editor.show("See evil.example")
        await scene.clock.advance(2)
        with pytest.raises(type(error)):
            await scene.finish(editor, "See evil.example for more.")
    assert scene.visible == [refusal_for_people(error)]
    assert scene.recorded == {0: "m1"}


async def test_a_first_post_that_is_refused_is_a_sentence(error: PlatformError) -> None:
    scene = Scene()
    scene.platform.filter["evil"] = error
    async with scene.editor() as editor:
        with pytest.raises(type(error)):
            await scene.finish(editor, "See evil.example.")
    assert scene.visible == [refusal_for_people(error)]


async def test_where_edits_are_refused_the_whole_text_is_another_message(
    error: PlatformError,
) -> None:
    scene = Scene()
    async with scene.reply("See") as editor:
        scene.platform.fail("edit", error, error)
        await scene.finish(editor, "See you.")
    assert scene.visible == ["See you."]
    assert scene.recorded == {0: "m2"}


async def test_where_edits_are_refused_and_the_text_too_the_sentence_is_another_message(
    error: PlatformError,
) -> None:
    scene = Scene()
    scene.platform.filter["evil"] = error
    async with scene.reply("See") as editor:
        scene.platform.fail("edit", error, error)
        with pytest.raises(type(error)):
            await scene.finish(editor, "See evil.example.")
    assert scene.visible == [refusal_for_people(error)]
    assert scene.recorded == {0: "m2"}


async def test_where_nothing_may_be_said_the_caller_is_told_after_a_few_calls(
    error: PlatformError,
) -> None:
    scene = Scene()
    scene.platform.filter[""] = error
    async with scene.editor() as editor:
        with pytest.raises(type(error)):
            await scene.finish(editor, "See.")
    assert scene.methods == ["post", "post"]
    assert scene.visible == []


async def test_the_messages_above_a_refused_one_stay_and_none_follows() -> None:
    scene = Scene(limits=Limits(max_size=100))
    parts = [f"{word} " * 15 for word in ("first", "second", "evil", "fourth")]
    scene.platform.filter["evil"] = FILTERED
    async with scene.reply(parts[0], "\n\n".join(parts[:2])) as editor:
        with pytest.raises(TextRefused):
            await scene.finish(editor, "\n\n".join(parts), within=10)
    assert [text.split()[0] for text in scene.visible] == ["first", "second", "A"]
    assert scene.visible[2] == FILTER_SENTENCE


async def test_an_old_reply_whose_new_text_is_filtered_says_so_in_its_message() -> None:
    scene = Scene()
    async with scene.reply("One"):
        pass
    scene.platform.filter["evil"] = FILTERED
    async with scene.editor(resume=True) as editor:
        editor.show("evil")
        await scene.clock.advance(2)
        with pytest.raises(TextRefused):
            await scene.finish(editor, "evil.example")
    assert scene.visible == [FILTER_SENTENCE]
    assert scene.recorded == {0: "m1"}


async def test_a_refused_reply_cites_nothing() -> None:
    scene = Scene(CitingFakePlatform)
    platform = scene.platform
    assert isinstance(platform, CitingFakePlatform)
    platform.filter["evil"] = FILTERED
    async with scene.editor() as editor:
        with pytest.raises(TextRefused):
            await scene.finish(
                editor, "See evil.example.", end=ReplyEnd((Source("a.txt", "evil"),))
            )
    assert scene.visible == [FILTER_SENTENCE]
    assert platform.cited == {}


async def test_a_notice_that_is_refused_is_no_answer_that_was() -> None:
    scene = Scene()
    scene.platform.filter["evil"] = FILTERED
    editor = ReplyEditor(
        scene.platform,
        scene.budget,
        scene.clock,
        place=PLACE,
        turn_id="command-1",
        record=scene.record,
        grows=False,
        later=asyncio.ensure_future,
    )
    async with editor:
        with pytest.raises(TextRefused):
            await scene.finish(editor, "See evil.example.")
    assert scene.visible == []

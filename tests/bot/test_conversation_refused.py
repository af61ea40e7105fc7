"""A reply that the platform does not show, as its person and its turn tell of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.errors import (
    MessageGone,
    NotPermitted,
    PlatformError,
    PlatformRefused,
    TextRefused,
    Unavailable,
    refusal_for_people,
)
from bot.limits import Limits
from bot.stored import TurnState
from bot.types import (
    Label,
    Place,
    Rendered,
    ReplyEnd,
)
from tests.bot.talk import Talk, TalkClock, talking
from tests.fakes.platform import Call, RichFakePlatform

FILTERED = TextRefused("edit", "240000")
SENTENCE = refusal_for_people(FILTERED)


class ButtonsFakePlatform(RichFakePlatform):
    """``ended``: the messages that got the buttons of a reply's end; ``plain``: those with none.

    A file shows its size.
    """

    file_above = 2

    def __init__(self, clock: TalkClock, limits: Limits | None = None) -> None:
        super().__init__(clock, limits)
        self.ended: list[str] = []
        self.plain: list[str] = []

    def growth_interval(self, place: Place) -> float:
        return self.limits.edit_interval

    async def begin(self, place: Place, text: Rendered, label: Label, *, is_text: bool) -> str:
        return await self.post(place, text, label)

    async def grow(self, place: Place, message_id: str, text: Rendered, *, is_text: bool) -> None:
        await self.edit(place, message_id, text)

    async def finish(
        self,
        place: Place,
        message_id: str | None,
        text: Rendered,
        label: Label,
        end: ReplyEnd | None,
    ) -> str:
        if message_id is None:
            message_id = await self.post(place, text, label)
        else:
            await self.edit(place, message_id, text)
        (self.plain if end is None else self.ended).append(message_id)
        return message_id

    async def post_file(
        self, place: Place, name: str, data: bytes, label: Label, end: ReplyEnd
    ) -> str:
        text = self.render(f"[{name}: {len(data)} bytes]")
        return await self._arrive(Call(0.0, "post_file", place, None, text, label), self._post)


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    clock = TalkClock()
    platform = ButtonsFakePlatform(clock, Limits(max_size=400))
    async with talking(tmp_path, clock=clock, platform=platform) as talk:
        yield talk


def ended(talk: Talk) -> list[str]:
    assert isinstance(talk.platform, ButtonsFakePlatform)
    return talk.platform.ended


async def test_a_text_that_a_filter_refuses_is_a_sentence_and_a_failed_turn(talk: Talk) -> None:
    talk.platform.filter["evil"] = FILTERED
    question = await talk.ask("Where?")
    generation = await talk.generation()
    generation.say("See ")
    await talk.sees("See")
    generation.say("evil.example")
    generation.finish()
    turn = await talk.ended(question)
    assert talk.visible() == [SENTENCE]
    assert (turn.state, turn.finish_reason) == (TurnState.FAILED, None)
    assert turn.reply == SENTENCE
    assert ended(talk) == [post.message_id for post in turn.posts]
    assert 'parley_turns_total{adapter="fake",state="failed"} 1.0' in str(talk.metrics.expose())


async def test_a_first_post_that_is_refused_is_not_silence(talk: Talk) -> None:
    talk.platform.filter["evil"] = FILTERED
    question = await talk.answered("Where?", "See evil.example.")
    assert talk.visible() == [SENTENCE]
    assert (await talk.turn(question)).state is TurnState.FAILED


async def test_a_refused_answer_is_tried_again_in_its_message(talk: Talk) -> None:
    talk.platform.filter["evil"] = FILTERED
    question = await talk.answered("Where?", "See evil.example.")
    talk.generator.replies.append("Nowhere.")
    await talk.ask("retry")
    await talk.sees("Nowhere.")
    assert (await talk.ended(question)).state is TurnState.DONE


async def test_what_was_refused_is_in_no_later_prompt(talk: Talk) -> None:
    talk.platform.filter["evil"] = FILTERED
    await talk.answered("Where?", "See evil.example.")
    await talk.answered("And now?", "Here.")
    assert not any(
        "evil" in each.content for each in talk.generator.generations[-1].request.messages
    )


@pytest.mark.parametrize(
    "error",
    [
        NotPermitted("No."),
        MessageGone("The channel is archived."),
        PlatformRefused("post", "odd"),
    ],
    ids=["forbidden", "archived", "refused"],
)
async def test_a_turn_whose_answer_nobody_saw_is_not_done(talk: Talk, error: PlatformError) -> None:
    talk.platform.filter[""] = error
    question = await talk.answered("Where?", "Here.")
    turn = await talk.turn(question)
    assert (talk.visible(), turn.state) == ([], TurnState.FAILED)
    assert turn.reply == refusal_for_people(error)


async def test_a_platform_that_stays_away_fails_the_turn(talk: Talk) -> None:
    away = Unavailable("There is nobody.", ambiguous=False)
    talk.platform.filter[""] = away
    talk.generator.replies.append("Here.")
    question = await talk.ask("Where?")
    await talk.clock.advance(700)
    assert (await talk.ended(question)).state is TurnState.FAILED


async def test_an_answer_that_somebody_deleted_was_given_all_the_same(talk: Talk) -> None:
    question = await talk.ask("Where?")
    generation = await talk.generation()
    generation.say("See ")
    await talk.sees("See")
    talk.platform.remove("m1")
    generation.say("you.")
    generation.finish()
    turn = await talk.ended(question)
    assert (turn.state, turn.reply) == (TurnState.DONE, "See you.")


async def test_a_file_that_is_refused_leaves_no_beginning_without_an_end(talk: Talk) -> None:
    talk.platform.fail("post_file", NotPermitted("No files here."))
    lines = [f"{number}. " + "word " * 40 for number in range(6)]
    question = await talk.answered("All?", "\n".join(lines))
    assert (await talk.turn(question)).state is TurnState.DONE
    assert " ".join(talk.visible()).split() == "\n".join(lines).split()


async def test_a_file_that_is_taken_holds_the_whole_answer(talk: Talk) -> None:
    await talk.answered("All?", "\n".join("word " * 40 for _ in range(6)))
    assert "in the file below" in talk.visible()[0]
    assert talk.visible()[1].startswith("[answer.md:")
    assert len(talk.visible()) == 2


def test_the_sentences_are_short_and_name_no_code() -> None:
    for error in (FILTERED, NotPermitted("x"), PlatformRefused("edit", "50035")):
        sentence = Rendered(refusal_for_people(error))
        assert len(sentence) < 100
        assert "50035" not in sentence

"""Who may ask in a chat and how much: as everywhere, with rows in the usage log."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.errors import AccessDenied, OverLimit
from bot.generation import FinishReason
from bot.history.usage import read
from bot.stored import AnswerUsage
from tests.bot.chat.page import ADA, BOB, Page
from tests.bot.talk import Talk, talking


async def log(folder: Path) -> list[AnswerUsage]:
    return await asyncio.to_thread(lambda: list(read(folder / "parley.db", None)))


@pytest.mark.parametrize("rules", [{"deny": ["web:local/ada"]}, {"allow": ["slack:T01"]}])
async def test_who_may_not_asks_nothing(tmp_path: Path, rules: dict[str, list[str]]) -> None:
    async with talking(tmp_path, **rules) as talk:
        with pytest.raises(AccessDenied):
            await Page(talk).ask("Hello?")
        assert not talk.generator.generations
        assert not await talk.service.chats.chats(ADA)
        labels = {"adapter": "web", "said": "true"}
        refused = talk.metrics.registry.get_sample_value("parley_refusals_total", labels)
        assert refused == 1


async def test_that_direct_messages_are_not_answered_means_platforms(tmp_path: Path) -> None:
    async with talking(tmp_path, direct_messages=False, allow=["web:local"]) as talk:
        page = Page(talk)
        await page.answered("Hello?", "Hi.")
        page.close()


async def test_who_is_barred_later_asks_nothing_once_more(talk: Talk, page: Page) -> None:
    turn = await page.answered("Hello?", "Hi.")
    talk.access._deny = type(talk.access._deny)(["web:*"])
    for attempt in (page.port.retry(ADA, turn.id), page.port.edit(ADA, turn.id, "Hi?")):
        with pytest.raises(AccessDenied):
            await attempt
    (chat,) = (await page.port.chat(ADA, page.chat_id)).turns
    assert (chat.question, [each.reply for each in chat.answers]) == ("Hello?", ["Hi."])


async def test_a_person_asks_so_much_at_once_and_others_as_well(tmp_path: Path) -> None:
    async with talking(tmp_path, max_in_flight=1) as talk:
        page, other = Page(talk), Page(talk, BOB)
        turn = await page.ask("One?")
        generation = await page.led()
        with pytest.raises(OverLimit):
            await page.ask("Two?")
        await other.ask("Three?")
        generation.say("1")
        generation.finish()
        await page.shows(turn.id)
        await page.port.retry(ADA, turn.id)
        for each in (page, other):
            each.close()


async def test_answers_asked_for_again_count_for_the_minute(tmp_path: Path) -> None:
    async with talking(tmp_path, per_minute=2) as talk:
        page = Page(talk)
        turn = await page.answered("One?", "1")
        talk.generator.replies.append("One.")
        await page.port.retry(ADA, turn.id)
        await page.shows(turn.id, 2)
        with pytest.raises(OverLimit) as refusal:
            await page.port.retry(ADA, turn.id)
        assert refusal.value.retry_after > 0
        page.close()


async def test_so_many_questions_of_a_chat_wait(tmp_path: Path) -> None:
    async with talking(tmp_path, max_waiting_per_channel=2) as talk:
        page, other = Page(talk), Page(talk)
        await page.ask("One?")
        await page.ask("Two?")
        with pytest.raises(OverLimit, match="of this chat"):
            await page.ask("Three?")
        await other.ask("Four?")
        for each in (page, other):
            each.close()


async def test_each_answer_has_its_row_in_the_usage_log(tmp_path: Path) -> None:
    async with talking(tmp_path) as talk:
        page = Page(talk)
        turn = await page.answered("One?", "First.")
        await page.port.rate(ADA, turn.id, 1)
        talk.generator.replies.append("The first.")
        await page.port.retry(ADA, turn.id)
        await page.shows(turn.id, 2)
        await page.port.rate(ADA, turn.id, -1)
        await page.port.choose(ADA, turn.id, 1)
        await talk.quiet()
        await page.port.rate(ADA, turn.id, 0)
        for state, number in (("done", 2.0), ("stopped", None)):
            labels = {"adapter": "web", "state": state}
            metrics = talk.metrics.registry
            assert metrics.get_sample_value("parley_turns_total", labels) == number
        page.close()
    rows = await log(tmp_path)
    assert [row.platform for row in rows] == ["web", "web"]
    assert {row.person for row in rows} == {"web:local/ada"}
    assert {row.place for row in rows} == {str(ADA.place(page.chat_id or ""))}
    assert [(row.personality, row.model) for row in rows] == [("assistant", "scripted")] * 2
    assert [row.usage.completion_tokens for row in rows] == [1, 2]
    assert [row.rating for row in rows] == [0, -1]


async def test_a_continued_answer_is_one_with_two_rows(tmp_path: Path) -> None:
    async with talking(tmp_path) as talk:
        page = Page(talk)
        turn = await page.ask("Count.")
        generation = await page.led()
        generation.say("One ")
        generation.finish(FinishReason.LENGTH)
        await page.shows(turn.id)
        await talk.quiet()
        await page.port.rate(ADA, turn.id, 1)
        talk.generator.replies.append("two three")
        await page.port.go_on(ADA, turn.id)
        await talk.until(lambda: page.turns[turn.id].answers[0].reply == "One two three")
        assert page.turns[turn.id].answers[0].usage.completion_tokens == 3
        page.close()
    rows = await log(tmp_path)
    assert [row.usage.completion_tokens for row in rows] == [1, 2]
    assert len({row.answer_id for row in rows}) == 1
    assert [row.rating for row in rows] == [0, 1]


async def test_a_vote_before_the_row_is_written_is_in_it(tmp_path: Path) -> None:
    async with talking(tmp_path) as talk:
        page = Page(talk)
        turn = await page.answered("One?", "First.")
        await page.port.rate(ADA, turn.id, 1)
        page.close()
    assert [row.rating for row in await log(tmp_path)] == [1]

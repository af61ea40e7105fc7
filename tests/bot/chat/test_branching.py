"""A question that is not the newest is edited in a new chat; the one before stays as it is."""

from __future__ import annotations

import pytest

from bot.chats import Upload
from bot.errors import EmptyQuestion, RequestError
from tests.bot.chat.page import ADA, Page
from tests.bot.talk import Talk

NOTES = Upload("notes.txt", "text/plain", b"The budget is 42.")


def said(talk: Talk) -> list[str]:
    return [each.content for each in talk.generator.generations[-1].request.messages[1:]]


async def branched(page: Page, turn_id: str, text: str, reply: str) -> Page:
    """A page on the new chat, once that is answered."""
    page.talk.generator.replies.append(reply)
    chat_id = await page.port.edit(ADA, turn_id, text)
    assert chat_id != page.chat_id
    new = Page(page.talk)
    await new.open(chat_id)
    await page.talk.until(lambda: all(not each.growing for each in new.turns.values()))
    return new


async def test_the_new_chat_has_the_turns_before_and_goes_on(talk: Talk, page: Page) -> None:
    first = await page.answered("A colour?", "Red.", personality="pirate")
    talk.generator.replies.append("Blue.")
    await page.port.retry(ADA, first.id)
    await page.shows(first.id, 2)
    await page.port.rename(ADA, page.chat_id, "Colours")
    second = await page.answered("Why that?", "It is the sky.")
    third = await page.answered("Really?", "Really.")
    new = await branched(page, second.id, "Why this?", "It is the sea.")
    assert said(talk) == ["A colour?", "Blue.", "Why this?"]
    old, turns = list(page.turns.values()), sorted(new.turns.values(), key=lambda t: t.number)
    assert [turn.question for turn in old] == ["A colour?", "Why that?", "Really?"]
    assert [turn.question for turn in turns] == ["A colour?", "Why this?"]
    assert [turn.number for turn in turns] == [1, 2]
    assert [each.reply for each in turns[0].answers] == ["Red.", "Blue."]
    assert turns[0].chosen == 2
    assert not {turn.id for turn in turns} & {first.id, second.id, third.id}
    summary = (await page.port.chat(ADA, new.chat_id)).summary
    assert (summary.title, summary.personality) == ("Colours", "pirate")
    await page.port.forget_chat(ADA, page.chat_id)
    await new.answered("Really?", "Yes.")
    assert said(talk) == ["A colour?", "Blue.", "Why this?", "It is the sea.", "Really?"]
    new.close()


async def test_the_first_question_is_edited_in_a_chat_of_its_own(talk: Talk, page: Page) -> None:
    first = await page.answered("A color?", "Red.")
    await page.answered("Why?", "So.")
    new = await branched(page, first.id, "A colour?", "Blue.")
    assert said(talk) == ["A colour?"]
    assert [turn.question for turn in new.turns.values()] == ["A colour?"]
    assert len(await page.port.chats(ADA)) == 2
    new.close()


async def test_the_edited_question_keeps_its_files(talk: Talk, page: Page) -> None:
    first = await page.answered("The budget?", "42.", files=[NOTES])
    await page.answered("Sure?", "Sure.")
    new = await branched(page, first.id, "The whole budget?", "42.")
    assert said(talk)[0].startswith("The whole budget?")
    assert "The budget is 42." in said(talk)[0]
    (turn,) = new.turns.values()
    assert turn.files == ("notes.txt",)
    new.close()


async def test_the_newest_question_keeps_its_files_and_may_lose_its_words(
    talk: Talk, page: Page
) -> None:
    turn = await page.answered("The budget?", "42.", files=[NOTES])
    talk.generator.replies.append("A file.")
    await page.port.edit(ADA, turn.id, " ")
    await page.shows(turn.id, 2)
    assert "The budget is 42." in said(talk)[0]
    assert page.turns[turn.id].question == ""


async def test_a_question_that_is_being_answered_with_others_behind_it_waits(page: Page) -> None:
    first = await page.ask("One?")
    await page.led()
    await page.ask("Two?")
    with pytest.raises(RequestError, match="being answered"):
        await page.port.edit(ADA, first.id, "Which one?")
    with pytest.raises(EmptyQuestion):
        await page.port.edit(ADA, first.id, " ")
    assert len(await page.port.chats(ADA)) == 1

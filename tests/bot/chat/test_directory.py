"""The list of somebody's chats: found, renamed, exported, imported and forgotten."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.adapter_support.chat_files.read import read_chat
from bot.adapter_support.chat_files.written import as_json
from bot.chat.directory import MAX_TITLE
from bot.chats import ChatForgotten
from bot.errors import AccessDenied, RequestError, UnknownChat, UnknownPersonality
from bot.source import Source
from bot.stored import TurnState
from tests.bot.chat.page import ADA, BOB, Page
from tests.bot.talk import Talk, talking

CHATS = (
    ("Why is the sky blue?", "Scattering, *chérie*."),
    ("What is a llama?", "A camelid."),
)


async def titles(page: Page, search: str = "") -> list[str]:
    return [each.title for each in await page.port.chats(page.owner, search)]


async def two_chats(page: Page) -> tuple[str, str]:
    first, second = [await begun(page, *said) for said in CHATS]
    return first, second


async def begun(page: Page, question: str, reply: str) -> str:
    """The id of a new chat."""
    await page.open(None)
    await page.answered(question, reply)
    assert page.chat_id is not None
    return page.chat_id


async def test_the_newest_chat_comes_first(page: Page) -> None:
    first, _ = await two_chats(page)
    assert await titles(page) == ["What is a llama?", "Why is the sky blue?"]
    await page.answered("And the sea?", "Also.", chat=first)
    newest, other = await page.port.chats(ADA)
    assert (newest.title, newest.num_turns, newest.is_busy) == ("Why is the sky blue?", 2, False)
    assert newest.last_at >= other.last_at
    assert newest.personality == "assistant"


async def test_a_chat_is_busy_while_it_is_answered(talk: Talk, page: Page) -> None:
    turn = await page.ask("Hello?")
    assert [each.is_busy for each in await page.port.chats(ADA)] == [True]
    (await page.led()).say("Hi.")
    talk.generator.generations[-1].finish()
    await page.shows(turn.id)
    assert [each.is_busy for each in await page.port.chats(ADA)] == [False]


async def test_chats_are_found_by_their_words(page: Page) -> None:
    first, _ = await two_chats(page)
    assert await titles(page, "CHERIE sky") == ["Why is the sky blue?"]
    await page.port.rename(ADA, first, "Himmelskörper")
    assert await titles(page, "himmelskorper") == ["Himmelskörper"]
    assert await titles(page, "llama sky") == []
    assert await page.port.chats(BOB, "sky") == []


async def test_a_new_title_is_seen_wherever_the_chat_is_open(talk: Talk, page: Page) -> None:
    chat_id, _ = await two_chats(page)
    await page.open(chat_id)
    await page.port.rename(ADA, chat_id, " Sky\x1b[31m\n and  sea ")
    await talk.until(lambda: chat_id in page.chats)
    assert page.chats[chat_id].title == "Sky[31m and sea"
    await page.port.rename(ADA, chat_id, "  ")
    assert (await page.port.chat(ADA, chat_id)).summary.title == "Why is the sky blue?"
    with pytest.raises(RequestError, match="at most 200 characters"):
        await page.port.rename(ADA, chat_id, "x" * (MAX_TITLE + 1))


async def test_a_personality_that_is_chosen_answers_the_next_question(page: Page) -> None:
    first, _ = await two_chats(page)
    await page.port.set_personality(ADA, first, "pirate")
    turn = await page.answered("And the sea?", "Arr.", chat=first)
    assert turn.answers[0].personality == "pirate"
    assert (await page.port.chat(ADA, first)).summary.personality == "pirate"
    with pytest.raises(UnknownPersonality):
        await page.port.set_personality(ADA, first, "ninja")


async def test_another_persons_chat_is_unknown(page: Page) -> None:
    first, _ = await two_chats(page)
    for attempt in (
        page.port.rename(BOB, first, "Mine"),
        page.port.set_personality(BOB, first, "pirate"),
        page.port.forget_chat(BOB, first),
        page.port.forget_chat(ADA, "nothing"),
    ):
        with pytest.raises(UnknownChat):
            await attempt
    assert len(await titles(page)) == 2


async def test_a_chat_is_forgotten_with_what_is_under_way_in_it(talk: Talk, page: Page) -> None:
    turn = await page.ask("Tell me a story.")
    generation = await page.led()
    generation.say("Once ")
    await page.sees(turn.id, "Once ")
    chat_id = page.chat_id
    assert chat_id is not None
    watch = page.port.watch(ADA, None)
    await page.port.forget_chat(ADA, chat_id)
    assert await anext(watch) == ChatForgotten(chat_id)
    await talk.until(lambda: generation.is_cancelled)
    assert await titles(page) == []
    with pytest.raises(UnknownChat):
        await page.port.chat(ADA, chat_id)


async def test_an_exported_chat_is_imported_with_every_answer(talk: Talk, page: Page) -> None:
    turn = await page.answered("Why is the sky blue?", "Scattering.")
    talk.generator.replies.append("Rayleigh scattering.")
    await page.port.retry(ADA, turn.id)
    await page.shows(turn.id, num_answers=2)
    await page.port.choose(ADA, turn.id, 1)
    await page.port.rate(ADA, turn.id, 1)
    assert page.chat_id is not None
    await page.port.rename(ADA, page.chat_id, "Sky")
    exported = await page.port.chat(ADA, page.chat_id)

    imported = await page.port.add_chat(
        BOB, read_chat(as_json(exported).encode(), talk.clock.now())
    )
    found = await page.port.chat(BOB, imported)
    assert found.summary == replace(exported.summary, id=imported)
    assert as_json(found) == as_json(exported)
    (again,) = found.turns
    assert [each.reply for each in again.answers] == ["Scattering.", "Rayleigh scattering."]
    assert (again.chosen, again.answers[0].rating, again.asked_by) == (1, 1, "")


async def test_an_imported_chat_goes_on(talk: Talk, page: Page) -> None:
    turn = await page.answered("Who are you?", "Parley.")
    assert page.chat_id is not None
    exported = await page.port.chat(ADA, page.chat_id)
    (asked,) = exported.turns
    asked = replace(asked, sources=(Source("a.txt", "A text."),), files=("a.txt",))
    chat_id = await page.port.add_chat(ADA, replace(exported, turns=(asked,)))
    await page.answered("Again?", "Parley!", chat=chat_id)
    said = [m.content for m in talk.generator.generations[-1].request.messages[1:]]
    question = "Who are you?\n\n[Attached file: a.txt]\n```\nA text.\n```"
    assert said == [question, "Parley.", "Again?"]
    assert turn.id not in [each.id for each in page.turns.values()]


async def test_who_may_not_ask_may_not_import(tmp_path: Path) -> None:
    async with talking(tmp_path, deny=[BOB.person.id]) as talk:
        page = Page(talk)
        await page.answered("Who are you?", "Parley.")
        exported = await page.port.chat(ADA, page.chat_id)
        page.close()
        with pytest.raises(AccessDenied):
            await page.port.add_chat(BOB, exported)
        assert await page.port.chats(BOB) == []


async def test_a_question_without_an_answer_is_imported_as_one_that_has_ended(
    talk: Talk, page: Page
) -> None:
    await page.answered("Who are you?", "Parley.")
    assert page.chat_id is not None
    exported = await page.port.chat(ADA, page.chat_id)
    (asked,) = exported.turns
    bare = replace(asked, answers=(), chosen=0, asked_at=talk.clock.now() - timedelta(days=3))
    summary = replace(exported.summary, personality="ninja")
    chat_id = await page.port.add_chat(ADA, replace(exported, summary=summary, turns=(bare,)))
    found = await page.port.chat(ADA, chat_id)
    assert found.summary.personality == "assistant"
    (turn,) = found.turns
    assert (turn.answers[0].state, turn.answers[0].reply) == (TurnState.INTERRUPTED, "")
    assert "not answered" in turn.answers[0].note
    talk.generator.replies.append("Parley!")
    await page.open(chat_id)
    await page.port.retry(ADA, turn.id)
    assert (await page.shows(turn.id, num_answers=2)).reply == "Parley!"

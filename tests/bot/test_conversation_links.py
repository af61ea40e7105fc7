"""An address in a reply is a link if it was said in the thread, and code if it was made up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.markdown.links import LinkSetting
from tests.bot.talk import BOB, PERSONALITIES, Talk, talking

DOCS = "https://example.com/docs"
LEAK = "https://evil.example/?q=what-the-thread-holds"


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    async with talking(tmp_path) as talk:
        yield talk


async def test_the_address_of_a_question_is_a_link_in_its_reply(talk: Talk) -> None:
    await talk.answered(f"What does {DOCS} say?", f"Nothing. See {DOCS} or [it]({DOCS}).")
    assert talk.visible() == [f"Nothing. See {DOCS} or [it]({DOCS})."]


async def test_an_address_that_the_model_made_up_is_code(talk: Talk) -> None:
    await talk.answered("What now?", f"See {LEAK} or [this]({LEAK}).")
    assert talk.visible() == [f"See `{LEAK}` or this (`{LEAK}`)."]


async def test_it_is_code_from_its_first_word_on(talk: Talk) -> None:
    await talk.ask("What now?")
    generation = await talk.generation()
    generation.say(f"See {LEAK} ")
    await talk.sees(f"See `{LEAK}`")
    generation.finish()


async def test_what_anybody_said_before_in_the_thread_counts(talk: Talk) -> None:
    await talk.answered(f"I read {DOCS} today.", "Good.")
    await talk.ask(
        "It moved to https://example.org/b", person=BOB, is_mention=False, mentions_others=True
    )
    await talk.answered("So?", f"From {DOCS} to https://example.org/b.")
    assert talk.visible()[-1] == f"From {DOCS} to https://example.org/b."


async def test_what_was_said_in_another_thread_does_not(talk: Talk) -> None:
    await talk.answered(f"I read {DOCS} today.", "Good.", thread="t2")
    await talk.answered("So?", f"See {DOCS}.")
    assert talk.visible() == [f"See `{DOCS}`."]


async def test_the_models_own_earlier_reply_makes_no_address_known(talk: Talk) -> None:
    await talk.answered("What now?", f"See {LEAK}.")
    await talk.answered("Again?", f"See {LEAK}.")
    assert talk.visible() == [f"See `{LEAK}`."] * 2


async def test_an_address_of_the_personality_is_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = f"---\ntitle: Assistant\n---\nOur documents: {DOCS}.\n"
    monkeypatch.setitem(PERSONALITIES, "assistant", told)
    async with talking(tmp_path) as talk:
        await talk.answered("What now?", f"See {DOCS}, not {LEAK}.")
        assert talk.visible() == [f"See {DOCS}, not `{LEAK}`."]


async def test_a_question_that_is_edited_to_hold_the_address_makes_it_a_link(talk: Talk) -> None:
    question = await talk.answered("What now?", f"See {DOCS}.")
    talk.generator.replies.append(f"See {DOCS}.")
    await talk.edit(question, f"What does {DOCS} say?")
    await talk.sees(f"See {DOCS}.")


async def test_a_reply_that_is_tried_again_has_the_same_links(talk: Talk) -> None:
    await talk.answered(f"What does {DOCS} say?", "Nothing.")
    talk.generator.replies.append(f"See {DOCS}, not {LEAK}.")
    await talk.command("retry")
    await talk.sees(f"See {DOCS}, not `{LEAK}`.")


@pytest.mark.parametrize(
    ("links", "shown"),
    [("all", f"See {DOCS} and {LEAK}."), ("none", f"See `{DOCS}` and `{LEAK}`.")],
)
async def test_a_setting_makes_all_of_them_links_or_none(
    tmp_path: Path, links: LinkSetting, shown: str
) -> None:
    async with talking(tmp_path, links=links) as talk:
        await talk.answered(f"What does {DOCS} say?", f"See {DOCS} and {LEAK}.")
        assert talk.visible() == [shown]


async def test_what_parley_says_itself_is_not_changed(talk: Talk) -> None:
    await talk.command("personality", "https://example.org/b")
    await talk.until(lambda: bool(talk.whispers() or talk.visible()))
    assert "`" not in "".join([*talk.whispers(), *talk.visible()])

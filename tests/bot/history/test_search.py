"""Finding threads by their words, in any script."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.generation import FinishReason
from bot.history import SqlThreadStore
from bot.history.folding import folded
from bot.source import Source
from bot.stored import (
    AnsweredTurn,
    StoredAnswer,
    Turn,
    TurnState,
)
from bot.types import Attachment, Person, Place
from tests.contracts.store import HERE, accepted, answered, ask
from tests.fakes.clock import START

HOME = Place("web", "local", "ada", "")
ADA = Person("web:local/ada", "ada")


def chat(number: int | str) -> Place:
    return Place("web", "local", "ada", f"c{number}")


async def found(store: SqlThreadStore, search: str) -> list[str]:
    return [each.place.thread for each in await store.listed(HOME, search)]


@pytest.mark.parametrize(
    ("text", "search"),
    [
        ("Why is the SKY blue?", "sky Why"),
        ("Über die Straße", "strasse uber"),
        ("uber die strasse", "Über STRASSE"),
        ("Café de l’été", "CAFE l'ete"),
        ("Cafe\u0301", "café"),
        ("İstanbul'da ılık", "istanbul ilik"),
        ("Σίσυφος", "ΣΙΣΥΦΟΣ"),
        ("Łódź, Øresund, Đà Nẵng", "lodz oresund da nang"),
        ("Ёлка и чайка", "елка ЧАИКА"),
        ("שָׁלוֹם", "שלום"),
        ("مُحَمَّد", "محمد"),
        ("हिन्दी में", "हिन्दी"),
        ("東京タワーへ行く", "タワー"),
        ("ＡＢＣ ﬁne ①", "abc fine 1"),
        ("\u1112\u1161\u11ab국어", "한국"),  # taken apart, as file names of a Mac are
        ("𝐁𝐨𝐥𝐝 words", "bold"),
        ("co\u00adoperate", "cooperate"),
        ("100% _sure_", "100% _sure_"),
        ("well—known", "well-known"),
    ],
)
async def test_case_accents_and_forms_of_a_letter_do_not_matter(
    sql_store: SqlThreadStore, text: str, search: str
) -> None:
    await answered(sql_store, ask("1", text, place=chat(1)))
    await answered(sql_store, ask("2", "Something else.", place=chat(2)))
    assert await found(sql_store, search) == ["c1"]


@pytest.mark.parametrize(
    ("one", "other"), [("かき", "がき"), ("बल", "बिल"), ("한", "하"), ("ปา", "ป่าน")]
)
async def test_signs_that_make_another_letter_count(one: str, other: str) -> None:
    assert folded(other) not in folded(one)


async def test_every_word_stands_somewhere_in_the_thread(sql_store: SqlThreadStore) -> None:
    place = chat(1)
    turn = await answered(sql_store, ask("1", "Why blue?", place=place), "Rayleigh.")
    await answered(sql_store, ask("2", "And green?", place=place), "Grass.")
    await sql_store.set_title(place, "Colours")
    files = [Source("notes (1).txt", "secret words")]
    await sql_store.note_read(turn.id, files=files, earlier=[])
    for search in ("colours", "green RAYLEIGH", "grass notes (1).txt blue", "", "   "):
        assert await found(sql_store, search) == ["c1"], search
    for search in ("colours red", "secret", "excerpt", "blue? rayleighs"):
        assert await found(sql_store, search) == [], search


async def test_a_file_that_is_not_read_yet_is_found_by_its_name(
    sql_store: SqlThreadStore,
) -> None:

    attachment = Attachment("plan.pdf", "application/pdf", 7, "upload:a/b")
    await sql_store.accept(replace(ask("1", "?", place=chat(1)), attachments=(attachment,)))
    assert await found(sql_store, "PLAN") == ["c1"]
    assert await sql_store.awaited("web") == {"upload:a/b"}
    assert await sql_store.awaited("slack") == set()


async def test_answers_that_were_given_before_are_found(sql_store: SqlThreadStore) -> None:
    answers = (stored(1, "The old one."), stored(2, "The new one."))
    await sql_store.add_thread(chat(1), [asked(answers, chosen=2)], title="", personality=None)
    assert await found(sql_store, "old") == ["c1"]


async def test_only_this_persons_threads_are_found(sql_store: SqlThreadStore) -> None:
    await answered(sql_store, ask("1", "Blue?", place=Place("web", "local", "bob", "c1")))
    await answered(sql_store, ask("2", "Blue?", place=HERE))
    assert await found(sql_store, "blue") == []


async def test_the_line_that_was_found_is_shown(sql_store: SqlThreadStore) -> None:
    long = f"{'so ' * 100}much rain {'fell ' * 100}"
    await answered(sql_store, ask("1", "Weather?", place=chat(1)), f"Sun.\n{long}\nWind.")
    (summary,) = await sql_store.listed(HOME, "RAIN weather")
    assert summary.excerpt == "Weather?"
    (summary,) = await sql_store.listed(HOME, "rain")
    assert "much rain fell" in summary.excerpt
    assert summary.excerpt.startswith("…so so")
    assert len(summary.excerpt) < 170


async def test_a_list_says_how_a_thread_begins_and_whether_it_is_busy(
    sql_store: SqlThreadStore,
) -> None:
    await answered(sql_store, ask("1", "First\nquestion", place=chat(1)))
    await accepted(sql_store, ask("2", "Second", place=chat(1)))
    attached = await accepted(sql_store, ask("3", "", place=chat(2)))
    await sql_store.note_read(attached.id, files=[Source("a.csv", "1,2")], earlier=[])
    second, first = await sql_store.listed(HOME)
    assert (first.title, first.num_turns, first.is_busy) == ("First question", 2, True)
    assert second.title == "a.csv"
    await sql_store.set_title(chat(1), "Named")
    assert (await sql_store.summary(chat(1))) is not None
    assert [each.title for each in await sql_store.listed(HOME)] == ["a.csv", "Named"]
    await sql_store.set_title(chat(1), None)
    assert (await sql_store.listed(HOME))[1].title == "First question"
    assert await sql_store.summary(chat(3)) is None


async def test_a_title_is_forgotten_with_its_thread(sql_store: SqlThreadStore) -> None:
    await answered(sql_store, ask("1", "Blue?", place=chat(1)))
    await sql_store.set_title(chat(1), "Unforgettable")
    await sql_store.forget(chat(1))
    assert await sql_store.listed(HOME) == []
    data = sql_store.database.path.parent
    assert not [path for path in data.iterdir() if b"Unforgettable" in path.read_bytes()]


async def test_thousands_of_turns_are_searched_at_once(sql_store: SqlThreadStore) -> None:
    """A generous limit: it takes a fifth of a second."""
    text = "Все счастливые семьи похожи, ёлка. Über die Straße. " * 20
    turns = [asked((stored(1, f"{text} {number}"),)) for number in range(3_000)]
    await sql_store.add_thread(chat(1), turns, title="", personality=None)
    began_at = time.perf_counter()
    assert await found(sql_store, "elefant") == []
    assert time.perf_counter() - began_at < 5.0


def stored(number: int, reply: str) -> StoredAnswer:
    return StoredAnswer(
        number=number, question="Q?", reply=reply, state=TurnState.DONE, finished_at=START
    )


def asked(answers: tuple[StoredAnswer, ...], chosen: int = 1) -> AnsweredTurn:
    turn = Turn(
        id="",
        place=chat(1),
        number=0,
        state=TurnState.DONE,
        person=ADA,
        message_id="",
        text="Q?",
        accepted_at=START - timedelta(days=1),
        reply=answers[chosen - 1].reply,
        finish_reason=FinishReason.STOP,
        remarks=(("Bob", "Hm."),),
        files=(Source("a.csv", "1"),),
        finished_at=START,
    )
    return AnsweredTurn(turn=turn, answers=answers, chosen=chosen, personality="assistant")


async def test_a_thread_from_elsewhere_is_kept_with_all_its_answers(
    sql_store: SqlThreadStore,
) -> None:
    answers = (stored(1, "The old one."), stored(2, "The new one."))
    await sql_store.add_thread(
        chat(1),
        [asked(answers, chosen=2), asked((stored(1, "More."),))],
        title="Kept",
        personality="pirate",
    )
    first, second = await sql_store.answered_turns(chat(1))
    assert (first.answers, first.chosen, first.personality) == (answers, 2, "assistant")
    assert (first.turn.number, second.turn.number) == (1, 2)
    assert first.turn.remarks == (("Bob", "Hm."),)
    assert first.turn.files == (Source("a.csv", "1"),)
    assert await sql_store.personality(chat(1)) == "pirate"
    later = await accepted(sql_store, ask("1", "And now?", place=chat(1)))
    assert later.number == 3

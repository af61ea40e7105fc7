"""A thread is named after its question, as far as a name reaches."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.adapters.discord.talk import Talk, talking
from tests.fakes.discord import FakeDiscord

FAMILY = "👩‍👩‍👧‍👦"
ADDRESS = "https://example.com/" + "a" * 200


@pytest.fixture
async def talk(tmp_path: Path, discord: FakeDiscord) -> AsyncIterator[Talk]:
    async with talking(tmp_path, discord) as talk:
        yield talk


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("Why is the sky blue?", "Why is the sky blue?"),
        ("Why, " * 30, "Why, " * 17 + "Why…"),
        ("请" * 200, "请" * 90 + "…"),
        (ADDRESS, ADDRESS[:90] + "…"),
        (f"Read {ADDRESS}", f"Read {ADDRESS}"[:90] + "…"),
        ("请 " + "你" * 200, "请 " + "你" * 88 + "…"),
        (FAMILY * 50, FAMILY * 8 + "…"),
        ("x" + "🇩🇪" * 60, "x" + "🇩🇪" * 22 + "…"),
        ("e\u0301" * 100, "e\u0301" * 45 + "…"),
        ("ก" + "\u0e34" * 200, "ก" + "\u0e34" * 89 + "…"),
    ],
    ids=[
        "short",
        "words",
        "chinese",
        "an address",
        "a word and an address",
        "one early space",
        "families",
        "flags",
        "accents",
        "one endless grapheme",
    ],
)
async def test_a_thread_has_the_beginning_of_its_question_as_its_name(
    talk: Talk, discord: FakeDiscord, question: str, name: str
) -> None:
    talk.generator.replies.append("Because.")
    asked = await discord.ask(question)
    await discord.says("Because.", asked)
    assert discord.channels[asked]["name"] == name

"""``personalities list``, ``show`` and ``check``, as a person types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bot.test_cli import Result, parley

PIRATE = """---
title: Pirate
description: Answers like a pirate.
suggested_questions:
  - Where is the treasure?
examples:
  - question: Who are you?
    answer: A pirate, arr.
sampling:
  temperature: 0.8
---
You are a pirate.
"""
TWIN = PIRATE.replace("0.8", "0.5")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "pirate.md").write_text(PIRATE)
    return folder


async def personalities(folder: Path, *words: str) -> Result:
    return await parley(
        folder.parent,
        *("personalities", *words),
        PARLEY_PERSONALITIES="mine",
        PARLEY_PERSONALITY="pirate",
    )


async def test_the_list_says_who_answers_unless_somebody_chooses(folder: Path) -> None:
    (folder / "coder.md").write_text("---\ntitle: Coder\n---\nYou write code.\n")
    listed = await personalities(folder, "list")
    lines = [" ".join(line.split()) for line in listed.out.splitlines()]
    assert lines == [
        "name title model description",
        "coder Coder",
        "* pirate Pirate Answers like a pirate.",
    ]
    found = json.loads((await personalities(folder, "list", "--json")).out)
    assert [each["name"] for each in found] == ["coder", "pirate"]
    assert found[1]["sampling"] == {"temperature": 0.8}


async def test_one_is_shown_with_its_prompt_and_only_what_is_set(folder: Path) -> None:
    shown = (await personalities(folder, "show", "Pirate")).out
    assert shown.endswith("\n\nYou are a pirate.\n")
    assert "temperature: 0.8" in shown
    assert "  - Who are you? -> A pirate, arr." in shown
    assert "top k" not in shown
    found = json.loads((await personalities(folder, "show", "pirate", "--json")).out)
    assert found["prompt"] == "You are a pirate."


async def test_one_that_is_not_there_is_a_sentence(folder: Path) -> None:
    shown = await personalities(folder, "show", "parrot")
    assert (shown.code, shown.out) == (2, "")
    assert "There is no personality 'parrot'; known are pirate." in shown.err


async def test_what_is_right_is_said_to_be_so(folder: Path) -> None:
    checked = await personalities(folder, "check")
    assert (checked.code, checked.out) == (0, "All is right: pirate.\n")


async def test_every_mistake_is_told_with_file_and_line(folder: Path) -> None:
    (folder / "pirate.md").write_text(PIRATE.replace("title:", "titel:"))
    (folder / "coder.md").write_text("You write code.\n")
    checked = await personalities(folder, "check")
    assert checked.code == 1
    for mistake in (
        "mine/coder.md:1: front matter is missing",
        "mine/pirate.md:2: there is no key titel; did you mean title?",
    ):
        assert mistake in checked.out
    found = json.loads((await personalities(folder, "check", "--json")).out)
    assert found["personalities"] == []
    assert {"mine/coder.md", "mine/pirate.md"} == {each["file"] for each in found["faults"]}
    assert all(each["line"] > 0 for each in found["faults"])


async def test_the_default_must_be_there_but_not_in_another_folder(folder: Path) -> None:
    (folder / "pirate.md").rename(folder / "parrot.md")
    checked = await personalities(folder, "check")
    assert (checked.code, "there is no personality 'pirate'" in checked.out) == (1, True)
    other = await personalities(folder, "check", "mine")
    assert (other.code, other.out) == (0, "All is right: parrot.\n")


async def test_two_of_one_title_are_a_mistake_in_any_folder(folder: Path) -> None:
    (folder / "twin.md").write_text(TWIN)
    checked = await personalities(folder, "check", "mine")
    assert (checked.code, "twin.md:1: the title 'Pirate'" in checked.out) == (1, True)


async def test_a_folder_that_is_not_there_cannot_be_checked(folder: Path) -> None:
    checked = await personalities(folder, "check", "none")
    assert (checked.code, checked.out) == (2, "")
    assert "cannot be read" in checked.err

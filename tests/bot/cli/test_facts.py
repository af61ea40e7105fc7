"""``facts add``, ``list``, ``search`` and ``check``, as a person types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.lock import DataLock
from tests.bot.facts.folders import HANDBOOK
from tests.bot.test_cli import Result, parley

SCHOOL = "---\ntitle: School\nfacts: handbook\n---\nAnswer from the handbook.\n"
PIRATE = "---\ntitle: Pirate\n---\nYou are a pirate.\n"


@pytest.fixture
def handbook(tmp_path: Path) -> Path:
    folder = tmp_path / "mine" / "handbook"
    folder.mkdir(parents=True)
    (folder.parent / "school.md").write_text(SCHOOL)
    (folder.parent / "pirate.md").write_text(PIRATE)
    (folder / "school.md").write_text(HANDBOOK)
    return folder


async def facts(handbook: Path, *words: str) -> Result:
    return await parley(
        handbook.parents[1],
        *("facts", *words),
        PARLEY_PERSONALITIES="mine",
        PARLEY_PERSONALITY="pirate",
        PARLEY_DATA_DIR="data",
    )


async def test_a_question_is_answered_by_passages_with_their_place(handbook: Path) -> None:
    (handbook / "fees.md").write_text("# Fees\n\n## Music\n\nA violin is hired for six euros.\n")
    found = await facts(handbook, "search", "school", "How", "is", "a violin hired?")
    assert (found.code, found.err) == (0, "")
    assert found.out == "[fees.md > Fees > Music]\nA violin is hired for six euros.\n\n"
    found = await facts(handbook, "search", "school", "hiring violins", "--json")
    assert json.loads(found.out) == [
        {
            "file": "fees.md",
            "heading": ["Fees", "Music"],
            "text": "A violin is hired for six euros.",
        }
    ]


async def test_files_are_added_and_never_overwritten_unasked(handbook: Path) -> None:
    new = handbook.parents[1] / "rules.txt"
    new.write_text("Scooters stay outside.\n")
    added = await facts(handbook, "add", "school", "rules.txt")
    assert (added.code, added.out) == (0, "Added: mine/handbook/rules.txt\n")
    new.write_text("Scooters stay at home.\n")
    refused = await facts(handbook, "add", "school", "rules.txt")
    assert refused.code == 1
    assert refused.err == (
        "rules.txt in mine/handbook would be overwritten, so nothing was copied; "
        "--replace does it.\n"
    )
    added = await facts(
        handbook, "add", "school", "rules.txt", "mine/handbook/school.md", "--replace"
    )
    assert added.out.splitlines() == [
        "Added: mine/handbook/rules.txt",
        "Unchanged: mine/handbook/school.md",
    ]
    assert (handbook / "rules.txt").read_text() == "Scooters stay at home.\n"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (
            "picture.png",
            "picture.png is of a kind that is not read; Markdown, text, CSV, PDF, DOCX and HTML "
            "are; nothing was copied.\n",
        ),
        ("nothing.md", "nothing.md is no file; nothing was copied.\n"),
    ],
)
async def test_what_would_not_be_read_is_not_added(handbook: Path, name: str, why: str) -> None:
    (handbook.parents[1] / "picture.png").write_bytes(b"\x89PNG")
    (handbook.parents[1] / "good.md").write_text("Good.\n")
    refused = await facts(handbook, "add", "school", "good.md", name)
    assert (refused.code, refused.err) == (2, why)
    assert not (handbook / "good.md").exists()


async def test_a_personality_without_facts_is_told_how_to_get_some(handbook: Path) -> None:
    refused = await facts(handbook, "search", "pirate", "treasure")
    assert refused.code == 2
    assert refused.err == (
        "pirate has no facts: write `facts: FOLDER` into the front matter of mine/pirate.md.\n"
    )


async def test_the_lists_say_who_has_what(handbook: Path) -> None:
    (handbook / "empty.md").write_text("\n")
    listed = await facts(handbook, "list")
    assert [line.split() for line in listed.out.splitlines()] == [
        ["personality", "folder", "files", "passages", "not", "read"],
        ["school", "mine/handbook", "1", "1", "1"],
    ]
    listed = await facts(handbook, "list", "school")
    assert [line.split() for line in listed.out.splitlines()] == [
        ["file", "passages"],
        ["school.md", "1"],
        ["empty.md", "has", "no", "text."],
    ]


async def test_a_check_tells_what_is_not_read(handbook: Path) -> None:
    (handbook / ".hidden.md").write_text("Hidden.\n")
    checked = await facts(handbook, "check")
    assert (checked.code, checked.out) == (0, "mine/handbook/.hidden.md is hidden.\n")
    (handbook / "locked.pdf").write_bytes(b"no pdf")
    checked = await facts(handbook, "check", "school", "--json")
    assert checked.code == 1
    assert [each["why"] for each in json.loads(checked.out)] == [
        "is hidden",
        "is of another format than its name says",
    ]


async def test_beside_a_parley_that_runs_its_index_is_read_and_not_written(handbook: Path) -> None:
    async with DataLock(handbook.parents[1] / "data"):
        early = await facts(handbook, "search", "school", "lunch in the canteen")
    assert early.code == 1
    assert early.err == "Parley is just indexing the facts; try again in a moment.\n"
    checked = await facts(handbook, "check")
    assert (checked.code, checked.out) == (0, "All is read: 1 files, 1 passages.\n")
    (handbook / "new.md").write_text("Kangaroos are kept behind the gymnasium.\n")
    async with DataLock(handbook.parents[1] / "data"):
        found = await facts(handbook, "search", "school", "lunch in the canteen")
        late = await facts(handbook, "search", "school", "kangaroos")
    assert "A meal costs four euros" in found.out
    assert (late.code, late.out, late.err) == (1, "", "Nothing fits this question.\n")


async def test_a_folder_of_facts_that_is_missing_is_a_fault_of_its_personality(
    handbook: Path,
) -> None:
    (handbook.parent / "school.md").write_text(SCHOOL.replace("handbook\n", "lost\n", 1))
    checked = await parley(handbook.parents[1], "personalities", "check", "mine")
    assert checked.code == 1
    assert checked.out == (
        "mine/school.md:3: the folder of facts mine/lost is missing; make it, or name another.\n"
    )

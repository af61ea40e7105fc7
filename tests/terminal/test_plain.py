"""``chat`` in a pipe: a line is a question or a command, and answers are plain text."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.scenarios.command import begin, finish
from tests.terminal.stage import OWNER, Stage, stage


@pytest.fixture
async def parley(tmp_path: Path) -> AsyncIterator[Stage]:
    async with stage(tmp_path) as here:
        yield here


async def test_questions_in_a_pipe_are_answered_one_after_another(parley: Stage) -> None:
    process = await begin(parley.folder, "chat", "-p", "coder")
    asking = asyncio.create_task(finish(process, b"One?\n\nTwo?\r\n"))
    await parley.answer("One?", "The **first**.\n\n- a\n")
    await parley.answer("Two?", "The second.")
    result = await asking
    assert (result.code, result.err) == (0, "")
    assert result.out == "The **first**.\n\n- a\n\nThe second.\n"
    (chat,) = await parley.chats.chats(OWNER)
    assert (chat.num_turns, chat.personality) == (2, "coder")


async def test_what_goes_wrong_in_a_pipe_is_a_sentence_and_exit_code_1(parley: Stage) -> None:
    process = await begin(parley.folder, "chat", "--continue")
    asking = asyncio.create_task(finish(process, b"/nonsense\n/open 3\nOne?\n/quit\nTwo?\n"))
    await parley.answer("One?", "Yes.")
    result = await asking
    assert (result.code, result.out) == (1, "Yes.\n")
    assert result.err.splitlines() == [
        "There is no chat yet to go on with; this is a new one.",
        "There is no command /nonsense; /help shows those there are.",
        "Say which chat, by its number in the list of /chats.",
    ]


async def test_an_unknown_personality_is_a_sentence_that_names_the_known(parley: Stage) -> None:
    result = await finish(await begin(parley.folder, "chat", "-p", "pirate"))
    assert (result.code, result.out) == (2, "")
    assert result.err == "There is no personality 'pirate'; known are assistant, coder.\n"

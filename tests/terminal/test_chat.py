"""``chat`` as a person has it before them, in a real terminal."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.errors import EngineFailed
from tests.scenarios.polling import eventually
from tests.terminal.stage import OWNER, Stage, stage
from tests.terminal.tmux import terminal

LONG = "\n\n".join(
    [
        "# A report",
        "It begins with *some* words.",
        "\n".join(f"{number}. item number {number}" for number in range(1, 12)),
        "```python\n" + "\n".join(f"line_{number} = {number}" for number in range(40)) + "\n```",
        "| name | number |\n|---|---|\n| 名前 | 7 |",
        "日本語のとても長い文章がここにありますので、折り返しが必要です。שלום עולם",
        "The end of it.",
    ]
)


@pytest.fixture
async def parley(tmp_path: Path) -> AsyncIterator[Stage]:
    async with stage(tmp_path) as here:
        yield here


async def test_an_answer_is_seen_from_the_queue_to_its_end(parley: Stage) -> None:
    async with terminal(parley.folder, "chat") as window:
        await window.sees("Parley · smollm2 · Answers are written by AI", "Ask me anything.", "›")
        await window.enter("What is a llama?")
        turn = await parley.asked("What is a llama?")
        await window.sees("In the queue at place 1", "Ctrl-C stops it")
        parley.grow(turn, reasoning="Let me see: a llama")
        await window.sees("Let me see: a llama", "Thinking")
        parley.grow(turn, "A **llama** is", reasoning="Let me see: a llama")
        screen = await window.sees("A llama is", "Thought for 0 s", "Writing")
        assert "Let me see" not in screen
        parley.end(turn, "A **llama** is a camelid.")
        screen = await window.sees("A llama is a camelid.", "smollm2 · 10.0 tokens/s · 10% of")
        assert screen.count("A llama is") == 1
        await window.enter("/thoughts")
        await window.sees("Let me see: a llama")
        await window.press("C-d")
        assert await window.ends() == 0


async def test_ctrl_c_stops_an_answer_and_a_second_one_leaves(parley: Stage) -> None:
    async with terminal(parley.folder, "chat") as window:
        await window.sees("›")
        await window.enter("Tell me a story")
        parley.grow(await parley.asked("Tell me a story"), "Once upon a")
        await window.sees("Once upon a", "Writing")
        await window.press("C-c")
        await window.sees("Once upon a\nStopped.", "Alt-Enter")
        await window.type("half a question")
        await window.sees("› half a question")
        await window.press("C-c")
        await window.enter("Another")
        await parley.asked("Another")
        await window.sees("In the queue")
        parley.chats.refusal = EngineFailed("It hangs.")
        await window.press("C-c")
        await window.sees("It hangs. Ctrl-C leaves.")
        await window.press("C-c")
        assert await window.ends() == 0


@pytest.mark.parametrize(("width", "height"), [(40, 10), (200, 50)])
async def test_no_window_is_too_small_for_a_long_answer(
    parley: Stage, width: int, height: int
) -> None:
    async with terminal(parley.folder, "chat", width=width, height=height) as window:
        await window.sees("›")
        await window.enter("Report")
        turn = await parley.asked("Report")
        for end in range(40, len(LONG), 40):
            parley.grow(turn, LONG[:end])
        await window.sees("Writing")
        parley.end(turn, LONG)
        await window.sees("The end of it.", "tokens/s")
        shown = await window.everything()
    words = ["A report", "It begins with some words."]
    words += [f"item number {number}\n" for number in range(1, 12)]
    words += [f"line_{number} = {number}\n" for number in range(40)]
    words += ["名前", "折り返しが必要です", "The end of it."]
    squeezed = re.sub(r" *\n", "\n", shown)
    assert {word: squeezed.count(word) for word in words} == dict.fromkeys(words, 1)
    assert "```" not in shown
    assert "Writing" not in shown


async def test_the_newest_words_are_seen_of_a_paragraph_that_is_longer_than_the_window(
    parley: Stage,
) -> None:
    words = [f"word{number}" for number in range(120)]
    async with terminal(parley.folder, "chat", width=40, height=10) as window:
        await window.sees("›")
        await window.enter("Much")
        turn = await parley.asked("Much")
        for num in (50, 120):
            parley.grow(turn, " ".join(words[:num]))
            await window.sees(words[num - 1], "Writing")
        parley.end(turn)
        await window.sees("tokens/s")
        shown = (await window.everything()).split()
    assert [shown.count(word) for word in words] == [1] * 120


async def test_what_was_repeated_and_is_taken_back_brings_nothing_twice(parley: Stage) -> None:
    async with terminal(parley.folder, "chat") as window:
        await window.sees("›")
        await window.enter("Sing")
        turn = await parley.asked("Sing")
        parley.grow(turn, "A verse.\n\nLa la la.\n\nLa la la.\n\nLa la la.\n\nLa")
        await window.sees("La la la.\n\nLa la la.\n\nLa la la.\n\nLa\n", "Writing")
        parley.end(turn, "A verse.\n\nLa la la.")
        screen = await window.sees("tokens/s")
        assert screen.count("A verse.") == 1
        assert "…" not in screen
        await window.enter("/help")
        await window.sees("/quit         leave", "Ctrl-D leaves.")


async def test_a_question_of_several_lines_is_typed_or_pasted_whole(parley: Stage) -> None:
    async with terminal(parley.folder, "chat") as window:
        await window.sees("›")
        await window.type("first")
        await window.press("M-Enter")
        await window.paste("second\nthird\n/help")
        await window.sees("› first\n│ second\n│ third\n│ /help")
        await window.press("Enter")
        await parley.answer("first\nsecond\nthird\n/help", "Well.")
        await window.sees("Well.")


async def test_what_was_asked_comes_back_with_the_arrow_keys_in_another_chat_too(
    parley: Stage,
) -> None:
    await parley.chats.ask(OWNER, None, "asked long ago")
    await parley.answer("asked long ago", "Yes.")
    async with terminal(parley.folder, "chat") as window:
        await window.sees("›")
        await window.enter("asked just now")
        await parley.answer("asked just now", "No.")
        await window.sees("No.")
        await window.press("Up")
        await window.sees("› asked just now\n\n")

        async def is_further_back() -> bool:
            await window.press("Up")  # which does nothing until the chats are read
            return "› asked long ago" in await window.screen()

        await eventually(is_further_back)


async def test_commands_and_personalities_are_completed(parley: Stage) -> None:
    async with terminal(parley.folder, "chat") as window:
        await window.sees("›")
        await window.type("/pers")
        await window.sees("/personality", "who answers")
        await window.press("Tab")
        await window.type(" c")
        await window.sees("coder", "Coder")
        await window.press("Tab", "Enter")
        await window.sees("Coder answers from now on.", " coder · smollm2")
        await window.enter("Hi")
        turn = await parley.asked("Hi")
        (chat,) = await parley.chats.chats(OWNER)
        assert chat.personality == "coder"
        parley.end(turn, "Hi.")
        await window.enter("/nonsense")
        await window.sees("There is no command /nonsense; /help shows those there are.")


async def test_answers_are_asked_for_again_and_questions_are_edited(parley: Stage) -> None:
    async with terminal(parley.folder, "chat") as window:
        await window.sees("›")
        await window.enter("One?")
        await parley.answer("One?", "First answer.")
        await window.sees("First answer.")
        await window.enter("/retry")
        await parley.answer("One?", "Second answer.")
        await window.sees("Second answer.", "answer 2")
        await window.enter("/edit")
        await window.sees("› One?\n\n")
        await window.press("BSpace")
        await window.enter(" and two?")
        await parley.answer("One and two?", "Third answer.")
        await window.sees("Third answer.", "answer 3")
        await window.enter("/continue")
        await window.sees("The last answer has come to its end; /retry asks for another one.")


async def test_chats_are_listed_opened_exported_and_forgotten(parley: Stage) -> None:
    (parley.folder / "notes.txt").write_text("llamas")
    async with terminal(parley.folder, "chat", "-c") as window:
        await window.sees("There is no chat yet to go on with; this is a new one.")
        await window.enter("/file notes.txt")
        await window.sees("notes.txt goes with your next question.", "smollm2 + notes.txt")
        await window.enter("Read it")
        await parley.answer("Read it", "It says *llamas*.")
        await window.sees("It says llamas.")
        assert [(each.name, each.data) for each in parley.chats.uploads] == [
            ("notes.txt", b"llamas")
        ]
        await window.enter("/export chat.md")
        await window.sees("Written: chat.md")
        assert "It says *llamas*." in (parley.folder / "chat.md").read_text()
        await window.enter("/new")
        await window.enter("Another one")
        await parley.answer("Another one", "Fine.")
        await window.enter("/chats")
        await window.sees("›  1  Another one", "   2  Read it")
        await window.enter("/open 2")
        await window.sees("› Read it\n\nIt says llamas.")
        await window.enter("/forget")
        await window.sees("Delete this chat for good?")
        await window.enter("y")
        await window.sees("[y/N] y\nA new chat.")
        assert [chat.title for chat in await parley.chats.chats(OWNER)] == ["Another one"]
        await window.enter("/quit")
        assert await window.ends() == 0


async def test_the_last_chat_goes_on_and_with_it_its_answer(parley: Stage) -> None:
    await parley.chats.ask(OWNER, None, "Where are we?")
    turn = await parley.asked("Where are we?")
    parley.grow(turn, "At the sea")
    async with terminal(parley.folder, "chat", "--continue") as window:
        await window.sees("› Where are we?", "At the sea", "Writing")
        parley.end(turn, "At the seaside.")
        await window.sees("At the seaside.", "tokens/s")


async def test_an_answer_goes_on_after_a_restart_of_parley(parley: Stage) -> None:
    async with terminal(parley.folder, "chat") as window:
        await window.sees("›")
        await window.enter("Wait for it")
        turn = await parley.asked("Wait for it")
        parley.grow(turn, "It is com")
        await window.sees("It is com")
        await parley.stop()
        await window.sees("Parley has stopped; waiting until it is back")
        await parley.start()
        await window.sees("Writing")
        parley.end(turn, "It is complete.")
        await window.sees("It is complete.", "tokens/s")

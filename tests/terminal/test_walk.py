"""``chat`` with the real model, where no Parley runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.scenarios.parley import SIZE
from tests.terminal.tmux import terminal

pytestmark = pytest.mark.model

SETTINGS = {**SIZE, "PARLEY_OPTIMIZE": "off", "PARLEY_MAX_TOKENS": "300"}
STORY = "Write a very long story about a llama that walks around the world."


async def test_chat_by_itself_loads_the_model_and_keeps_what_was_said(tmp_path: Path) -> None:
    async with terminal(tmp_path, "chat", environ=SETTINGS) as window:
        await window.sees("Parley · smollm2", "›")
        await window.enter(STORY)
        await window.sees("Writing", "Ctrl-C stops it")
        await window.press("C-c")
        await window.sees("Stopped.", "of the window", "Alt-Enter")
        await window.press("C-d")
        assert await window.ends() == 0
    async with terminal(tmp_path, "chat", "-c", environ=SETTINGS) as window:
        await window.sees("› Write a very long story", "Alt-Enter: new line")
        await window.press("C-c")
        assert await window.ends() == 0


async def test_a_batch_shows_how_far_it_is_and_needs_no_running_parley(tmp_path: Path) -> None:
    (tmp_path / "questions.jsonl").write_text('"Say yes."\n"Say no."\n"Say nothing."\n')
    batch = ("ask", "--batch", "questions.jsonl", "--output", "answers.jsonl")
    async with terminal(tmp_path, *batch, environ={**SETTINGS, "PARLEY_MAX_TOKENS": "8"}) as window:
        assert await window.ends() == 0
        assert "Answered ━━━" in (shown := await window.everything())
        assert "3/3" in shown
    records = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert [each["question"] for each in records] == ["Say yes.", "Say no.", "Say nothing."]
    assert all(each["text"] for each in records)

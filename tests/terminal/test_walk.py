"""``chat`` with the real model, where no Parley runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.terminal.tmux import terminal

pytestmark = pytest.mark.model

SETTINGS = {"PARLEY_CPU_THREADS": "1", "PARLEY_OPTIMIZE": "off", "PARLEY_MAX_TOKENS": "300"}
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

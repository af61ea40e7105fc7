"""The Tab key after ``.venv/bin/python -m bot``, in a real bash."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.bot.test_cli import parley
from tests.terminal.tmux import Terminal, terminal

PARLEY = ".venv/bin/python -m bot"
BASH = ("bash", "--norc", "-i")


async def complete(window: Terminal, text: str, *expected: str) -> None:
    await window.type(text)
    await window.press("Tab")
    await window.sees(*expected)


async def test_commands_options_and_personalities_are_completed(tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / ".bashrc").write_text("alias ll='ls -l'")
    async with terminal(tmp_path, program=BASH) as window:
        for _ in range(2):
            await window.enter(f"clear; {PARLEY} --install-completion")
            await window.sees("Completion for bash stands in", "/.bashrc; a new terminal has it.")
        await window.enter("clear; source .bashrc")
        await complete(window, ".venv/bin/python -m b", PARLEY)
        await complete(window, "pers", f"{PARLEY} personalities")
        await window.press("C-u")
        await complete(window, f"{PARLEY} ask --sch", f"{PARLEY} ask --schema")
        await window.press("C-u")
        await complete(window, f"{PARLEY} ask -p cod", f"{PARLEY} ask -p coder")
        await window.press("C-u")
        await complete(window, ".venv/bin/python .bash", ".venv/bin/python .bashrc")
    added = (tmp_path / ".bashrc").read_text()
    assert added.startswith("alias ll='ls -l'\n# Completion for Parley")
    assert added.count("# Completion for Parley") == 1


async def test_the_help_says_what_exit_codes_mean(tmp_path: Path) -> None:
    result = await parley(tmp_path, "--help")
    told = " ".join(result.out.split())
    assert "0: done; 1: something failed; 2: nothing was begun" in told

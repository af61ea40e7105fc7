"""What a start has to load, counted: a first line comes before all that takes its time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

AT_THE_FIRST_LINE = """
import sys
from pathlib import Path
from bot import __main__ as program

flush = program.StandardOutput.flush

def seeing(output):
    flush(output)
    Path("loaded").exists() or Path("loaded").write_text(" ".join(sorted(sys.modules)))

program.StandardOutput.flush = seeing
program.main(["run"])
"""

AT_THE_START = """
import sys
import bot.app
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""

SLOW = {
    *("aiohttp", "sqlalchemy", "alembic", "llama_cpp", "numpy"),
    *("jinja2", "yaml", "psutil", "prometheus_client", "markdown_it", "rich", "bot.app"),
    *("bot.config", "bot.conversation", "bot.history", "adapters"),
}
MAX_MODULES = 400

NOT_FOR_EVERY_START = {
    *("alembic", "slack_sdk", "discord", "botbuilder", "msrest", "jwt"),
    *("pypdf", "mammoth", "charset_normalizer", "prompt_toolkit", "huggingface_hub"),
    *("lxml", "trafilatura", "feedparser", "playwright", "pytest"),
}
"""Packages of platforms that are off, of other commands, and of processes of their own."""


def run(program: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_first_line_stands_there_before_anything_slow_is_loaded(tmp_path: Path) -> None:
    done = run(AT_THE_FIRST_LINE, tmp_path, PARLEY_PORT="no number")
    assert (done.returncode, done.stdout) == (2, "Parley 0.1.0 starts ...\n")
    loaded = (tmp_path / "loaded").read_text().split()
    assert SLOW.intersection(loaded) == set()
    assert len(loaded) <= MAX_MODULES


def test_a_start_loads_nothing_that_it_does_not_need(tmp_path: Path) -> None:
    assert NOT_FOR_EVERY_START.intersection(run(AT_THE_START, tmp_path).stdout.split()) == set()

from __future__ import annotations

import os
import subprocess
import sys

SETS = "import os; os.setpriority(os.PRIO_PROCESS, 0, {})"
GOES_FIRST = "from bot.cli.commands.run import go_first; go_first(); print(os.nice(0))"
OURS = os.getpriority(os.PRIO_PROCESS, 0)
"""Whatever the tests were started with; only who may raise a priority gets below it."""


def run(*statements: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "; ".join(statements)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def is_allowed() -> bool:
    return run(SETS.format(0), SETS.format(-5)).returncode == 0


def niceness(begun_with: int) -> int:
    """Of a Parley that was started with that."""
    return int(run(SETS.format(begun_with), GOES_FIRST).stdout)


def test_parley_asks_for_more_time_than_others_where_it_may() -> None:
    if is_allowed():
        assert niceness(0) == -5
    else:
        assert niceness(max(0, OURS)) == max(0, OURS)


def test_whoever_started_it_with_a_priority_of_their_own_keeps_it() -> None:
    theirs = 7 if is_allowed() else max(7, OURS)
    assert niceness(theirs) == theirs

from __future__ import annotations

import subprocess
import sys

TOLD = "import os; from bot.cli.commands.run import go_first; go_first(); print(os.nice(0))"


def niceness(begun_with: int) -> int:
    """Of a Parley that was started with that, or as near to it as is allowed."""
    command = ["nice", "-n", str(begun_with), sys.executable, "-c", TOLD]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_parley_asks_for_more_time_than_others_where_it_may() -> None:
    may = [sys.executable, "-c", "import os; os.setpriority(os.PRIO_PROCESS, 0, -5)"]
    is_allowed = subprocess.run(may, capture_output=True, check=False).returncode == 0
    assert niceness(0) == (-5 if is_allowed else 0)


def test_whoever_started_it_with_a_priority_of_their_own_keeps_it() -> None:
    assert niceness(7) == 7

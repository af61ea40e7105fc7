"""The share of the cores that Parley asks for beside others who are busy."""

from __future__ import annotations

import os
from contextlib import suppress

NICENESS = -5
"""People wait for each word; three times the share of a program that nobody has put first."""


def go_first() -> None:
    """For threads that begin from now on, where the system allows it (to root, or in the unit).

    A person who started Parley with a priority of their own keeps it.
    """
    with suppress(OSError, AttributeError):  # not allowed, or not on this system
        if os.getpriority(os.PRIO_PROCESS, 0) == 0:
            os.setpriority(os.PRIO_PROCESS, 0, NICENESS)

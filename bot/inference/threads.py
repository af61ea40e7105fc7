"""The OS threads that compute: each on a core of its own, where they take all the cores.

With a short spin at barriers Linux may leave two of them on one core beside an idle one; a
step then takes two to five times as long. Elsewhere the system places them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection
from pathlib import Path

_TASKS = Path("/proc/self/task")


def ids() -> set[int]:
    """The threads of this process; none where the system does not tell."""
    try:
        return {int(task.name) for task in _TASKS.iterdir()}
    except OSError:
        return set()


def spread(helpers: Collection[int]) -> bool:
    """Give the calling thread and its ``helpers`` a core each, if that takes every core."""
    if not hasattr(os, "sched_setaffinity"):
        return False
    cores = sorted(os.sched_getaffinity(0))
    if not helpers or len(helpers) + 1 != len(cores):
        return False
    for thread, core in zip([threading.get_native_id(), *sorted(helpers)], cores, strict=True):
        os.sched_setaffinity(thread, {core})
    return True

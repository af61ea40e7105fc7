"""How many cores this process may use."""

from __future__ import annotations

from pathlib import Path

import psutil

_CGROUP_LIMIT = Path("/sys/fs/cgroup/cpu.max")
_HAS_AFFINITY = hasattr(psutil.Process, "cpu_affinity")


def usable_cores(limit: Path = _CGROUP_LIMIT) -> int:
    """Physical cores, within this process's affinity and its container's share of time.

    A container with two cores' time on a machine of 64 would be stopped by the kernel most
    of the time if 64 threads waited for each other in it.
    """
    return min(psutil.cpu_count(logical=False) or 1, usable_processors(limit))


def usable_processors(limit: Path = _CGROUP_LIMIT) -> int:
    """Like ``usable_cores``, but logical ones: a core with SMT counts as two."""
    usable = len(psutil.Process().cpu_affinity()) if _HAS_AFFINITY else psutil.cpu_count() or 1
    share = _share(limit)
    return usable if share is None else max(1, min(usable, int(share)))


def _share(limit: Path) -> float | None:
    """Cores' worth of time by cgroup v2, ``QUOTA PERIOD`` in microseconds; None: all."""
    try:
        quota, period = limit.read_text().split()
        return int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None

"""How the threads that compute wait for each other: a moment awake, then asleep.

A step has hundreds of points at which all threads wait for the slowest. GCC's OpenMP waits
awake there, for milliseconds: where somebody else has one of the cores, those who wait take
the time that the slowest needs, and two threads stop each other for seconds. Asleep at once,
they take twice as long on an idle machine. A tenth of a millisecond is enough for an idle
machine and short for a busy one.

Once its threads are more than the cores, OpenMP waits awake for a shorter while still; with the
policy "active" that is a third of what is set here.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path

_POLICY, _SPINS = "OMP_WAIT_POLICY", "GOMP_SPINCOUNT"
_NUM_SPINS = {"GenuineIntel": 3_000, "AuthenticAMD": 9_000}
"""Looks at the others, each as long as the processor's pause instruction takes: that of Intel's
is three times as long. Of other processors it is not known, and nothing is set.
"""
_CPU_INFO = Path("/proc/cpuinfo")


def wait_briefly(environ: MutableMapping[str, str], cpu_info: Path = _CPU_INFO) -> None:
    """Before llama.cpp is loaded, which reads it then. What a person has set is left alone."""
    num_spins = _NUM_SPINS.get(_vendor(cpu_info))
    if num_spins is None or _POLICY in environ or _SPINS in environ:
        return
    environ[_POLICY], environ[_SPINS] = "active", str(num_spins)


def _vendor(cpu_info: Path) -> str:
    try:
        lines = cpu_info.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.split(":")[1].strip() for line in lines if line.startswith("vendor_id")), "")

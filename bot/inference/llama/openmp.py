"""Sets how long OpenMP's threads spin at a barrier before they sleep.

A step has hundreds of barriers at which all threads wait for the slowest. GCC's OpenMP spins
there for milliseconds: when another process occupies a core, the spinning threads take the
time that the slowest one needs, and two threads stall each other for seconds. Without
spinning, a step takes twice as long on an idle machine. A tenth of a millisecond is long
enough on an idle machine and short enough on a busy one.

Once its threads outnumber the cores, OpenMP spins for a shorter time; with the policy "active"
that is a third of the number set here.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path

_POLICY, _SPINS = "OMP_WAIT_POLICY", "GOMP_SPINCOUNT"
_NUM_SPINS = {"GenuineIntel": 3_000, "AuthenticAMD": 9_000}
"""Iterations by vendor; each takes as long as the processor's pause instruction.

Intel's takes three times as long as AMD's. For other processors it is unknown, and nothing is
set.
"""
_CPU_INFO = Path("/proc/cpuinfo")


def wait_briefly(environ: MutableMapping[str, str], cpu_info: Path = _CPU_INFO) -> None:
    """Must run before llama.cpp is loaded. Values that a person has set are kept."""
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

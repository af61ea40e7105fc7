"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

import psutil

from bot.inference.model_files import locate
from tests.benchmarks.figures import Table

_GIB = 1024**3


def describe() -> Table:
    model = locate.locate(locate.EMBEDDED)
    rows = [
        ("CPU", _cpu_model()),
        ("cores", f"{psutil.cpu_count(logical=False)} physical, {psutil.cpu_count()} logical"),
        ("memory", f"{psutil.virtual_memory().total / _GIB:.0f} GiB"),
        ("system", f"{platform.system()} {platform.release()} {platform.machine()}"),
        ("Python", platform.python_version()),
        ("llama-cpp-python", version("llama-cpp-python")),
        ("model file", f"{model.name}, {model.stat().st_size / 1e6:.0f} MB"),
        ("load before", " ".join(f"{load:.1f}" for load in os.getloadavg())),
    ]
    return Table("Machine", ("what", "value"), rows)


def _cpu_model() -> str:
    """platform.processor() is empty on most Linux machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor())

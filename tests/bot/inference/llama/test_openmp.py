from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bot.inference.llama.openmp import wait_briefly

INTEL = "processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu\n"


def chosen(tmp_path: Path, cpu_info: str | None, **environ: str) -> dict[str, str]:
    path = tmp_path / "cpuinfo"
    if cpu_info is not None:
        path.write_text(cpu_info)
    wait_briefly(environ, path)
    return environ


def test_threads_spin_for_a_tenth_of_a_millisecond(tmp_path: Path) -> None:
    briefly = {"OMP_WAIT_POLICY": "active", "GOMP_SPINCOUNT": "3000"}
    assert chosen(tmp_path, INTEL) == briefly
    amd = INTEL.replace("GenuineIntel", "AuthenticAMD")
    assert chosen(tmp_path, amd) == {**briefly, "GOMP_SPINCOUNT": "9000"}


@pytest.mark.parametrize("cpu_info", [None, "", "CPU implementer\t: 0x41\n"])
def test_for_an_unknown_processor_nothing_is_set(tmp_path: Path, cpu_info: str | None) -> None:
    assert chosen(tmp_path, cpu_info) == {}


@pytest.mark.parametrize("name", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT"])
def test_values_that_a_person_has_set_are_kept(tmp_path: Path, name: str) -> None:
    assert chosen(tmp_path, INTEL, **{name: "x"}) == {name: "x"}


def test_openmp_reads_it_when_llama_cpp_is_loaded() -> None:
    """OpenMP reads its environment once, when it is loaded, and can print what it read."""
    expected: dict[str, str] = {}
    wait_briefly(expected)
    environ = {k: v for k, v in os.environ.items() if k not in expected}
    done = subprocess.run(
        [sys.executable, "-c", "import bot.inference.llama.backend"],
        env={**environ, "OMP_DISPLAY_ENV": "verbose"},
        capture_output=True,
        text=True,
        check=True,
    )
    told = f"GOMP_SPINCOUNT = '{expected.get('GOMP_SPINCOUNT')}'"
    assert (told in done.stderr) == bool(expected)

"""``python -m bot …`` as a person runs it once: what it printed, and its exit code."""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.scenarios.parley import CACHE, ROOT, SIZE

PATIENCE = 90.0
_PYTHON = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "100"}
_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE = 24, 1


@dataclass(frozen=True)
class Result:
    code: int | None
    out: str
    err: str


async def begin(
    folder: Path,
    *arguments: str | bytes,
    environ: Mapping[str, str] | None = None,
    before: Callable[[], None] | None = None,
) -> asyncio.subprocess.Process:
    """Started in ``folder`` with the settings of ``environ`` and no others."""
    settings = {"PATH": os.environ["PATH"], "HOME": str(folder), "PARLEY_PORT": "0"}
    settings["XDG_CACHE_HOME"] = CACHE
    settings["OMP_WAIT_POLICY"] = "passive"
    if "PARLEY_ENGINE_URL" not in (environ or {}):
        settings |= SIZE
    settings["PARLEY_OPTIMIZE"] = "off"  # a first start would make a copy each time
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", *arguments),
        cwd=folder,
        env={**settings, **_PYTHON, **(environ or {})},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=before,
    )


async def finish(process: asyncio.subprocess.Process, stdin: bytes = b"") -> Result:
    """Everything it prints until it ends by itself; no traceback ever."""
    try:
        out, err = await asyncio.wait_for(process.communicate(stdin), PATIENCE)
    finally:
        if process.returncode is None:
            process.kill()
    result = Result(process.returncode, out.decode(), err.decode())
    assert "Traceback" not in result.out + result.err, result
    return result


async def command(
    folder: Path,
    *arguments: str | bytes,
    environ: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    before: Callable[[], None] | None = None,
) -> Result:
    return await finish(await begin(folder, *arguments, environ=environ, before=before), stdin)


def full_disk(num_bytes: int) -> Callable[[], None]:
    """For ``before``: no file of the process can grow beyond ``num_bytes``.

    Python must then write no bytecode: it would leave it cut off, for everybody to stumble over.
    """
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, num_bytes))


def bound_by_file_modes() -> None:
    """For ``before``: file modes count for root as for anybody else."""
    ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, 0, 0, 0)

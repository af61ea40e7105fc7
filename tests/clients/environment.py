"""The clients that people use, installed beside Parley, and how their programs run."""

from __future__ import annotations

import asyncio
import json
import os
from functools import cache
from pathlib import Path
from typing import Any

from tests.lacking import go_on_without, skip_for_lack
from tests.venvs import PackagesMissing, ensure_venv

HERE = Path(__file__).parent
VENV = HERE.parents[1] / ".cache" / "clients-venv"
OFFLINE = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "LANGSMITH_TRACING": "false",
    "DO_NOT_TRACK": "1",
}
KEY = "secret"
_SECONDS = 60.0


def ensure_clients() -> Path:
    """Raises ``PackagesMissing``."""
    requirements = HERE / "requirements.txt"
    return ensure_venv(VENV, requirements, "clients of the HTTP API for the tests (500 MB)")


def clients_or_skip() -> Path:
    """Their Python; skips on a laptop without a package index, fails where CI is set."""
    found = _found()
    if isinstance(found, str):
        skip_for_lack(found)
    return found


@cache
def _found() -> Path | str:
    """Their Python, or why it is not there, of which every test but the first is told at once."""
    try:
        return ensure_clients()
    except PackagesMissing as reason:
        return str(reason)


async def run(program: str, url: str, folder: Path, *arguments: str) -> dict[str, Any]:
    """The last line of ``programs/<program>.py``, which is JSON; Parley is at ``url``.

    It knows Parley by the variables that OpenAI's client reads, and no other ones of ours.
    """
    script = str(HERE / "programs" / f"{program}.py")
    known = {"OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": KEY}
    code, said = await execute(folder, script, *arguments, **known)
    assert code == 0, said
    printed: dict[str, Any] = json.loads(said.splitlines()[-1])
    return printed


async def execute(folder: Path, *arguments: str, **environ: str) -> tuple[int, str]:
    """Run the clients' Python in ``folder``: its exit status and what it has printed.

    The output of one that fails has its errors, too.
    """
    process = await asyncio.create_subprocess_exec(
        str(clients_or_skip()),
        *arguments,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **OFFLINE, **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), _SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    code = process.returncode or 0
    return code, out.decode() + err.decode() * bool(code)


def main() -> None:
    """``make clients``: install them now, so that no test has to wait for them."""
    try:
        ensure_clients()
    except PackagesMissing as reason:
        go_on_without(str(reason))


if __name__ == "__main__":
    main()

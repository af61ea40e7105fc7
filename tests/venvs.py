"""Virtual environments of other programs' packages, which must not come into Parley's own."""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

_INSTALL_SECONDS = 300.0


class PackagesMissing(Exception):
    """Why they are not here, in one sentence."""


def ensure_venv(
    folder: Path,
    requirements: Path,
    what: str,
    finish: Callable[[Path], None] = lambda python: None,
) -> Path:
    """The Python of a virtual environment with ``what``, which ``requirements`` names.

    It is made the first time, and anew when that file has changed; ``finish`` is then given the
    Python. Raises ``PackagesMissing``.
    """
    python, installed = folder / "bin" / "python", folder / "installed.txt"
    wanted = requirements.read_text(encoding="utf-8")
    if not installed.exists() or installed.read_text(encoding="utf-8") != wanted:
        sys.stdout.write(f"  installing {what} into {folder.parent.name}/{folder.name}\n")
        sys.stdout.flush()
        venv.create(folder, with_pip=True, clear=True)
        _install(python, requirements, what)
        finish(python)
        installed.write_text(wanted, encoding="utf-8")
    return python


def _install(python: Path, requirements: Path, what: str) -> None:
    # Compiled as they are imported, which most of their modules never are.
    options = ["--no-compile", "--disable-pip-version-check", "--no-input", "--retries", "1"]
    command = [str(python), "-m", "pip", "install", "-qq", *options, "-r", str(requirements)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False
    )
    if done.returncode:
        raise PackagesMissing(f"pip could not install {what}: {done.stderr.strip()[-300:]}")

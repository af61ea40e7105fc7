"""Microsoft's published schema of the app manifest, from npm."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.lacking import skip_for_lack

PACKAGE = "@microsoft/app-manifest"
VERSION = "1.1.2"
CACHE = Path(__file__).resolve().parents[1] / ".cache" / "teams-manifest"


def schema_or_skip(manifest_version: str) -> dict[str, Any]:
    """Fetched once; skips on a laptop without npm, fails where CI is set."""
    folder = CACHE / "node_modules" / PACKAGE / "build" / "json-schemas" / "teams"
    path = folder / f"v{manifest_version}" / "MicrosoftTeams.schema.json"
    if not path.is_file() and (problem := _install()):
        skip_for_lack(problem)
    schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return schema


def _install() -> str:
    """Why it could not be had, in a sentence; empty if it is there."""
    npm = shutil.which("npm")
    if npm is None:
        return "npm is not installed, and Microsoft's schema comes from npm."
    CACHE.mkdir(parents=True, exist_ok=True)
    command = [npm, "install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(
        [*command, "--prefix", str(CACHE), f"{PACKAGE}@{VERSION}"],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"npm could not install {PACKAGE}: {done.stderr[-300:]}" if done.returncode else ""

"""Microsoft's published schema of the app manifest, from npm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.lacking import skip_for_lack
from tests.npm import install

PACKAGE = "@microsoft/app-manifest"
VERSION = "1.1.2"
CACHE = Path(__file__).resolve().parents[1] / ".cache" / "teams-manifest"


def schema_or_skip(manifest_version: str) -> dict[str, Any]:
    """Fetched once; skips on a laptop without npm, fails where CI is set."""
    folder = CACHE / "node_modules" / PACKAGE / "build" / "json-schemas" / "teams"
    path = folder / f"v{manifest_version}" / "MicrosoftTeams.schema.json"
    if not path.is_file() and (problem := install(PACKAGE, VERSION, CACHE)):
        skip_for_lack(problem)
    schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return schema

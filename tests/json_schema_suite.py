"""The public JSON Schema Test Suite, draft 2020-12, out of the sources of ``jsonschema``."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.lacking import skip_for_lack

PACKAGE = "jsonschema"
CACHE = Path(__file__).resolve().parents[1] / ".cache" / "json-schema-suite"
_TESTS = "json/tests/draft2020-12/"


@dataclass(frozen=True, slots=True)
class Group:
    """A schema of the suite with data that is ``valid`` under it and data that is not.

    ``about``: the keyword or format, as the suite's files are named.
    """

    about: str
    title: str
    schema: Any
    valid: tuple[Any, ...]
    invalid: tuple[Any, ...]


def groups_or_skip() -> list[Group]:
    """Fetched once; skips on a laptop that has no network, fails where CI is set."""
    name = f"{PACKAGE}-{version(PACKAGE)}"
    path = CACHE / f"{name}.tar.gz"
    if not path.is_file() and not _fetched():
        skip_for_lack(f"The sources of {PACKAGE}, which carry the suite, could not be fetched.")
    root = f"{name}/{_TESTS}"
    with tarfile.open(path) as sources:
        files = sorted(n for n in sources.getnames() if n.startswith(root) and n.endswith(".json"))
        found = ((each, sources.extractfile(each)) for each in files)
        return [
            _group(each.removeprefix(root).removesuffix(".json"), group)
            for each, file in found
            if file is not None
            for group in json.load(file)
        ]


def _fetched() -> bool:
    sources = ("--no-deps", "--no-binary", PACKAGE, "--dest", str(CACHE))
    wanted = f"{PACKAGE}=={version(PACKAGE)}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", *sources, wanted]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _group(about: str, group: dict[str, Any]) -> Group:
    tests = group["tests"]
    valid = tuple(test["data"] for test in tests if test["valid"])
    invalid = tuple(test["data"] for test in tests if not test["valid"])
    return Group(about, group["description"], group["schema"], valid, invalid)

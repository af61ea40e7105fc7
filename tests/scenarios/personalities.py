"""The folder of personalities that the scenarios run with."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.scenarios.parley import ROOT

_RAMBLER = """\
---
title: Rambler
description: Goes on until the length limit, whatever it is asked.
sampling:
  temperature: 2
  top_k: 1000
  min_p: 0
  top_p: 1
---
You tell stories that never end.
"""


def make_personalities(folder: Path) -> Path:
    """The shipped ones and ``rambler``: so hot that it babbles, and never comes to an end."""
    shutil.copytree(ROOT / "personalities", folder)
    (folder / "rambler.md").write_text(_RAMBLER, "utf-8")
    return folder

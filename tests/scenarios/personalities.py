"""The folder of personalities that the scenarios run with."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.scenarios.parley import ROOT

_RAMBLER = """\
---
title: Rambler
description: Goes on until the length limit, whatever it is asked.
loop_guard: off
sampling:
  temperature: 0
  frequency_penalty: -2
---
You tell stories that never end.
"""


def make_personalities(folder: Path) -> Path:
    """The shipped ones and ``rambler``, whose every word makes itself likelier: it never ends."""
    shutil.copytree(ROOT / "personalities", folder)
    (folder / "rambler.md").write_text(_RAMBLER, "utf-8")
    return folder

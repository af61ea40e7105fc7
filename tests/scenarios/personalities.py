"""The folder of personalities that the scenarios run with."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.scenarios.parley import ROOT

RAMBLING = "tests.scenarios.rambling"
"""The module to start instead of ``bot``, whose rambler says the same on every machine."""

FREQUENCY_PENALTY = -2
"""Its every word makes itself likelier; and so it is known to ``tests.scenarios.rambling``."""

_RAMBLER = f"""\
---
title: Rambler
description: Goes on until the length limit, whatever it is asked.
loop_guard: off
sampling:
  temperature: 0
  frequency_penalty: {FREQUENCY_PENALTY}
---
You tell stories that never end.
"""


def make_personalities(folder: Path) -> Path:
    """The shipped ones and ``rambler``, which never ends."""
    shutil.copytree(ROOT / "personalities", folder)
    (folder / "rambler.md").write_text(_RAMBLER, "utf-8")
    return folder

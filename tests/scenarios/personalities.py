"""The folder of personalities that the scenarios run with."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.scenarios.parley import ROOT

RAMBLING = "tests.scenarios.rambling"
"""The module to start instead of ``bot``, where these two say the same on every machine."""

BRAKE = "RAMBLING_BRAKE"
"""The setting that names a file: while it is there, a step takes the time of several."""

FREQUENCY_PENALTY = -2
"""Its every word makes itself likelier; and so it is known to ``tests.scenarios.rambling``."""

TEMPERATURE = 1.9375
"""So is a program that can set nothing else."""

PRESENCE_PENALTY = -1
"""So is the brief one."""

_BRIEF = f"""\
---
title: Brief
description: Says yes, whatever it is asked.
sampling:
  temperature: 0
  presence_penalty: {PRESENCE_PENALTY}
---
You say yes.
"""

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
    """The shipped ones, ``rambler``, which never ends, and ``brief``, which says yes."""
    shutil.copytree(ROOT / "personalities", folder)
    (folder / "rambler.md").write_text(_RAMBLER, "utf-8")
    (folder / "brief.md").write_text(_BRIEF, "utf-8")
    return folder

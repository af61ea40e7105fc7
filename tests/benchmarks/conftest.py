"""What all tests of benchmarks need."""

from __future__ import annotations

import pytest

from tests.scenarios.parley import SIZE


@pytest.fixture(autouse=True)
def not_measured_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is the fastest beside other tests means nothing, and would be measured at each start."""
    for name in ("PARLEY_ATTENTION", "PARLEY_KV_LAYOUT", "PARLEY_UBATCH"):
        monkeypatch.setenv(name, SIZE[name])

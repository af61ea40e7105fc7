"""What a machine may lack: a laptop skips what needs it, and CI, which must have it, fails.

Every skip for want of something goes through here; ``tests/test_lacking.py`` sees to it.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn


def skip_for_lack(reason: str) -> NoReturn:
    """For tests and fixtures; ``reason`` is one sentence."""
    import pytest  # `make try-slack` and `make vocabularies` have no use for it

    if _is_ci():
        pytest.fail(reason)
    pytest.skip(reason)


def go_on_without(reason: str) -> None:
    """For what `make test` fetches first: without it the tests that need it are skipped."""
    if _is_ci():
        sys.exit(reason)
    sys.stderr.write(f"  {reason}\n")


def _is_ci() -> bool:
    return bool(os.environ.get("CI"))

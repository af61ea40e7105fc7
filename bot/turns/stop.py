"""Which reactions mean stop."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

_SKIN_TONE = re.compile(r"::skin-tone-\d|[\U0001f3fb-\U0001f3ff]")
_VARIATION = "\ufe0f"


def means_stop(reaction: str, stop_reactions: Iterable[str]) -> bool:
    """Whatever the hand's colour; ``*`` in a setting stands for any run of characters."""
    plain = _plain(reaction)
    return any(fnmatchcase(plain, _plain(each)) for each in stop_reactions)


def _plain(reaction: str) -> str:
    return _SKIN_TONE.sub("", reaction).replace(_VARIATION, "").strip(":").lower()

"""What reactions mean: stop, where the settings say so, or a judgement on a reply."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

RATINGS: Mapping[str, int] = {
    "+1": 1,
    "thumbsup": 1,
    "👍": 1,
    "-1": -1,
    "thumbsdown": -1,
    "👎": -1,
}
"""The reactions that judge a reply, in all names that platforms give them."""

_SKIN_TONE = re.compile(r"::skin-tone-\d|[\U0001f3fb-\U0001f3ff]")
_VARIATION = "\ufe0f"


def means_stop(reaction: str, stop_reactions: Iterable[str]) -> bool:
    """Skin tones are ignored; ``*`` in a setting stands for any run of characters."""
    plain = _plain(reaction)
    return any(fnmatchcase(plain, _plain(each)) for each in stop_reactions)


def rating_of(reaction: str) -> int:
    """+1 or -1 in any skin tone; 0 for a reaction that judges nothing."""
    return RATINGS.get(_plain(reaction), 0)


def _plain(reaction: str) -> str:
    return _SKIN_TONE.sub("", reaction).replace(_VARIATION, "").strip(":").lower()

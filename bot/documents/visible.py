"""Text without the characters that nobody sees: those that control, reorder or hide others."""

from __future__ import annotations

import re

_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff0-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e0fff]"
    "|(?<=[\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?=[\x00-\x7f])"
)
"""Joiners stay where they join letters of other scripts, or pictures to one."""


def visible(text: str) -> str:
    """As a reader would see it; soft hyphens are gone, so that words are found."""
    return _INVISIBLE.sub("", text)

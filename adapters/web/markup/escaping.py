"""Text and code of a reply as HTML, character for character (pure)."""

from __future__ import annotations

import re
from html import escape

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u206f\ufdd0-\ufdef\ufff9-\ufffb\ufffe\uffff"
    "\U000e0000-\U000e001f]"
)
"""Controls and noncharacters, and what turns the direction of the text behind it."""


def words(text: str) -> str:
    return escape(_UNSEEN.sub("", text))


def code(text: str) -> str:
    """What nobody could see in code is named: it may mean something to a computer."""
    return escape(_UNSEEN.sub(lambda match: f"⟨U+{ord(match[0]):04X}⟩", text))

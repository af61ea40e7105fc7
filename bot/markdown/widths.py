"""How wide text is in the monospaced font of a chat client (pure)."""

from __future__ import annotations

import wcwidth

_SOFT_HYPHEN = "\xad"


def columns(text: str) -> int:
    """CJK and emoji take two, a whole sequence of emoji too; what is not drawn takes none."""
    return wcwidth.width(text.replace(_SOFT_HYPHEN, ""), control_codes="ignore")

"""What a reply was made from, as Teams shows it: numbers in the text, and a card for each. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from bot.adapter_support.markdown import FENCE
from bot.types import Source

Json = dict[str, Any]

MAX_CITATIONS = 20
_MAX_NAME = 80
_MAX_ABSTRACT = 160
_ICONS = {".pdf": "PDF", ".txt": "Text", ".md": "Text", ".csv": "Text", ".log": "Text"}


def marked(text: str, sources: Sequence[Source]) -> str:
    """With a number for each source at its end; nothing follows the fence of a code block."""
    numbers = "".join(f"[{number}]" for number in range(1, len(sources[:MAX_CITATIONS]) + 1))
    space = "\n\n" if text.endswith(FENCE) else " "
    return f"{text.rstrip()}{space}{numbers}" if numbers else text


def claims(sources: Sequence[Source]) -> list[Json]:
    return [_claim(number, each) for number, each in enumerate(sources[:MAX_CITATIONS], 1)]


def _claim(number: int, source: Source) -> Json:
    """Without an address: the one that a file came by lets in whoever has it."""
    suffix = PurePosixPath(source.name.lower()).suffix
    appearance = {
        "@type": "DigitalDocument",
        "name": _short(source.name, _MAX_NAME),
        "abstract": _short(source.excerpt, _MAX_ABSTRACT),
        "image": {"@type": "ImageObject", "name": _ICONS.get(suffix, "Source Code")},
    }
    return {"@type": "Claim", "position": number, "appearance": appearance}


def _short(text: str, max_size: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= max_size else f"{line[: max_size - 1].rstrip()}…"

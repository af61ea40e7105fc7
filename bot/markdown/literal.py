"""Text that stands in Markdown as it is: what would be read as markup there is escaped."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bot.markdown.addresses import end_of_address, scheme_before

_MARKUP = re.compile(
    r"\\(?=[!-/:-@\[-`{-~])|`|(?<!\s)\*|\*(?!\s|\Z)|\A\*|(?<![^\W_])_|_(?![^\W_])|~(?=~)|(?<=~)~"
    r"|<(?=[A-Za-z/!?])|&(?=#?\w+;)|\](?=\()"
)
"""No opening bracket: an escaped one would begin a formula."""

_FORMULA = re.compile(r"\$[^$]*\$(?!\d)")


def literally(text: str) -> list[str]:
    """The characters of a line, with a backslash before those that need one.

    Addresses stay as they are. What begins with one of them, but within no address, and ends with
    another is read as it is, too.
    """
    places = {match.start() for match in _MARKUP.finditer(text)}
    if _FORMULA.search(text):
        places.update(match.start() for match in re.finditer(r"\$", text))
    places.difference_update(*_addresses(text))
    return [f"\\{each}" if at in places else each for at, each in enumerate(text)]


def _addresses(text: str) -> Iterator[range]:
    for colon in re.finditer("://", text):
        scheme = scheme_before(text[: colon.start()])
        start = colon.start() - len(scheme)
        if scheme:
            yield range(start, end_of_address(text, start))

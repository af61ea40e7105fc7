"""What stands in a prompt beside the question: markers at its beginning, and an address; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bot.adapter_support.quoting import quoted, with_quotes

SOMETHING = r"[^\s\u0000-\u001f\u007f-\u009f]"
"""What a prompt must have, as a regular expression of Python and JavaScript."""

_MARKER = re.compile(r"\s*\|(SESSION|CONTEXT|CONTENT|RAG)\|")
_ADDRESS = re.compile(r"https?://\S+", re.IGNORECASE)
_TITLES = {"CONTEXT": "Context", "CONTENT": "Clipboard"}


@dataclass(frozen=True, slots=True)
class MarkedPrompt:
    """``text``: the question, and before it what was quoted; an address in it is a page to read.

    ``session``: the key; empty: a new session; None: no word of it. ``sites``: domains, where what
    is read has to be. ``needs_page``: the question begins with the address of what it is about.
    """

    text: str
    session: str | None = None
    sites: tuple[str, ...] = ()
    needs_page: bool = False


def read_prompt(prompt: str) -> MarkedPrompt:
    """A marker that has no end is text, and so is whatever follows it."""
    session, quotes, position = None, [], 0
    sites: tuple[str, ...] = ()
    while found := _marker_at(prompt, position):
        name, value, position = found
        if name == "SESSION":
            session = value.strip() if session is None else session
        elif name == "RAG":
            sites = tuple(filter(None, map(str.strip, value.split("|"))))
        elif value.strip():
            quotes.append(quoted(_TITLES[name], value))
    question = prompt[position:].strip()
    needs_page = _ADDRESS.match(question) is not None
    return MarkedPrompt(with_quotes("", *quotes, question), session, sites, needs_page)


def is_blank(text: str) -> bool:
    return re.search(SOMETHING, text) is None


def is_address(text: str) -> bool:
    """Whether the whole text is a web address."""
    return _ADDRESS.fullmatch(text.strip()) is not None


def _marker_at(prompt: str, position: int) -> tuple[str, str, int] | None:
    """The name and value of the marker that begins there, and where it ends.

    Quoted material ends at the last end of its kind: what it holds itself is no marker.
    """
    found = _MARKER.match(prompt, position)
    if not found:
        return None
    name, start, mark = found[1], found.end(), f"|/{found[1]}|"
    end = prompt.rfind(mark, start) if name in _TITLES else prompt.find(mark, start)
    return None if end < 0 else (name, prompt[start:end], end + len(mark))

"""Markdown that can stand in a larger document: nothing open at its end swallows the rest."""

from __future__ import annotations

from markdown_it import MarkdownIt
from markdown_it.token import Token

_END = "parley-contained-end"
_reader = MarkdownIt("commonmark")


def contained(markdown: str) -> str:
    """The text, with a fence closed that is open at its end; quoted if that is not enough.

    For readers of any kind, so HTML counts: a comment without an end hides all that follows.
    """
    text = markdown.rstrip()
    tokens = _reader.parse(f"{text}\n\n# {_END}\n")
    if _ends_outside(tokens):
        return text
    last = tokens[-1]
    if last.type == "fence" and _ends_outside(
        _reader.parse(f"{text}\n{last.markup}\n\n# {_END}\n")
    ):
        return f"{text}\n{last.markup}"
    return quoted(text)


def quoted(text: str) -> str:
    """As a quote, which ends with its last line whatever is in it."""
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines())


def _ends_outside(tokens: list[Token]) -> bool:
    if len(tokens) < 3 or tokens[-1].type != "heading_close":
        return False
    return tokens[-1].level == 0 and tokens[-2].content == _END

"""Code -> its parts with Pygments' short class names, of which the page colours a few."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from itertools import groupby
from time import thread_time
from typing import Any

from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
from pygments.token import STANDARD_TYPES  # type: ignore[import-untyped]
from pygments.util import ClassNotFound  # type: ignore[import-untyped]

from adapters.web.markup.escaping import code

CLASSES = ("c", "k", "kt", "s", "se", "m", "ow", "nb", "nf", "nc", "nd", "nt", "na", "nv",
           "gh", "gi", "gd")  # fmt: skip
"""Comment, keyword, type, string, escape in it, number, operator that is a word; builtin,
function, class, decorator, tag, attribute and variable; heading, and lines that a diff adds and
takes away. All else has no class."""

MAX_COLOURED = 50_000
_MAX_LINE = 1_000
_MAX_SECONDS = 0.1
_LANGUAGE = re.compile(r"[A-Za-z0-9][\w+#.-]{0,20}")
_SHORT = {
    "kt": "kt",
    "bp": "nb",
    "fm": "nf",
    "ne": "nc",
    "no": "nv",
    "vm": "nv",
    "gs": "gh",
    "gu": "gh",
} | {name: name for name in CLASSES}


def language_of(info: str) -> str:
    """The first word of a fence's info, if it can be a language's name; else nothing."""
    match = _LANGUAGE.match(info)
    return match[0] if match else ""


def coloured(text: str, language: str) -> str:
    """Code as HTML, with a ``span`` around each part that has a colour.

    Code that is long, or has a long line, is plain, and so is the rest of what takes long.
    """
    is_long = len(text) > MAX_COLOURED or max(map(len, text.split("\n"))) > _MAX_LINE
    lexer = None if is_long or not language else _lexer(language.lower())
    found, end = [], 0
    for kind, whole in _in_time(lexer.get_tokens(text)) if lexer else ():
        part = whole[: len(text) - end]  # there is a line end more than in the code
        if not text.startswith(part, end):
            return code(text)
        found.append((kind, part))
        end += len(part)
    return "".join(_spans(found)) + code(text[end:])


def _in_time(parts: Iterable[tuple[Any, str]]) -> Iterator[tuple[Any, str]]:
    """Patterns of a language can take a time that grows with the square of the text."""
    end = thread_time() + _MAX_SECONDS
    for part in parts:
        yield part
        if thread_time() > end:
            return


def _spans(parts: Iterable[tuple[Any, str]]) -> Iterator[str]:
    for name, group in groupby(parts, lambda part: _class_of(part[0])):
        html = code("".join(part for _, part in group))
        yield f'<span class="{name}">{html}</span>' if name and html else html


@cache
def _class_of(kind: Any) -> str:
    """That of the kind itself, or of the nearest one above it that has one."""
    while kind.parent is not None:
        if found := _SHORT.get(STANDARD_TYPES.get(kind, ""), ""):
            return found
        kind = kind.parent
    return ""


@lru_cache(maxsize=64)
def _lexer(language: str) -> Any:
    try:
        return get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        return None

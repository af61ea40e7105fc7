"""How sources stand in a prompt, and how an answer names them; pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from bot.source import Source, SourceKind

_INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
_BRACKETS = str.maketrans("[]`", "()'")
_FENCES = re.compile("`{3,}")
_LABELS: dict[SourceKind, str] = {
    "file": "Attached file",
    "page": "Page",
    "feed": "Feed",
    "fact": "Fact base",
}
_NOUNS: dict[SourceKind, str] = {"file": "file", "page": "page", "feed": "feed", "fact": "passage"}
_MARKDOWN = re.compile(r"([\\*_{}<>()#+!|~$&])")
_MAX_TITLE = 80


def plain(name: str) -> str:
    """A name on one line, without brackets and invisible characters."""
    line = " ".join(name.translate(_BRACKETS).split())
    visible = "".join(each for each in line if unicodedata.category(each) not in _INVISIBLE)
    return visible.strip()


def in_prompt(source: Source) -> str:
    """Between fences that are longer than any in it, so that it cannot seem to end there."""
    longest = max(map(len, _FENCES.findall(source.excerpt)), default=0)
    fence = "`" * max(3, longest + 1)
    rest = f"\n[The rest of the {_NOUNS[source.kind]} is left out.]" if source.is_cut else ""
    return f"[{_label(source)}]\n{fence}\n{source.excerpt}\n{fence}{rest}"


def with_sources(text: str, sources: Iterable[Source]) -> str:
    """A question, and below it what it is to be answered from."""
    return "\n\n".join(filter(None, (text, *map(in_prompt, sources))))


def credit(sources: Sequence[Source]) -> str:
    """The line of Markdown that names what was gathered, each once; empty if nothing was."""
    named = ", ".join(dict.fromkeys(_credited(each) for each in sources if each.is_gathered))
    return f"Sources: {named}" if named else ""


def _label(source: Source) -> str:
    name = " › ".join(filter(None, map(plain, (source.name, *source.heading))))
    return f"{_LABELS[source.kind]}: {', '.join(filter(None, (name, plain(source.address))))}"


def _credited(source: Source) -> str:
    title = plain(source.title)
    title = title if len(title) <= _MAX_TITLE else f"{title[: _MAX_TITLE - 1].rstrip()}…"
    title = _MARKDOWN.sub(r"\\\1", title)
    return f"[{title}](<{source.address}>)" if source.address else title

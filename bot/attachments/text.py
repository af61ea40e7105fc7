"""How the text of files stands below what a person wrote. Pure."""

from __future__ import annotations

from bot.types import Source

_HEAD = "\n\n[Attached file: "
_CUT = "[The rest of the file is left out.]"


def with_file(above: str, name: str, text: str, *, is_cut: bool) -> str:
    name = " ".join(name.replace("]", ")").split())
    end = f"\n{_CUT}" if is_cut else ""
    return f"{above}{_HEAD}{name}]\n{text.strip()}{end}"


def sources_in(text: str) -> tuple[Source, ...]:
    """The files of which anything was read."""
    files = [each.partition("]\n") for each in f"\n\n{text}".split(_HEAD)[1:]]
    sources = [Source(name, content.removesuffix(_CUT).strip()) for name, _, content in files]
    return tuple(each for each in sources if each.excerpt)

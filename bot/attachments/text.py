"""How the text of files stands below what a person wrote. Pure.

The files of a question never change, what was written may: so the two can be told apart.
"""

from __future__ import annotations

_HEAD = "\n\n[Attached file: "


def with_file(said: str, name: str, text: str, *, is_cut: bool) -> str:
    name = " ".join(name.replace("]", ")").split())
    end = "\n[The rest of the file is left out.]" if is_cut else ""
    return f"{said}{_HEAD}{name}]\n{text.strip()}{end}"


def said_in(text: str) -> str:
    """What the person wrote."""
    return text.partition(_HEAD)[0]


def with_said(text: str, said: str) -> str:
    """The same files below other words."""
    _, head, files = text.partition(_HEAD)
    return f"{said}{head}{files}"

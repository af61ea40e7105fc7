"""How a model writes the calls of tools, and the grammars that hold it to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

Literal = tuple[int | str, ...]
"""A text; what is a token of its own in the vocabulary stands in it as that token."""


@dataclass(frozen=True, slots=True)
class CallSyntax:
    """The text around the names and the arguments of calls.

    A reply with calls is ``begins opens NAME arguments ARGUMENTS``, for each further call ``next
    NAME arguments ARGUMENTS``, and ``closes``. ``begins`` tells a call from text before it; if it
    is empty, a reply with a call has no text. If ``next`` is empty, it has one call.
    Reasoning ends with ``thought``; it begins with ``thinks``, or with the reply if that is empty.
    """

    begins: Literal
    opens: Literal
    arguments: Literal
    next: Literal
    closes: Literal
    thinks: Literal = ()
    thought: Literal = ()

    def in_tokens(self, split: Callable[[str], Literal]) -> CallSyntax:
        """With ``split`` applied to every text."""
        split_up = {
            each.name: tuple(
                part
                for text in getattr(self, each.name)
                for part in (split(text) if isinstance(text, str) else (text,))
            )
            for each in fields(self)
        }
        return replace(self, **split_up)

    def marks(self) -> dict[int, bytes]:
        """Tokens around calls, each with bytes that no text has."""
        around = (*self.begins, *self.opens, *self.arguments, *self.next, *self.closes)
        return {part: _mark(part) for part in around if isinstance(part, int)}


def as_bytes(literal: Literal) -> bytes:
    return b"".join(p.encode() if isinstance(p, str) else _mark(p) for p in literal)


def _mark(token: int) -> bytes:
    return b"\xfe%d\xfe" % token


@dataclass(frozen=True, slots=True)
class CallGrammar:
    """Grammars of llguidance, of which one takes over where another has come to its end.

    ``first`` is free text up to a call's arguments; where it has captured the ``name`` of a tool,
    that tool's grammar follows, and so on. So no grammar knows the schema of more than one tool.
    """

    first: str
    tools: tuple[tuple[str, str], ...]


AnyGrammar = str | CallGrammar

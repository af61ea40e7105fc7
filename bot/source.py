"""What an answer is made from, beside what the model knows: frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SourceKind = Literal["file", "page", "feed", "fact"]


@dataclass(frozen=True, slots=True)
class Source:
    """What a reply is made from; ``excerpt``: the part of its text in the prompt.

    A file that came with the question, a page or feed that was read, or a passage of a fact base,
    whose ``name`` is its document's path, and ``heading`` the headings above it, outermost first.
    ``address``: where a page or feed is. ``is_cut``: there is more of it, which is left out.
    """

    name: str
    excerpt: str
    is_cut: bool = False
    kind: SourceKind = "file"
    address: str = ""
    heading: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """From JSON, a heading is a list."""
        object.__setattr__(self, "heading", tuple(self.heading))

    @property
    def is_gathered(self) -> bool:
        """It did not come along with the question."""
        return self.kind != "file"

    @property
    def title(self) -> str:
        """For people: a page's own or its address, a document with the headings."""
        return " › ".join((self.name or self.address, *self.heading))


@dataclass(frozen=True, slots=True)
class KnownSource:
    """A page or feed that a personality may read without being given its address.

    ``about``: what is found there, as the model is told it. ``triggers``: words of a question for
    which it is read where the model does not choose it.
    """

    name: str
    address: str
    kind: Literal["page", "feed"]
    about: str = ""
    triggers: tuple[str, ...] = ()

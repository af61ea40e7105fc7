"""What is read, and what it becomes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class DocumentKind(StrEnum):
    """What the child can read."""

    TEXT = "text"
    PDF = "pdf"
    DOCX = "docx"
    HTML = "html"
    FEED = "feed"


@dataclass(frozen=True, slots=True)
class Document:
    """``text``: Markdown, where the document has a structure. ``title``: empty if it names none."""

    text: str
    title: str = ""

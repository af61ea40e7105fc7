"""Which files are read, by name and media type, and how large they may be. Pure."""

from __future__ import annotations

from enum import StrEnum
from pathlib import PurePosixPath

from bot.types import Attachment

MAX_FILES = 4
MAX_CHARACTERS = 24_000
"""Of all files of one question together; what is beyond is cut off, and that is said."""

_TEXT_MEDIA = ("application/json", "application/xml", "application/yaml", "application/toml")
_TEXT_NAMES = """
    .adoc .bat .c .cc .cfg .conf .cpp .cs .css .csv .diff .env .ex .go .gradle .h .hpp .html .ini
    .java .js .json .jsonl .jsx .kt .kts .less .log .lua .make .md .mjs .patch .php .pl .properties
    .ps1 .py .r .rb .rs .rst .sass .scala .scss .sh .sql .srt .svelte .swift .tex .tf .toml .ts
    .tsv .tsx .txt .vue .xml .yaml .yml .zig
"""


class Kind(StrEnum):
    TEXT = "text"
    PDF = "pdf"
    IMAGE = "image"
    OTHER = "other"


MAX_SIZES = {Kind.TEXT: 1024 * 1024, Kind.PDF: 8 * 1024 * 1024}
"""Bytes; kinds that are not here are not read."""


def kind_of(attachment: Attachment) -> Kind:
    """The name counts before the media type, which platforms guess."""
    media = attachment.media_type.partition(";")[0].strip().lower()
    suffix = PurePosixPath(attachment.name.lower()).suffix
    if suffix == ".pdf" or media == "application/pdf":
        return Kind.PDF
    if (
        (suffix and suffix in _TEXT_NAMES.split())
        or media.startswith("text/")
        or media in _TEXT_MEDIA
    ):
        return Kind.TEXT
    return Kind.IMAGE if media.startswith("image/") else Kind.OTHER


def refusal(attachment: Attachment) -> str | None:
    """Why this file is not read, in one sentence; None if it is."""
    kind, name = kind_of(attachment), attachment.name
    if kind is Kind.IMAGE:
        return "I cannot see images; please describe in words what matters."
    if kind not in MAX_SIZES:
        return f"I cannot read {name}: I read text, code, CSV and PDF files."
    if attachment.size > MAX_SIZES[kind]:
        return f"{name} is too large for me: at most {MAX_SIZES[kind] // 1024**2} MB, please."
    return None

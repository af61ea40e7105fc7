"""The files of one question become text: which are read, how large, and how they are shown."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from bot.capabilities import FetchesFiles
from bot.citations import plain
from bot.documents.document import DocumentKind
from bot.documents.reader import DocumentReader, Unreadable
from bot.documents.unread import WhyUnread
from bot.errors import FileRefused, PlatformError
from bot.source import Source
from bot.types import Attachment

MAX_FILES = 4
MAX_CHARACTERS = 24_000
"""Of all files of one question together; the rest is cut off, with a note."""

_UNMARKED = re.compile(r"[^\W_](?:[ .\-()]{0,2}[^\W_])*")


class FileKind(StrEnum):
    """``DOCUMENT``: what a word processor can save in a format that is read."""

    TEXT = "text"
    PDF = "pdf"
    DOCX = "docx"
    DOCUMENT = "document"
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    OTHER = "other"


_NAMES = {
    FileKind.PDF: ".pdf",
    FileKind.DOCX: ".docx .docm .dotx .dotm",
    FileKind.DOCUMENT: ".doc .dot .rtf .odt .ott .pages .wps .wpd",
    FileKind.TEXT: """
        .adoc .bat .c .cc .cfg .conf .cpp .cs .css .csv .diff .env .ex .go .gradle .h .hpp .html
        .ini .java .js .json .jsonl .jsx .kt .kts .less .log .lua .make .md .mjs .patch .php .pl
        .properties .ps1 .py .r .rb .rs .rst .sass .scala .scss .sh .sql .srt .svelte .swift .tex
        .tf .toml .ts .tsv .tsx .txt .vue .xml .yaml .yml .zig
    """,
}
_MEDIA: dict[FileKind, tuple[str, ...]] = {
    FileKind.PDF: ("application/pdf",),
    FileKind.DOCX: (
        "application/vnd.openxmlformats-officedocument.wordprocessingml.",
        "application/vnd.ms-word.document.macroenabled.",
    ),
    FileKind.DOCUMENT: (
        *("application/msword", "application/rtf", "text/rtf"),
        "application/vnd.oasis.opendocument.text",
    ),
    FileKind.TEXT: (
        *("text/", "application/json", "application/xml", "application/yaml"),
        "application/toml",
    ),
    FileKind.IMAGE: ("image/",),
    FileKind.AUDIO: ("audio/",),
    FileKind.VIDEO: ("video/",),
}

_OTHER_FORMAT = "I cannot read the format of {names}; please save it as .docx or PDF."
_DECLINED = {
    FileKind.DOCUMENT: _OTHER_FORMAT,
    FileKind.IMAGE: "I cannot see images ({names}); please describe in words what matters.",
    FileKind.AUDIO: "I cannot listen to recordings ({names}); please write what is said.",
    FileKind.VIDEO: "I cannot watch videos ({names}); please describe in words what matters.",
}

_MEGABYTE = 1024 * 1024
MAX_SIZES = {
    FileKind.TEXT: _MEGABYTE,
    FileKind.PDF: 8 * _MEGABYTE,
    FileKind.DOCX: 8 * _MEGABYTE,
}
"""Bytes; files of other kinds are not read."""


def kind_of(attachment: Attachment) -> FileKind:
    """By the name first, then by the media type, which platforms guess."""
    suffix = PurePosixPath(attachment.name.lower()).suffix
    media = attachment.media_type.strip().lower()
    by_name = (kind for kind, names in _NAMES.items() if suffix and suffix in names.split())
    by_media = (kind for kind, types in _MEDIA.items() if media.startswith(types))
    return next(by_name, None) or next(by_media, FileKind.OTHER)


def file_name(name: str) -> str:
    """As it stands in prompts."""
    return plain(name) or "file"


def in_words(name: str) -> str:
    """The name within a sentence, as code where Markdown would read more into it."""
    name = file_name(name)
    return name if _UNMARKED.fullmatch(name) else f"`{name}`"


def refusal(attachment: Attachment, beside: Sequence[Attachment] = ()) -> str | None:
    """Why this file is not read, in one sentence; None if it is.

    Of what Parley declines by its kind, the sentence names all files ``beside`` it as well.
    """
    kind, name = kind_of(attachment), in_words(attachment.name)
    if kind in _DECLINED:
        alike = [file for file in beside or (attachment,) if kind_of(file) is kind]
        names = ", ".join(dict.fromkeys(in_words(file.name) for file in alike))
        return _DECLINED[kind].format(names=names)
    if kind not in MAX_SIZES:
        return f"I cannot read {name}: I read text, code, CSV, PDF and DOCX files."
    if attachment.size > MAX_SIZES[kind]:
        return f"{name} is too large for me: at most {MAX_SIZES[kind] // _MEGABYTE} MB, please."
    return None


_WHY = {
    WhyUnread.EMPTY: "{name} is empty.",
    WhyUnread.LOCKED: "{name} is locked with a password; please attach a copy without one.",
    WhyUnread.ONLY_PICTURES: "{name} holds only pictures, which I cannot see, and no text.",
    WhyUnread.NO_TEXT: "{name} holds no text that I can read.",
    WhyUnread.OTHER_FORMAT: _OTHER_FORMAT.replace("{names}", "{name}"),
    WhyUnread.TOO_MUCH: "{name} takes too much to read; please attach the part that matters.",
}


def why_unread(error: Unreadable, name: str, kind: FileKind) -> str:
    """Why the file of that ``name`` gives no text, in one sentence."""
    if error.why is not None:
        return _WHY[error.why].format(name=name)
    if kind is FileKind.DOCX:
        return f"{name} is damaged or no Word document; please save it anew as .docx or PDF."
    return f"I cannot read {name}: it holds no {kind.value} that I understand."


logger = logging.getLogger(__name__)

NOT_HERE = "I cannot read files on this platform; please write your question as text."


@dataclass(frozen=True, slots=True)
class Read:
    """``refusals``: a sentence for each reason why something was not read.

    ``num_refused``: the files of which nothing was.
    """

    files: tuple[Source, ...] = ()
    num_refused: int = 0
    refusals: tuple[str, ...] = ()


class Attachments:
    def __init__(self, reader: DocumentReader | None = None) -> None:
        self._reader = reader or DocumentReader()

    def why_none(
        self, fetches: FetchesFiles | None, files: tuple[Attachment, ...]
    ) -> tuple[str, ...]:
        """Why not one of these files can be read; empty if some may be. Nothing is fetched."""
        if not files:
            return ()
        if fetches is None:
            return (NOT_HERE,)
        first = files[:MAX_FILES]
        refusals = [refusal(file, first) for file in first]
        return tuple(dict.fromkeys(filter(None, refusals))) if all(refusals) else ()

    async def read(self, fetches: FetchesFiles | None, files: tuple[Attachment, ...]) -> Read:
        """Never fails: a file that cannot be read becomes a refusal.

        ``fetches``: None on a platform whose files cannot be had.
        """
        if fetches is None:
            return Read((), len(files), self.why_none(None, files))
        sources, room, refusals = list[Source](), MAX_CHARACTERS, list[str]()
        for file in (first := files[:MAX_FILES]):
            read = refusal(file, first) or await self._read_one(fetches, file, room)
            if isinstance(read, str):
                refusals.append(read)
            else:
                sources.append(read)
                room -= len(read.excerpt)
                refusals += [_cut_sentence(file, read)] if read.is_cut else []
        if len(files) > MAX_FILES:
            refusals.append(f"I read the first {MAX_FILES} files only.")
        num_refused = len(files) - len(sources)
        return Read(tuple(sources), num_refused, tuple(dict.fromkeys(refusals)))

    async def _read_one(self, fetches: FetchesFiles, file: Attachment, room: int) -> Source | str:
        """The file, of which one character more than ``room`` tells of a cut; or why not."""
        kind, name = kind_of(file), in_words(file.name)
        if not room:
            return f"{name} is left out: the files before it are as much as I can read."
        try:
            data = await fetches.fetch(file, MAX_SIZES[kind])
            text = (await self._reader.read(data, DocumentKind(kind), room + 1)).text
        except FileRefused as error:
            return f"{name} could not be fetched: {error.why}"
        except PlatformError as error:
            logger.info("an attachment could not be fetched: %s", error)
            return f"{name} could not be fetched; please attach it again."
        except Unreadable as error:
            return why_unread(error, name, kind)
        return Source(file_name(file.name), text[:room].strip("\r\n"), is_cut=len(text) > room)


def _cut_sentence(file: Attachment, read: Source) -> str:
    return f"I read the first {len(read.excerpt):,} characters of {in_words(file.name)} only."

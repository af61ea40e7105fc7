"""Attachments: the files of one question become text."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from bot.attachments.kinds import MAX_CHARACTERS, MAX_FILES, MAX_SIZES, kind_of, refusal
from bot.attachments.reader import FileReader, Unreadable
from bot.attachments.text import with_file
from bot.errors import PlatformError
from bot.ports import Adapter, Capabilities, FetchesFiles
from bot.types import Attachment

logger = logging.getLogger(__name__)

NOT_HERE = "I cannot read files on this platform; please write your question as text."


@dataclass(frozen=True, slots=True)
class Read:
    """``text`` of ``num_files``; ``refusals``: a sentence for each that was not read."""

    text: str = ""
    num_files: int = 0
    refusals: tuple[str, ...] = ()


class Attachments:
    def __init__(self, reader: FileReader | None = None) -> None:
        self._reader = reader or FileReader()

    def why_none(self, adapter: Adapter, files: tuple[Attachment, ...]) -> tuple[str, ...]:
        """Why not one of these files can be read; empty if some may be. Nothing is fetched."""
        if not files:
            return ()
        if Capabilities.of(adapter).files is None:
            return (NOT_HERE,)
        refusals = [refusal(file) for file in files[:MAX_FILES]]
        return tuple(dict.fromkeys(filter(None, refusals))) if all(refusals) else ()

    async def read(self, adapter: Adapter, files: tuple[Attachment, ...]) -> Read:
        """Never fails: what cannot be read is said."""
        if not (fetches := Capabilities.of(adapter).files):
            return Read(refusals=self.why_none(adapter, files))
        text, num_files, room, refusals = "", 0, MAX_CHARACTERS, list[str]()
        for file in files[:MAX_FILES]:
            why, content = await self._read_one(fetches, file, room)
            if why:
                refusals.append(why)
                continue
            text = with_file(text, file.name, content[:room], is_cut=len(content) > room)
            num_files += 1
            room = max(0, room - len(content))
        if len(files) > MAX_FILES:
            refusals.append(f"I read the first {MAX_FILES} files only.")
        return Read(text, num_files, tuple(dict.fromkeys(refusals)))

    async def _read_one(
        self, fetches: FetchesFiles, file: Attachment, room: int
    ) -> tuple[str | None, str]:
        """Why not, or the text; one character more than there is room for tells of a cut."""
        if why := refusal(file):
            return why, ""
        kind = kind_of(file)
        try:
            data = await fetches.fetch(file, MAX_SIZES[kind])
            return None, await self._reader.read(data, kind, room + 1)
        except PlatformError as error:
            logger.info("an attachment could not be fetched: %s", error)
            return f"{file.name} could not be fetched; please attach it again.", ""
        except Unreadable:
            return f"I cannot read {file.name}: it holds no {kind.value} that I understand.", ""

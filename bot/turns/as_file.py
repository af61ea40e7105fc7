"""A very long answer: its beginning as a message, all of it as a file."""

from __future__ import annotations

import logging

from bot.errors import PlatformError
from bot.markup import Layout, next_part
from bot.ports import Adapter, EndsAsFile
from bot.types import Label, Place

logger = logging.getLogger(__name__)

FILE_NAME = "answer.md"
NOTE = "_(the whole answer is in the file below)_"


def beginning(adapter: Adapter, markdown: str) -> str | None:
    """What stands in the message, if the rest is to be a file; else None."""
    if not isinstance(adapter, EndsAsFile) or not adapter.file_above:
        return None
    size = adapter.limits.max_size
    if len(Layout(adapter.render, size).parts(markdown)) <= adapter.file_above:
        return None

    def size_with_note(text: str) -> int:
        return len(adapter.render(f"{text}\n\n{NOTE}"))

    first = next_part(markdown, 0, None, size_with_note, size)
    return f"{first.text}\n\n{NOTE}" if first else None


async def post_file(adapter: Adapter, place: Place, markdown: str, label: Label) -> str | None:
    """The id of its message; without it the beginning still stands."""
    if not isinstance(adapter, EndsAsFile):
        return None
    try:
        return await adapter.post_file(place, FILE_NAME, markdown.encode(), label)
    except PlatformError as error:
        logger.warning("a long answer could not be attached: %s", error)
        return None

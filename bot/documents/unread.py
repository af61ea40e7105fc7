"""Why a file gives no text, as the process that reads it says to the one that asked."""

from __future__ import annotations

from enum import IntEnum


class WhyUnread(IntEnum):
    """The exit code of the process."""

    EMPTY = 10
    LOCKED = 11
    ONLY_PICTURES = 12
    NO_TEXT = 13
    OTHER_FORMAT = 14
    TOO_MUCH = 15


class NothingRead(Exception):
    def __init__(self, why: WhyUnread) -> None:
        super().__init__(why.name)
        self.why = why

"""What is still to be read for a question, as it stands in its row."""

from __future__ import annotations

import json
from dataclasses import asdict

from bot.types import Attachment, Unread


def dump(unread: Unread) -> str | None:
    return json.dumps(asdict(unread)) if unread else None


def load(text: str | None) -> Unread:
    if text is None:
        return Unread()
    found = json.loads(text)
    return Unread(tuple(Attachment(**each) for each in found["attachments"]), found["earlier"])

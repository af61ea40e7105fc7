"""Buttons: which of our messages shows which, so that an edit brings Stop back on a retry."""

from __future__ import annotations

from collections import OrderedDict

from adapters.discord.controls import Json, when_ended, while_growing
from bot.types import Label, Place

_MAX_MESSAGES = 10_000


class Buttons:
    """A message that is not known was posted by an earlier process; it is edited as if ended."""

    def __init__(self) -> None:
        self._growing: OrderedDict[str, Label] = OrderedDict()
        self._ended: OrderedDict[str, Label] = OrderedDict()

    def posted(self, message_id: str, label: Label) -> None:
        if not label.is_notice:
            _put(self._growing, message_id, label)

    def for_edit(self, place: Place, message_id: str) -> list[Json] | None:
        """None: what is there stays."""
        if message_id in self._growing:
            return None
        label = self._ended.pop(message_id, Label("", 0))
        _put(self._growing, message_id, label)
        return while_growing(place.thread, label)

    def for_end(self, place: Place, message_id: str, label: Label, *, is_last: bool) -> list[Json]:
        """Only the newest message of a reply offers what comes after."""
        self._growing.pop(message_id, None)
        _put(self._ended, message_id, label)
        return when_ended(place.thread, label.turn_id, label.part) if is_last else []


def _put(store: OrderedDict[str, Label], key: str, label: Label) -> None:
    store[key] = label
    if len(store) > _MAX_MESSAGES:
        store.popitem(last=False)

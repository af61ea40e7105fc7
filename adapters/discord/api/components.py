"""Message components: buttons, menus and forms, and the custom ids that they carry.

A custom id holds all that is needed to act on it, so that a button works after a restart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.discord.api.recent import Recent
from bot.adapter_support.payloads import Json
from bot.types import Label, Personality, Place, ReplyEnd

_ROW, _BUTTON, _SELECT, _INPUT = 1, 2, 3, 4
_GREY, _RED = 2, 4
MAX_CHOICES = 25
"""Discord's limit on the choices of a menu and of an autocompletion."""
_MARK = "parley"
_SEPARATOR = "|"
_MAX_MESSAGES = 10_000


@dataclass(frozen=True, slots=True)
class CustomId:
    """``verb``: ``stop``, ``continue``, ``retry``, ``up``, ``down``, ``pick``, ``page``, ``choose``
    or ``ask``.

    ``part``: of the reply; with ``page`` the index of the page, from 0. Of ``ask``: ``thread`` is
    ``private`` or empty, ``turn_id`` the personality.
    """

    verb: str
    thread: str = ""
    turn_id: str = ""
    part: int = 0

    def __str__(self) -> str:
        return _SEPARATOR.join((_MARK, self.verb, self.thread, self.turn_id, str(self.part)))


NO_CUSTOM_ID = CustomId("")


def parse_custom_id(text: object) -> CustomId | None:
    parts = text.split(_SEPARATOR) if isinstance(text, str) else []
    if len(parts) != 5 or parts[0] != _MARK or not parts[4].isdigit():
        return None
    return CustomId(parts[1], parts[2], parts[3], int(parts[4]))


def while_growing(thread: str, label: Label) -> list[Json]:
    stop = CustomId("stop", thread, label.turn_id, label.part)
    return [_row([_button("Stop", stop, _RED)])]


def when_ended(thread: str, label: Label, end: ReplyEnd | None) -> list[Json]:
    """``end``: of the last message of a reply; None for one that others follow."""
    if end is None:
        return []
    verbs = {"continue": "Continue"} if end.can_continue else {}
    verbs |= {"retry": "Retry", "pick": "Personality…", "up": "👍", "down": "👎"}
    ids = {
        title: CustomId(verb, thread, label.turn_id, label.part) for verb, title in verbs.items()
    }
    return [_row([_button(title, custom_id, _GREY) for title, custom_id in ids.items()])]


def picker(thread: str, personalities: Sequence[Personality], page: int = 0) -> list[Json]:
    """Discord's menus hold 25 choices: more are on further pages."""
    num_pages = max(1, -(-len(personalities) // MAX_CHOICES))
    page = min(page, num_pages - 1)
    shown = personalities[page * MAX_CHOICES :][:MAX_CHOICES]
    choose = str(CustomId("choose", thread))
    menu = {"type": _SELECT, "custom_id": choose, "options": list(map(_option, shown))}
    return [_row([menu]), *_pages(thread, page, num_pages)]


def _option(personality: Personality) -> Json:
    named = {"label": personality.title[:100], "value": personality.name[:100]}
    description = personality.description[:100]
    return {**named, "description": description} if description else named


def _pages(thread: str, page: int, num_pages: int) -> list[Json]:
    """Buttons to the previous and the next page, as far as there are any."""
    neighbours = {page - 1: f"◀ Page {page}", page + 1: f"Page {page + 2} ▶"}
    buttons = [
        _button(label, CustomId("page", thread, part=to), _GREY)
        for to, label in neighbours.items()
        if 0 <= to < num_pages
    ]
    return [_row(buttons)] if buttons else []


def question_form(personality: str, *, private: bool) -> Json:
    """The modal for a long question."""
    field = {
        "type": _INPUT,
        "custom_id": "question",
        "style": 2,
        "label": "Your question",
        "min_length": 1,
        "max_length": 4000,
        "required": True,
    }
    form = CustomId("ask", "private" if private else "", personality)
    return {
        "title": "Ask Parley",
        "custom_id": str(form),
        "components": [_row([field])],
    }


def label_in(message: Mapping[str, Any]) -> Label | None:
    """The label of one of Parley's posts, from its buttons."""
    for row in message.get("components") or ():
        for part in (row.get("components") or ()) if isinstance(row, Mapping) else ():
            custom_id = (
                parse_custom_id(part.get("custom_id")) if isinstance(part, Mapping) else None
            )
            if custom_id and custom_id.turn_id:
                return Label(custom_id.turn_id, custom_id.part)
    return None


def _row(components: list[Json]) -> Json:
    return {"type": _ROW, "components": components}


def _button(label: str, custom_id: CustomId, style: int) -> Json:
    return {"type": _BUTTON, "style": style, "label": label, "custom_id": str(custom_id)}


class Buttons:
    """The buttons of each message of a reply, so that Stop comes back when it is answered again.

    An unknown message was posted by an earlier process; it grows as if its reply had ended.
    """

    def __init__(self) -> None:
        self._growing: Recent[str, Label] = Recent(_MAX_MESSAGES)
        self._ended: Recent[str, Label] = Recent(_MAX_MESSAGES)

    def begun(self, message_id: str, label: Label) -> None:
        self._growing[message_id] = label

    def for_growth(self, place: Place, message_id: str) -> list[Json] | None:
        """None: the buttons stay as they are."""
        if message_id in self._growing:
            return None
        label = self._ended.get(message_id, Label("", 0))
        return while_growing(place.thread, label)

    def grown(self, message_id: str) -> None:
        self._growing[message_id] = self._ended.pop(message_id, Label("", 0))

    def ended(self, message_id: str, label: Label) -> None:
        self._growing.pop(message_id, None)
        self._ended[message_id] = label

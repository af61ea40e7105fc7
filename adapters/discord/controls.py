"""Buttons and menus as Discord describes them, and what a press of one means. Pure.

A button's id says all that is needed to act on it, so that it works after a restart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.types import Label, Personality

Json = dict[str, Any]

_ROW, _BUTTON, _SELECT, _INPUT = 1, 2, 3, 4
_GREY, _RED = 2, 4
MAX_CHOICES = 25
"""What Discord takes of choices, in a menu and to complete what is typed."""
_MARK = "parley"
_SEPARATOR = "|"


@dataclass(frozen=True, slots=True)
class Pressed:
    """``verb``: ``stop``, ``retry``, ``pick``, ``page``, ``choose`` or ``ask``.

    ``part``: of the reply; of ``page`` the number of the page, from 0.
    """

    verb: str
    thread: str = ""
    turn_id: str = ""
    part: int = 0


NOT_PRESSED = Pressed("")


def custom_id(pressed: Pressed) -> str:
    parts = (_MARK, pressed.verb, pressed.thread, pressed.turn_id, str(pressed.part))
    return _SEPARATOR.join(parts)


def read_custom_id(text: object) -> Pressed | None:
    parts = text.split(_SEPARATOR) if isinstance(text, str) else []
    if len(parts) != 5 or parts[0] != _MARK or not parts[4].isdigit():
        return None
    return Pressed(parts[1], parts[2], parts[3], int(parts[4]))


def while_growing(thread: str, label: Label) -> list[Json]:
    stop = Pressed("stop", thread, label.turn_id, label.part)
    return [_row([_button("Stop", stop, _RED)])]


def when_ended(thread: str, turn_id: str, part: int) -> list[Json]:
    retry = Pressed("retry", thread, turn_id, part)
    pick = Pressed("pick", thread, turn_id, part)
    return [_row([_button("Retry", retry, _GREY), _button("Personality…", pick, _GREY)])]


def picker(thread: str, personalities: Sequence[Personality], page: int = 0) -> list[Json]:
    """Discord's menus hold 25 choices: more are on further pages."""
    num_pages = max(1, -(-len(personalities) // MAX_CHOICES))
    page = min(page, num_pages - 1)
    shown = personalities[page * MAX_CHOICES :][:MAX_CHOICES]
    choose = custom_id(Pressed("choose", thread))
    menu = {"type": _SELECT, "custom_id": choose, "options": list(map(_option, shown))}
    return [_row([menu]), *_pages(thread, page, num_pages)]


def _option(personality: Personality) -> Json:
    named = {"label": personality.title[:100], "value": personality.name[:100]}
    description = personality.description[:100]
    return {**named, "description": description} if description else named


def _pages(thread: str, page: int, num_pages: int) -> list[Json]:
    """The way to the neighbours that there are."""
    neighbours = {page - 1: f"◀ Page {page}", page + 1: f"Page {page + 2} ▶"}
    buttons = [
        _button(label, Pressed("page", thread, part=to), _GREY)
        for to, label in neighbours.items()
        if 0 <= to < num_pages
    ]
    return [_row(buttons)] if buttons else []


def question_form(personality: str, *, private: bool) -> Json:
    """The window for a long question."""
    field = {
        "type": _INPUT,
        "custom_id": "question",
        "style": 2,
        "label": "Your question",
        "min_length": 1,
        "max_length": 4000,
        "required": True,
    }
    form = Pressed("ask", "private" if private else "", personality)
    return {
        "title": "Ask Parley",
        "custom_id": custom_id(form),
        "components": [_row([field])],
    }


def label_in(message: Mapping[str, Any]) -> Label | None:
    """The label of one of our posts, as its buttons carry it."""
    for row in message.get("components") or ():
        for part in (row.get("components") or ()) if isinstance(row, Mapping) else ():
            pressed = read_custom_id(part.get("custom_id")) if isinstance(part, Mapping) else None
            if pressed and pressed.turn_id:
                return Label(pressed.turn_id, pressed.part)
    return None


def _row(components: list[Json]) -> Json:
    return {"type": _ROW, "components": components}


def _button(label: str, pressed: Pressed, style: int) -> Json:
    return {"type": _BUTTON, "style": style, "label": label, "custom_id": custom_id(pressed)}

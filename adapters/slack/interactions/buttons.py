"""Buttons and menus under what Parley says, as Slack's blocks. Pure.

An action id is ``parley.VERB``, with a number where one block holds several. The id of its block
names the thread. So all that is needed to act on a press is in it, after a restart, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from bot.adapter_support.payloads import Json
from bot.types import Choice, Personality, ReplyEnd

MAX_SECTION = 3000
"""Characters of a text that has a block of its own."""

MAX_BLOCKS = 12_000
"""Characters of all blocks of a message, written as JSON; Slack refuses some more of them."""

_MARK = "parley"
_MENU_ROOM = MAX_BLOCKS // 2
_MAX_BUTTONS, _MAX_OPTIONS = 25, 100
_MAX_TITLE, _MAX_OPTION, _MAX_VALUE = 75, 75, 2000


def verb_of(action_id: str) -> str:
    """Empty for an action that is none of Parley's."""
    mark, _, rest = action_id.partition(".")
    return rest.partition(".")[0] if mark == _MARK else ""


def thread_of(block_id: str) -> str | None:
    """The thread that a block of buttons belongs to; None if it does not say so."""
    mark, _, thread = block_id.partition("|")
    return thread if mark == _MARK else None


def while_growing(text: str, thread: str) -> list[Json]:
    stop = _button("Stop", "stop") | {"style": "danger"}
    return _under(text, _row(thread, [stop]))


def when_ended(text: str, thread: str, turn_id: str, end: ReplyEnd | None) -> list[Json]:
    """``end``: of the last message of a reply; None for one that others follow.

    Also a text without buttons has a block: an edit of plain text would be marked as edited.
    """
    return _under(text, *after_reply(thread, turn_id, end))


def after_reply(thread: str, turn_id: str, end: ReplyEnd | None) -> list[Json]:
    """What can be done with a reply that has ended."""
    if end is None:
        return []
    buttons = [
        _button("Retry", "retry", turn_id),
        _button("Personality…", "personality", turn_id),
        _button("👍", "up", turn_id),
        _button("👎", "down", turn_id),
    ]
    more = [_button("Continue", "continue", turn_id)] if end.can_continue else []
    return [_row(thread, [*more, *buttons])]


def when_offering(text: str, thread: str, choices: Sequence[Choice]) -> list[Json]:
    """Buttons for some choices, menus for many. What is too long to be offered is left out."""
    if len(choices) <= _MAX_BUTTONS:
        rows = [_row(thread, list(_says(choices)))]
    else:
        options = [_option(each.title, each.says) for each in choices if _fits(each.says)]
        groups = [options[at:][:_MAX_OPTIONS] for at in range(0, len(options), _MAX_OPTIONS)]
        menus = [_menu("Choose one", group, number) for number, group in enumerate(groups)]
        rows = [_row(thread, menus)]
    return _under(text, *(row for row in rows if row["elements"]))


def personality_menu(
    text: str, thread: str, personalities: Sequence[Personality], page: int = 0
) -> list[Json]:
    """A page holds as many as Slack takes; buttons lead to the others."""
    options = (
        _option(each.title, says, each.description)
        for each in personalities
        if _fits(says := f"personality {each.name}")
    )
    pages = list(_pages(options)) or [[]]
    page = min(max(page, 0), len(pages) - 1)
    elements = [_menu("Choose one", pages[page])] if pages[page] else []
    neighbours = {page - 1: f"◀ Page {page}", page + 1: f"Page {page + 2} ▶"}
    elements += [
        _button(title, f"page.{to}", str(to))
        for to, title in neighbours.items()
        if 0 <= to < len(pages)
    ]
    return _under(text, *([_row(thread, elements)] if elements else []))


def size_of_blocks(blocks: Sequence[Json]) -> int:
    return len(json.dumps(blocks, ensure_ascii=False))


def _under(text: str, *rows: Json) -> list[Json]:
    """Empty where the text is too long for a block: better the whole text than its buttons."""
    if not text.strip() or len(text) > MAX_SECTION:
        return []
    said = {"type": "mrkdwn", "text": text, "verbatim": True}
    return [{"type": "section", "expand": True, "text": said}, *rows]


def _row(thread: str, elements: list[Json]) -> Json:
    return {"type": "actions", "block_id": f"{_MARK}|{thread}", "elements": elements}


def _button(title: str, verb: str, value: str = "") -> Json:
    button: Json = {"type": "button", "action_id": f"{_MARK}.{verb}", "text": _plain(title)}
    return {**button, "value": value} if value else button


def _says(choices: Sequence[Choice]) -> Iterator[Json]:
    for number, each in enumerate(choices):
        if each.title.strip() and 0 < len(each.says) <= _MAX_VALUE:
            yield _button(each.title, f"say.{number}", each.says)


def _menu(title: str, options: list[Json], number: int = 0) -> Json:
    return {
        "type": "static_select",
        "action_id": f"{_MARK}.say.{number}",
        "placeholder": _plain(title),
        "options": options,
    }


def _fits(says: str) -> bool:
    """An option whose title is blank is named by what it says."""
    return bool(says.strip()) and len(says) <= _MAX_OPTION


def _option(title: str, says: str, description: str = "") -> Json:
    option: Json = {"text": _plain(title.strip() or says), "value": says}
    return {**option, "description": _plain(description)} if description.strip() else option


def _plain(text: str) -> Json:
    return {"type": "plain_text", "text": _cut(text), "emoji": True}


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_TITLE else f"{text[: _MAX_TITLE - 1]}…"


def _pages(options: Iterable[Json]) -> Iterator[list[Json]]:
    """Some room is left for the text, and for the buttons."""
    page: list[Json] = []
    room = _MENU_ROOM
    for option in options:
        size = size_of_blocks([option])
        if page and (size > room or len(page) == _MAX_OPTIONS):
            yield page
            page, room = [], _MENU_ROOM
        page.append(option)
        room -= size
    if page:
        yield page

"""What Slack takes as the blocks of a message, and how a press of what is in them is delivered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

MAX_IN_ALL = 13_000  # "about 13,000 characters of blocks give `msg_blocks_too_long`"
MAX_BLOCKS = 50  # "50 blocks"

# "section block 3,000"; the others by the pages of Block Kit's elements.
_TEXTS = {"section": 3000, "button": 75, "option": 75, "placeholder": 150, "description": 75}


def problem_with(blocks: list[Json]) -> str:
    """Slack's error for these blocks, or empty."""
    if len(blocks) > MAX_BLOCKS or any(_problems(blocks)):
        return "invalid_blocks"
    return "msg_blocks_too_long" if _length(blocks) > MAX_IN_ALL else ""


def _length(part: Any) -> int:
    if isinstance(part, dict):
        return sum(len(key) + _length(value) for key, value in part.items())
    return sum(map(_length, part)) if isinstance(part, list) else len(str(part))


def _problems(blocks: list[Json]) -> Iterator[bool]:
    names = [block["block_id"] for block in blocks if "block_id" in block]
    yield len(names) != len(set(names))
    for block in blocks:
        yield len(block.get("block_id", "")) > 255
        match block["type"]:
            case "section":
                yield _is_bad(block["text"], "section")
            case "actions":
                yield from _bad_elements(block["elements"])
            case _:
                yield True


def _bad_elements(elements: list[Json]) -> Iterator[bool]:
    """By the pages of Block Kit: up to 25 elements, 100 options, ids that differ, and so on."""
    ids = [element["action_id"] for element in elements]
    yield not 0 < len(elements) <= 25
    yield len(ids) != len(set(ids))
    for element in elements:
        yield not 0 < len(element["action_id"]) <= 255
        match element["type"]:
            case "button":
                yield _is_bad(element["text"], "button") or len(element.get("value", "")) > 2000
                yield element.get("style", "danger") not in ("danger", "primary")
            case "static_select":
                yield _is_bad(element["placeholder"], "placeholder")
                yield not 0 < len(element["options"]) <= 100
                yield any(map(_is_bad_option, element["options"]))
            case _:
                yield True


def _is_bad_option(option: Json) -> bool:
    described = option.get("description")
    return (
        _is_bad(option["text"], "option")
        or not 0 < len(option["value"]) <= 75
        or (described is not None and _is_bad(described, "description"))
    )


def _is_bad(text: Json, kind: str) -> bool:
    is_plain = text["type"] == ("mrkdwn" if kind == "section" else "plain_text")
    return not is_plain or not 0 < len(text["text"].strip() and text["text"]) <= _TEXTS[kind]


def controls(blocks: list[Json]) -> list[str]:
    """What people read on the buttons, in order; of a menu its options."""
    return [title for title, _, _ in _controls(blocks)]


def pressed(blocks: list[Json], title: str, at: str) -> Json:
    """The entry of ``actions`` in the payload of a press; KeyError if there is no such button."""
    found = {shown: (block, element) for shown, block, element in _controls(blocks)}
    block, element = found[title]
    kept: Json = {
        key: element[key] for key in ("action_id", "type", "value", "text") if key in element
    }
    action: Json = {**kept, "block_id": block.get("block_id", "made-by-slack"), "action_ts": at}
    if element["type"] == "static_select":
        chosen = next(each for each in element["options"] if each["text"]["text"] == title)
        action["selected_option"] = {"text": chosen["text"], "value": chosen["value"]}
    return action


def _controls(blocks: list[Json]) -> Iterator[tuple[str, Json, Json]]:
    for block in blocks:
        for element in block.get("elements", ()):
            if element["type"] == "button":
                yield element["text"]["text"], block, element
            for option in element.get("options", ()):
                yield option["text"]["text"], block, element

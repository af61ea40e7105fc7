"""Adaptive Cards: the buttons under a message, and their presses. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot.adapter_support.payloads import Json
from bot.types import Choice

_KEY, _PICKED = "parley", "picked"
_MAX_BUTTONS = 6
_MAX_TITLE = 80
_CARD = "application/vnd.microsoft.card.adaptive"


@dataclass(frozen=True, slots=True)
class Press:
    """``is_stop``: the reply above the button is to be stopped. ``continues``: the turn whose reply
    is to go on. Else ``says`` is a question.
    """

    says: str = ""
    is_stop: bool = False
    continues: str = ""


def pressed(value: object) -> Press | None:
    """The press of one of our buttons; None for anything else."""
    if not isinstance(value, Mapping) or not isinstance(data := value.get(_KEY), Mapping):
        return None
    if data.get("stop") is True:
        return Press(is_stop=True)
    if isinstance(turn := data.get("continue"), str) and turn:
        return Press(continues=turn)
    says = value.get(_PICKED) if data.get("picks") is True else data.get("says")
    return Press(says) if isinstance(says, str) and says.strip() else None


def stop_card() -> Json:
    return _card([], [_button("Stop", {"stop": True})])


def continue_card(turn_id: str) -> Json:
    return _card([], [_button("Continue", {"continue": turn_id})])


def choices_card(choices: Sequence[Choice]) -> Json:
    """Buttons for a few choices, else a list."""
    if len(choices) <= _MAX_BUTTONS:
        buttons = [_button(each.title, {"says": each.says}) for each in choices]
        return _card([], buttons)
    entries = [{"title": each.title[:_MAX_TITLE], "value": each.says} for each in choices]
    field = {
        "type": "Input.ChoiceSet",
        "id": _PICKED,
        "label": "Choose one",
        "value": entries[0]["value"],
        "choices": entries,
    }
    return _card([field], [_button("OK", {"picks": True})])


def _button(title: str, data: Json) -> Json:
    return {"type": "Action.Submit", "title": title[:_MAX_TITLE], "data": {_KEY: data}}


def _card(body: list[Json], actions: list[Json]) -> Json:
    content = {
        "type": "AdaptiveCard",
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "version": "1.4",
        "body": body,
        "actions": actions,
    }
    return {"contentType": _CARD, "content": content}

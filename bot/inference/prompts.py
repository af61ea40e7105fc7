"""Messages to prompt tokens, and how many of the first ones are the system prompt alone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from bot.inference.core.model import Model
from bot.inference.core.sequence import common_length
from bot.types import ChatMessage

_MAX_KNOWN = 64


class PromptEncoder:
    """Used from one worker only. Remembers the system prompts it met last."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._known: OrderedDict[str | None, list[int]] = OrderedDict()

    def encode(self, messages: Sequence[ChatMessage]) -> tuple[list[int], int]:
        """All tokens, and the number that every prompt with this system prompt begins with."""
        tokens = self._model.encode(messages)
        beginning = self._beginning(messages)
        num_same = common_length(beginning, tokens)
        if num_same < len(beginning):
            del self._known[_system(messages)]  # a template may write the date: a new day
        return tokens, num_same

    def _beginning(self, messages: Sequence[ChatMessage]) -> list[int]:
        """What two prompts with nothing else in common have in common."""
        key = _system(messages)
        system = messages[:1] if key is not None else ()
        if key not in self._known:
            one, other = (self._model.encode([*system, ChatMessage("user", t)]) for t in "1?")
            self._known[key] = one[: common_length(one, other)]
            if len(self._known) > _MAX_KNOWN:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]


def _system(messages: Sequence[ChatMessage]) -> str | None:
    return messages[0].content if messages and messages[0].role == "system" else None

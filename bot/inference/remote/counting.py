"""How many tokens a prompt is, counted by the server where it can, else estimated.

Both err on the safe side: a prompt that is estimated too long loses an old turn, one that is
estimated too short is refused.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from hashlib import blake2b

from bot.types import ChatMessage

CountText = Callable[[str], Awaitable[int | None]]

_FRAME = 32
"""Tokens that a chat template may add by itself: a system prompt where there is none."""

_OVERHEAD = 8
"""Tokens that it puts around a message, at most."""

_LETTERS_PER_TOKEN = 3
_MAX_FACTOR = 4.0
_FIRST_FACTOR = 1.25
_MAX_KNOWN = 8_192
_PIECES = re.compile(r" ?([A-Za-z]+)|([^\S\n]+|[!-~\n])|([^ -~]+)")
"""A word with the blank before it; a run of blanks or one other sign; anything else."""


def estimate(text: str) -> int:
    """Tokens of ``text`` for a tokenizer that knows English: others need fewer for the rest."""
    return sum(map(_tokens_of, _PIECES.finditer(text)))


def _tokens_of(piece: re.Match[str]) -> int:
    letters, sign, foreign = piece.groups()
    if letters:
        return math.ceil(len(letters) / _LETTERS_PER_TOKEN)
    return 1 if sign else len(foreign.encode("utf-8", "replace"))


class TokenCounter:
    """Remembers the messages that it met: a thread that grows costs one count a message.

    ``count_text`` asks the server; None where it has no answer, then a text is estimated.
    """

    def __init__(self, count_text: CountText) -> None:
        self._count_text = count_text
        self._known: OrderedDict[bytes, int] = OrderedDict()
        self.factor = 1.0

    async def count(self, messages: Sequence[ChatMessage]) -> int:
        return math.ceil(self.factor * await self._count(messages))

    async def learn(self, messages: Sequence[ChatMessage], num_tokens: int | None) -> None:
        """The server counts ``num_tokens``; None: nobody knows by how much more than we do."""
        wanted = self.factor * _FIRST_FACTOR
        if num_tokens is not None:
            wanted = num_tokens / await self._count(messages)
        self.factor = min(_MAX_FACTOR, max(self.factor, wanted))

    async def _count(self, messages: Sequence[ChatMessage]) -> int:
        texts = await asyncio.gather(*(self._text(message.content) for message in messages))
        return sum(texts) + _OVERHEAD * len(messages) + _FRAME

    async def _text(self, text: str) -> int:
        key = blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()
        if key not in self._known:
            counted = await self._count_text(text)
            if counted is None:
                return estimate(text)
            self._known[key] = counted
            if len(self._known) > _MAX_KNOWN:
                self._known.popitem(last=False)
        return self._known[key]

"""Counts the tokens of a prompt: the server does if it can, else they are estimated.

Estimates are too high rather than too low: with a high one an old turn is left out, with a low
one the server refuses the prompt.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from hashlib import blake2b

from bot.generation import AnyPrompt, RawPrompt
from bot.inference.remote.tools import text_of

CountText = Callable[[str], Awaitable[int | None]]

_FRAME = 32
"""Tokens that a chat template may add, such as a default system prompt."""

_OVERHEAD = 8
"""Upper bound on the tokens that a template puts around a message."""

_MARKS = 4
"""Upper bound on the tokens around a raw prompt: its beginning, and the gap that is filled."""

_LETTERS_PER_TOKEN = 3
_MAX_FACTOR = 4.0
_FIRST_FACTOR = 1.25
_MAX_KNOWN = 8_192
_PIECES = re.compile(r" ?([A-Za-z]+)|([^\S\n]+|[!-~\n])|([^ -~]+)")
"""A word with the space before it; a run of spaces or one other ASCII sign; anything else."""


def estimate(text: str) -> int:
    """Tokens of ``text`` for an English tokenizer; others need fewer for other languages."""
    return sum(map(_tokens_of, _PIECES.finditer(text)))


def _tokens_of(piece: re.Match[str]) -> int:
    letters, sign, foreign = piece.groups()
    if letters:
        return math.ceil(len(letters) / _LETTERS_PER_TOKEN)
    return 1 if sign else len(foreign.encode("utf-8", "replace"))


class TokenCounter:
    """Counts tokens and caches the result of each message, so a new turn costs one call.

    ``count_text`` asks the server; if it returns None, the text is estimated.
    """

    def __init__(self, count_text: CountText) -> None:
        self._count_text = count_text
        self._known: OrderedDict[bytes, int] = OrderedDict()
        self.factor = 1.0

    async def count(self, prompt: AnyPrompt) -> int:
        return math.ceil(self.factor * await self._count(prompt))

    async def learn(self, prompt: AnyPrompt, num_tokens: int | None) -> None:
        """Raise ``factor`` to the server's count of the prompt; None: by a fixed ratio."""
        wanted = self.factor * _FIRST_FACTOR
        if num_tokens is not None:
            wanted = num_tokens / await self._count(prompt)
        self.factor = min(_MAX_FACTOR, max(self.factor, wanted))

    async def _count(self, prompt: AnyPrompt) -> int:
        if isinstance(prompt, RawPrompt):
            return await self._count_raw(prompt)
        texts = await asyncio.gather(*(self._text(text_of(message)) for message in prompt))
        return sum(texts) + _OVERHEAD * len(prompt) + _FRAME

    async def _count_raw(self, prompt: RawPrompt) -> int:
        parts = [part for part in (prompt.content, prompt.suffix) if part is not None]
        texts = [await self._text(part) if isinstance(part, str) else len(part) for part in parts]
        return sum(texts) + _MARKS

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

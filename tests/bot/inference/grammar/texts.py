"""Random texts that fit a grammar, over a vocabulary that has every byte as a token."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from random import Random

from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper

from bot.inference.grammar.constrained import allowed
from bot.inference.grammar.formats import LIMITS

END = 256
_LONG = 40
"""From so many bytes on a text takes the shortest way out that it finds."""
_TOO_LONG = 1_500
_CLOSING = b'"}]0aZ-@.:/ 1'


class _Bytes:
    """A tokenizer as llguidance reads it."""

    eos_token_id = END
    bos_token_id = None
    special_token_ids = (END,)
    tokens: Sequence[bytes] = [*(bytes([n]) for n in range(256)), b"<end>"]

    def __call__(self, text: str | bytes) -> list[int]:
        return list(text.encode() if isinstance(text, str) else text)


@cache
def _tokenizer() -> LLTokenizer:
    return LLTokenizer(TokenizerWrapper(_Bytes()))


class Texts:
    """The texts that fit a grammar of llguidance; ``hint`` has characters that lead to an end."""

    def __init__(self, grammar: str, hint: str = "") -> None:
        self._matcher = LLMatcher(_tokenizer(), grammar, log_level=0, limits=LIMITS)
        assert not self._matcher.is_error(), self._matcher.get_error()
        self._hint = frozenset(hint.encode()) - frozenset(b"{[,")

    def has(self, text: str) -> bool:
        matcher, data = self._matcher.deep_copy(), list(text.encode())
        return matcher.try_consume_tokens(data) == len(data) and matcher.is_accepting()

    def random(self, seed: int) -> str:
        text = self.found(seed)
        assert text is not None, "the grammar does not end"
        return text

    def found(self, seed: int) -> str | None:
        """None if no text was found: few of those that begin by chance can end."""
        chance = Random(seed)  # noqa: S311 - nothing is kept secret
        tried = (self._random(chance) for _ in range(25))
        return next((text for text in tried if text is not None), None)

    def _random(self, chance: Random) -> str | None:
        """None if no end was found soon."""
        matcher, written = self._matcher.deep_copy(), bytearray()
        while len(written) < _TOO_LONG:
            tokens: list[int] = allowed(matcher).tolist()
            assert tokens, "the grammar leads nowhere"
            token = self._choose(tokens, chance, is_long=len(written) > _LONG)
            if token == END:
                return written.decode()
            assert matcher.consume_token(token), matcher.get_error()
            written.append(token)
        return None

    def _choose(self, tokens: list[int], chance: Random, *, is_long: bool) -> int:
        if END in tokens and (is_long or len(tokens) == 1 or chance.random() < 0.3):
            return END
        tokens = [token for token in tokens if token != END]
        closing = [token for token in tokens if token in _CLOSING]
        if closing and chance.random() < (0.6 if is_long else 0.3):
            return min(closing, key=_CLOSING.index) if is_long else chance.choice(closing)
        hinted = [token for token in tokens if token in self._hint]
        if hinted and chance.random() < 0.6:
            return chance.choice(hinted)
        plain = [token for token in tokens if token < 0x80] or tokens
        return chance.choice(plain if chance.random() < 0.8 else tokens)

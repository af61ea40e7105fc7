"""The port to a model's vocabulary, and the calls that read it off the event loop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from bot.generation import AnyPrompt, ChatMessage, RawPrompt

T = TypeVar("T")


class TextCodec(Protocol):
    """Text to tokens, and back; any thread may call it."""

    def encode(self, messages: Sequence[ChatMessage]) -> list[int]:
        """The tokens of the prompt, in the model's own chat template."""
        ...

    def encode_raw(self, prompt: RawPrompt) -> list[int]:
        """Raises ``UnsupportedOption``."""
        ...

    def texts(self, tokens: Sequence[int]) -> list[bytes]:
        """The bytes of each token, special ones as they are written."""
        ...

    def detokenize(self, tokens: Sequence[int], *, shows_special: bool) -> str: ...


def encoded(codec: TextCodec, prompt: AnyPrompt) -> list[int]:
    if isinstance(prompt, RawPrompt):
        return codec.encode_raw(prompt)
    return codec.encode(prompt)


class Tokenizing(ABC):
    """``bot.ports.Tokenizes``, for whoever can read a vocabulary on another thread."""

    @abstractmethod
    async def read_vocabulary(self, work: Callable[[TextCodec], T]) -> T: ...

    async def count(self, prompt: AnyPrompt) -> int:
        return len(await self.tokenize(prompt))

    async def tokenize(self, prompt: AnyPrompt) -> list[int]:
        return await self.read_vocabulary(lambda codec: encoded(codec, prompt))

    async def texts(self, tokens: Sequence[int]) -> list[bytes]:
        return await self.read_vocabulary(lambda codec: codec.texts(tokens))

    async def detokenize(self, tokens: Sequence[int], *, shows_special: bool = True) -> str:
        return await self.read_vocabulary(
            lambda codec: codec.detokenize(tokens, shows_special=shows_special)
        )

"""Vocabulary: converts text to tokens and tokens to bytes."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import llama_cpp as llama

from bot.inference.chat_template.special_tokens import Special, SpecialTokens
from bot.inference.chat_template.template import ChatTemplate
from bot.inference.output.text import TAG_TOKENS
from bot.types import ChatMessage


class Vocabulary:
    """The vocabulary of one model; read-only, so any thread may use it."""

    def __init__(self, model: Any) -> None:
        self.native = llama.llama_model_get_vocab(model)
        self.num_tokens: int = llama.llama_vocab_n_tokens(self.native)
        self._pieces: dict[int, bytes] = {}
        source = llama.llama_model_chat_template(model, None)
        self._bos: int = llama.llama_vocab_bos(self.native)
        self._adds_bos = bool(llama.llama_vocab_get_add_bos(self.native))
        self.template = ChatTemplate(
            source.decode() if source else None,
            bos=self._text(self._bos),
            eos=self._text(llama.llama_vocab_eos(self.native)),
        )
        written = (source or b"").decode("utf-8", "replace") + self.template.shown()
        self._specials = SpecialTokens(self._find_specials(written))

    def encode(self, messages: Sequence[ChatMessage]) -> list[int]:
        """The tokens of the prompt; text from people never becomes a special token."""
        tokens: list[int] = []
        for run in self._specials.split(self.template.segments(messages)):
            tokens += [run] if isinstance(run, int) else self.tokenize(run)
        if self._adds_bos and tokens[:1] != [self._bos]:
            tokens.insert(0, self._bos)
        return tokens

    def tokenize(self, text: str) -> list[int]:
        """Plain text, no special tokens."""
        data = text.encode("utf-8", "replace")
        size = len(data) + 2
        buffer = (llama.llama_token * size)()
        count = llama.llama_tokenize(self.native, data, len(data), buffer, size, False, False)
        if count < 0:
            buffer = (llama.llama_token * -count)()
            count = llama.llama_tokenize(self.native, data, len(data), buffer, -count, False, False)
        return buffer[:count]

    def piece(self, token: int) -> bytes:
        piece = self._pieces.get(token)
        if piece is None:
            piece = self._pieces[token] = self._read_piece(token)
        return piece

    def is_end(self, token: int) -> bool:
        return bool(llama.llama_vocab_is_eog(self.native, token))

    def written(self, token: int) -> bytes:
        """A token's bytes in plain text; those with a meaning of their own have none."""
        text = self._text(token)
        is_mark = text.startswith("<") and text.endswith(">")
        attributes = llama.llama_vocab_get_attr(self.native, token)
        if attributes & llama.LLAMA_TOKEN_ATTR_CONTROL or (
            is_mark and attributes & llama.LLAMA_TOKEN_ATTR_USER_DEFINED
        ):
            return b""
        return self._read_piece(token)

    def _read_piece(self, token: int) -> bytes:
        buffer = ctypes.create_string_buffer(64)
        size = llama.llama_token_to_piece(self.native, token, buffer, len(buffer), 0, False)
        if size < 0:
            buffer = ctypes.create_string_buffer(-size)
            size = llama.llama_token_to_piece(self.native, token, buffer, len(buffer), 0, False)
        if size == 0 and (text := self._text(token)) in TAG_TOKENS:
            return text.encode()
        return buffer.raw[:size]

    def _text(self, token: int) -> str:
        if token < 0:
            return ""
        text: bytes = llama.llama_vocab_get_text(self.native, token)
        return text.decode("utf-8", "replace")

    def _find_specials(self, written: str) -> list[Special]:
        named = llama.LLAMA_TOKEN_ATTR_CONTROL | llama.LLAMA_TOKEN_ATTR_USER_DEFINED
        found = []
        for token in range(self.num_tokens):
            attributes = llama.llama_vocab_get_attr(self.native, token)
            if attributes & named:
                found.append(self._special(token, attributes, written))
        return found

    def _special(self, token: int, attributes: int, written: str) -> Special:
        """llama.cpp parses user-defined tokens in any text, so those with a role are markers.

        ``written``: the template's source and the text that it renders.
        """
        text = self._text(token)
        is_user_defined = bool(attributes & llama.LLAMA_TOKEN_ATTR_USER_DEFINED)
        has_role = text in written or self.is_end(token)
        return Special(
            id=token,
            text=text,
            strips_left=bool(attributes & llama.LLAMA_TOKEN_ATTR_LSTRIP),
            strips_right=bool(attributes & llama.LLAMA_TOKEN_ATTR_RSTRIP),
            is_marker=is_user_defined and has_role,
        )

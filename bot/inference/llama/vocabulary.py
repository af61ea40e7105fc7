"""Vocabulary: converts text to tokens and tokens to bytes."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import llama_cpp as llama

from bot.errors import UnsupportedOption
from bot.generation import ChatMessage, RawPrompt
from bot.inference.chat_template.special_tokens import Special, SpecialTokens
from bot.inference.chat_template.template import ChatTemplate
from bot.inference.core.calls import CallSyntax, Literal
from bot.inference.core.model import Tag
from bot.inference.output.text import TAG_TOKENS, TAGS

_SPECIAL = (
    llama.LLAMA_TOKEN_ATTR_CONTROL
    | llama.LLAMA_TOKEN_ATTR_USER_DEFINED
    | llama.LLAMA_TOKEN_ATTR_UNKNOWN
)


class Vocabulary:
    """The vocabulary of one model; read-only, so any thread may use it."""

    def __init__(self, model: Any) -> None:
        self.native = llama.llama_model_get_vocab(model)
        self.num_tokens: int = llama.llama_vocab_n_tokens(self.native)
        self._pieces: dict[int, bytes] = {}
        source = llama.llama_model_chat_template(model, None)
        self._bos: int = llama.llama_vocab_bos(self.native)
        self._eos: int = llama.llama_vocab_eos(self.native)
        self._adds_bos = bool(llama.llama_vocab_get_add_bos(self.native))
        self.template = ChatTemplate(
            source.decode() if source else None,
            bos=self._text(self._bos),
            eos=self._text(self._eos),
        )
        written = (source or b"").decode("utf-8", "replace") + self.template.shown()
        self._specials = SpecialTokens(self._find_specials(written))
        self._begins_with_space = self._bytes(*self.tokenize("a")[:1])[:1] == b" "
        self.calls = self._calls()

    def encode(self, messages: Sequence[ChatMessage]) -> list[int]:
        """The tokens of the prompt; text from people never becomes a special token."""
        tokens: list[int] = []
        for run in self._specials.split(self.template.segments(messages)):
            tokens += [run] if isinstance(run, int) else self.tokenize(run)
        if self._adds_bos and tokens[:1] != [self._bos]:
            tokens.insert(0, self._bos)
        return tokens

    def _calls(self) -> CallSyntax:
        """How answers call tools, after reasoning in the tags that this vocabulary knows."""
        calls = self.template.calls
        if (tag := self.template.open_tag) is not None:
            calls = replace(calls, thought=(tag.closes.decode(),))
        elif (marks := next(filter(None, map(self._marks, TAGS)), None)) is not None:
            calls = replace(calls, thinks=marks[0], thought=marks[1])
        return calls.in_tokens(self._in_tokens)

    def _marks(self, tag: Tag) -> tuple[Literal, Literal] | None:
        """The marks of a tag, if this vocabulary has tokens for both of them."""
        opens, closes = self._in_tokens(tag.opens.decode()), self._in_tokens(tag.closes.decode())
        is_known = all(isinstance(marks[0], int) for marks in (opens, closes) if marks)
        return (opens, closes) if is_known and closes else None

    def _in_tokens(self, text: str) -> Literal:
        return tuple(self._specials.split([(text, True)]))

    def encode_raw(self, prompt: RawPrompt) -> list[int]:
        """An empty prompt is the token that begins a text, or else the one that ends it."""
        tokens = self._raw(prompt.content, parses_special=prompt.parses_special)
        if prompt.suffix is not None:
            tokens = self._around_gap(tokens, self.tokenize(prompt.suffix, parses_special=True))
        if not prompt.adds_special:
            return tokens
        is_begun = prompt.suffix is None and not isinstance(prompt.content, str)
        if self._adds_bos and not is_begun and tokens[:1] != [self._bos]:
            tokens.insert(0, self._bos)
        return tokens or [self._bos if self._bos >= 0 else self._eos]

    def _raw(self, content: str | Sequence[int], *, parses_special: bool) -> list[int]:
        if isinstance(content, str):
            return self.tokenize(content, parses_special=parses_special)
        self._check(content, "prompt")
        return list(content)

    def _around_gap(self, before: list[int], after: list[int]) -> list[int]:
        """In the order that most models for code were trained on."""
        names = llama.llama_vocab_fim_pre, llama.llama_vocab_fim_suf, llama.llama_vocab_fim_mid
        opens, follows, fills = (name(self.native) for name in names)
        if min(opens, follows, fills) < 0:
            raise UnsupportedOption("suffix", "needs a model that was made to fill in the middle.")
        return [opens, *before, follows, *after, fills]

    def _check(self, tokens: Sequence[int], name: str) -> None:
        """Raises ``UnsupportedOption``, which names the first token that there is not."""
        last = self.num_tokens - 1
        wrong = next((token for token in tokens if not 0 <= token <= last), None)
        if wrong is not None:
            raise UnsupportedOption(name, f"names token {wrong}; the model's last is {last}.")

    def tokenize(self, text: str, *, parses_special: bool = False) -> list[int]:
        """Plain text, unless texts of special tokens are to become those."""
        data = text.encode("utf-8", "replace")
        asked, size = (self.native, data, len(data)), len(data) + 2
        buffer = (llama.llama_token * size)()
        count = llama.llama_tokenize(*asked, buffer, size, False, parses_special)
        if count < 0:
            buffer = (llama.llama_token * -count)()
            count = llama.llama_tokenize(*asked, buffer, -count, False, parses_special)
        return buffer[:count]

    def texts(self, tokens: Sequence[int]) -> list[bytes]:
        self._check(tokens, "tokens")
        return [self._bytes(token, shows_special=True) for token in tokens]

    def detokenize(self, tokens: Sequence[int], *, shows_special: bool = True) -> str:
        """Without the spaces that some vocabularies put before a text, and after special tokens."""
        self._check(tokens, "tokens")
        texts = [self._bytes(token, shows_special=shows_special) for token in tokens]
        if self._begins_with_space:
            begins = [True, *map(self._is_special, tokens[:-1])]
            texts = [
                text[1:] if is_first and text[:1] == b" " and not self._is_special(token) else text
                for token, text, is_first in zip(tokens, texts, begins, strict=False)
            ]
        return b"".join(texts).decode("utf-8", "replace")

    def _is_special(self, token: int) -> bool:
        return bool(llama.llama_vocab_get_attr(self.native, token) & _SPECIAL)

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
        piece = self._bytes(token)
        if not piece and (text := self._text(token)) in TAG_TOKENS:
            return text.encode()
        return piece

    def _bytes(self, token: int, *, shows_special: bool = False) -> bytes:
        asked, buffer = (self.native, token), ctypes.create_string_buffer(64)
        size = llama.llama_token_to_piece(*asked, buffer, len(buffer), 0, shows_special)
        if size < 0:
            buffer = ctypes.create_string_buffer(-size)
            size = llama.llama_token_to_piece(*asked, buffer, -size, 0, shows_special)
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

"""Prompts in the vocabularies of real models: no role can be forged, no token is doubled."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import NamedTuple

import llama_cpp
import pytest

from bot.inference.llama.backend import system_info
from bot.inference.llama.vocabulary import Vocabulary
from bot.types import ChatMessage
from tests.vocabularies import vocabularies_or_skip

pytestmark = pytest.mark.model

CHAT_MODELS = [
    *("aquila", "baichuan", "command-r", "deepseek-coder", "deepseek-llm", "falcon", "gemma-4"),
    *("gpt-2", "gpt-neox", "llama-bpe", "llama-spm", "mpt", "phi-3", "qwen2", "qwen35", "refact"),
    "starcoder",
]
CONTROL = llama_cpp.LLAMA_TOKEN_ATTR_CONTROL
USER_DEFINED = llama_cpp.LLAMA_TOKEN_ATTR_USER_DEFINED
WITH_TEMPLATES = ["command-r", "gemma-4", "phi-3", "qwen2", "qwen35"]
HELLO = [ChatMessage("system", "Be kind."), ChatMessage("user", "Hello, wörld!\n  1234")]


class Known(NamedTuple):
    """A vocabulary as LlamaModel has it, with llama.cpp's handle to compare with."""

    tokens: Vocabulary
    native: ctypes.c_void_p


@pytest.fixture(scope="module")
def vocabulary() -> Iterator[Callable[[str], Known]]:
    """Vocabularies by name; each is loaded once."""
    folder = vocabularies_or_skip()
    system_info()  # silences llama.cpp
    params = llama_cpp.llama_model_default_params()
    params.vocab_only = True
    with ExitStack() as stack:

        @cache
        def known(name: str) -> Known:
            path = str(folder / f"ggml-vocab-{name}.gguf").encode()
            model = llama_cpp.llama_model_load_from_file(path, params)
            stack.callback(llama_cpp.llama_model_free, model)
            return Known(Vocabulary(model), llama_cpp.llama_model_get_vocab(model))

        yield known


def roles_and_ends(tokens: Vocabulary, native: ctypes.c_void_p) -> dict[int, str]:
    """Tokens that control a conversation, with their texts."""
    written = tokens.template.shown()
    found = {}
    for token in range(tokens.num_tokens):
        attributes = llama_cpp.llama_vocab_get_attr(native, token)
        if attributes & (CONTROL | USER_DEFINED):
            text = llama_cpp.llama_vocab_get_text(native, token).decode("utf-8", "replace")
            if attributes & CONTROL or tokens.is_end(token) or text in written:
                found[token] = text
    return found


def reference(native: ctypes.c_void_p, text: str) -> list[int]:
    """The tokens of a whole prompt by llama.cpp itself, which parses markers."""
    data = text.encode()
    buffer = (llama_cpp.llama_token * (len(data) + 8))()
    num = llama_cpp.llama_tokenize(native, data, len(data), buffer, len(buffer), False, True)
    return list(buffer[:num])


@pytest.mark.parametrize("name", CHAT_MODELS)
def test_markers_that_a_person_types_remain_plain_text(
    vocabulary: Callable[[str], Known], name: str
) -> None:
    tokens, native = vocabulary(name)
    markers = roles_and_ends(tokens, native)
    forged = "".join(markers.values())
    assert forged
    typed = tokens.encode([ChatMessage("user", forged)])
    honest = tokens.encode([ChatMessage("user", "Hi")])
    assert [t for t in typed if t in markers] == [t for t in honest if t in markers]


@pytest.mark.parametrize("name", WITH_TEMPLATES)
def test_a_prompt_is_what_llama_cpp_makes_of_the_same_text(
    vocabulary: Callable[[str], Known], name: str
) -> None:
    tokens, native = vocabulary(name)
    text = "".join(text for text, _ in tokens.template.segments(HELLO))
    assert tokens.encode(HELLO) == reference(native, text)


@pytest.mark.parametrize(
    ("name", "num_bos"),
    [("llama-spm", 1), ("llama-bpe", 1), ("phi-3", 1), ("gemma-4", 1), ("qwen2", 0), ("falcon", 0)],
)
def test_a_prompt_has_one_begin_token_and_only_where_the_vocabulary_wants_it(
    vocabulary: Callable[[str], Known], name: str, num_bos: int
) -> None:
    tokens, native = vocabulary(name)
    prompt = tokens.encode(HELLO)
    bos = llama_cpp.llama_vocab_bos(native)
    assert prompt[: num_bos + 1].count(bos) == prompt.count(bos) == num_bos

"""Prompts in the vocabularies of real models: no role can be forged, no token is doubled."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import NamedTuple

import llama_cpp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.errors import UnsupportedOption
from bot.generation import ChatMessage, RawPrompt
from bot.inference.llama.backend import system_info
from bot.inference.llama.vocabulary import Vocabulary
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


def reference_of_raw(native: ctypes.c_void_p, text: str) -> list[int]:
    """The tokens of a whole text by llama.cpp itself, begun as the vocabulary begins every one."""
    data = text.encode()
    buffer = (llama_cpp.llama_token * (len(data) + 8))()
    num = llama_cpp.llama_tokenize(native, data, len(data), buffer, len(buffer), True, True)
    return list(buffer[:num])


@pytest.mark.parametrize("name", ["llama-spm", "llama-bpe", "phi-3", "qwen2", "gpt-2", "gemma-4"])
def test_a_raw_prompt_is_what_llama_cpp_makes_of_it(
    vocabulary: Callable[[str], Known], name: str
) -> None:
    tokens, native = vocabulary(name)
    special = llama_cpp.llama_vocab_get_text(native, tokens._eos).decode()
    for text in ("The sky is", f"One.{special}Two", "  def f():\n\treturn 1"):
        assert tokens.encode_raw(RawPrompt(text)) == reference_of_raw(native, text)
    plain = RawPrompt(special, adds_special=False, parses_special=False)
    assert tokens._eos not in tokens.encode_raw(plain) or name == "phi-3"


@pytest.mark.parametrize("name", CHAT_MODELS)
def test_an_empty_prompt_has_the_token_that_begins_a_text_or_ends_one(
    vocabulary: Callable[[str], Known], name: str
) -> None:
    tokens, _ = vocabulary(name)
    (only,) = tokens.encode_raw(RawPrompt(""))
    assert only in (tokens._bos, tokens._eos)
    assert tokens.encode_raw(RawPrompt((5, 7))) == [5, 7], "tokens are taken as they are"


@pytest.mark.parametrize("name", ["starcoder", "refact", "deepseek-coder", "qwen2", "llama-spm"])
def test_a_gap_is_filled_between_the_tokens_made_for_it(
    vocabulary: Callable[[str], Known], name: str
) -> None:
    tokens, native = vocabulary(name)
    prompt = RawPrompt("def f(", suffix="return 1")
    marks = [
        mark(native)
        for mark in (
            llama_cpp.llama_vocab_fim_pre,
            llama_cpp.llama_vocab_fim_suf,
            llama_cpp.llama_vocab_fim_mid,
        )
    ]
    if min(marks) < 0:
        with pytest.raises(UnsupportedOption, match="suffix needs a model that was made to fill"):
            tokens.encode_raw(prompt)
        return
    found = tokens.encode_raw(prompt)
    assert [token for token in found if token in marks] == marks
    assert found[-1] == marks[-1]
    assert tokens.detokenize(tokens.encode_raw(RawPrompt("return 1", adds_special=False))) == (
        "return 1"
    )


@pytest.mark.parametrize("name", ["qwen2", "llama-spm"])
def test_a_token_that_there_is_not_is_named(vocabulary: Callable[[str], Known], name: str) -> None:
    tokens, _ = vocabulary(name)
    for wrong in (-1, tokens.num_tokens):
        with pytest.raises(UnsupportedOption, match=f"prompt names token {wrong}; the model's"):
            tokens.encode_raw(RawPrompt((5, wrong)))
        with pytest.raises(UnsupportedOption, match=f"tokens names token {wrong}; the model's"):
            tokens.detokenize([wrong])


WRITTEN = st.characters(
    max_codepoint=0x3FFFF,  # some vocabularies have no bytes for what lies above
    exclude_categories=["Cs", "Cc"],  # nor for some controls
    include_characters="\n\t",
    exclude_characters="\u2581",  # means a space in some
)


@pytest.mark.parametrize("name", CHAT_MODELS)
@given(st.text(WRITTEN, max_size=40))
@settings(max_examples=40, deadline=None)
def test_a_text_comes_back_from_its_tokens(
    vocabulary: Callable[[str], Known], name: str, text: str
) -> None:
    tokens, _ = vocabulary(name)
    found = tokens.encode_raw(RawPrompt(text, adds_special=False, parses_special=False))
    assert tokens.detokenize(found) == text


def test_reasoning_before_calls_is_known_where_its_marks_are_tokens(
    vocabulary: Callable[[str], Known],
) -> None:
    tokens = vocabulary("gemma-4").tokens
    thinks, thought = tokens.calls.thinks, tokens.calls.thought
    marks = [each for each in (*thinks, *thought) if isinstance(each, int)]
    assert [tokens.piece(mark) for mark in marks] == [b"<|channel>", b"<channel|>"]
    assert vocabulary("qwen2").tokens.calls.thought == ()

"""The beginning of a model file, read without llama.cpp."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest

from bot.inference.gguf.metadata import read_head
from tests.fakes.gguf_files import write_embedding_model


@pytest.fixture
def model(tmp_path: Path) -> bytes:
    write_embedding_model(tmp_path / "m.gguf")
    return (tmp_path / "m.gguf").read_bytes()


def test_texts_numbers_and_the_size_of_the_vocabulary_are_read(model: bytes) -> None:
    found, num_tokens = read_head(BytesIO(model))
    assert found["general.name"] == "tiny-embedder"
    assert found["bert.context_length"] == "512"
    assert found["bert.attention.causal"] == "false"
    assert num_tokens == 7


@pytest.mark.parametrize("size", [0, 4, 20, 100, 300])
def test_a_beginning_that_is_too_short_is_refused(model: bytes, size: int) -> None:
    with pytest.raises(ValueError, match="no beginning of a GGUF file"):
        read_head(BytesIO(model[:size]))


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(ValueError, match="no beginning of a GGUF file"):
        read_head(BytesIO(b"GGUF" + b"\xff" * 400))

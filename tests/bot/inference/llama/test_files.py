"""Model files, good and bad, read by the real llama.cpp."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bot.errors import ModelError
from bot.inference.llama.files import read_facts
from bot.inference.llama.model import LlamaModel
from bot.inference.llama.options import LlamaOptions
from bot.inference.model_files import locate
from tests.fakes.gguf_files import write_embedding_model
from tests.fakes.tiny_models import LLAMA, write_tiny_model

pytestmark = pytest.mark.model


def test_the_facts_of_the_embedded_model_are_read() -> None:
    facts = read_facts(locate.locate("smollm2"))
    assert (facts.architecture, facts.max_context, facts.bytes_per_cell) == ("llama", 8192, 23_040)


def test_a_missing_file_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"There is no model file .*PARLEY_MODEL"):
        locate.locate(str(tmp_path / "nothing.gguf"))
    with pytest.raises(ModelError, match="is a folder"):
        locate.locate(str(tmp_path))


def test_a_split_model_is_found_by_its_first_part_and_measured_whole(tmp_path: Path) -> None:
    vocabulary = locate.locate("smollm2")
    write_tiny_model(tmp_path / "tiny.gguf", LLAMA, vocabulary, tensors_per_part=8)
    first, *later = sorted(tmp_path.glob("*.gguf"))
    assert len(later) == 2
    facts = read_facts(locate.locate(str(first)))
    assert facts.num_bytes == sum(part.stat().st_size for part in (first, *later))
    with pytest.raises(ModelError, match=f"is a later part .* set PARLEY_MODEL to .*{first.name}"):
        locate.locate(str(later[0]))
    before = locate.sha256_of(first)
    later[1].write_bytes(b"GGUF")
    assert locate.sha256_of(first) != before
    later[1].unlink()
    with pytest.raises(ModelError, match=f"one of 3 parts, .* no {later[1].name}: download"):
        locate.locate(str(first))


def test_text_named_gguf_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.gguf"
    path.write_text("Dear diary")
    with pytest.raises(ModelError, match="is not a GGUF file"):
        locate.locate(str(path))


def test_a_truncated_model_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "half.gguf"
    shutil.copy(locate.locate("smollm2"), path)
    with path.open("r+b") as file:
        file.truncate(50_000_000)
    with pytest.raises(ModelError, match=r"corrupted or incomplete.*download it again"):
        LlamaModel(path, LlamaOptions())


def test_a_file_that_only_begins_like_a_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(b"GGUF" + bytes(200))
    with pytest.raises(ModelError, match="cannot be loaded"):
        LlamaModel(locate.locate(str(path)), LlamaOptions())


def test_an_embedding_model_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "embedder.gguf"
    write_embedding_model(path)
    with pytest.raises(ModelError, match="is an embedding model and cannot write text"):
        LlamaModel(locate.locate(str(path)), LlamaOptions())

"""Faster copies of the real embedded model, made by llama.cpp."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bot.inference.llama.files import quantize
from bot.inference.llama.model import LlamaModel
from bot.inference.llama.options import LlamaOptions
from bot.inference.model_files import locate
from bot.inference.model_files.evaluate import kl_divergence, likeness
from bot.inference.model_files.requantised import Copies, CopyFailed, Quantisation

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def source() -> Path:
    return locate.locate("smollm2")


def copies(folder: Path, source: Path, sha256: str = locate.EMBEDDED_SHA256) -> Copies:
    return Copies(folder, "smollm2", source, sha256, quantize)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, source: Path) -> Path:
    ours = copies(tmp_path_factory.mktemp("data") / "models", source)
    assert ours.find() is None
    return ours.make(Quantisation.Q8_0, 2)


def test_a_copy_is_found_again_and_says_nearly_the_same(made: Path, source: Path) -> None:
    assert copies(made.parent, source).find() == made
    options = LlamaOptions(num_cells=1_024, max_running=2, num_slots=2, num_threads=1)
    original, copy = LlamaModel(source, options), LlamaModel(made, options)
    alike = likeness(original, copy)
    assert 0 < alike.divergence < 0.02
    assert alike.agreement > 0.9
    original.close()
    copy.close()


def test_another_copy_takes_the_place_of_the_one_before(
    tmp_path: Path, source: Path, made: Path
) -> None:
    ours = copies(tmp_path, source)
    stale = copies(tmp_path, source, "0" * 64).path(Quantisation.Q8_0)
    stale.hardlink_to(made)
    mine = tmp_path / "smollm2-mine-Q8_0.gguf"
    mine.touch()
    assert ours.find() is None, "that is a copy of another file"
    other = ours.make(Quantisation.Q4_0, 2)
    assert ours.find() == other
    assert set(tmp_path.glob("*.*")) == {other, mine, tmp_path / ".copies.lock"}


def test_a_copy_that_was_cut_off_is_made_again(tmp_path: Path, source: Path) -> None:
    ours = copies(tmp_path, source)
    path = ours.path(Quantisation.Q8_0)
    path.write_bytes(source.read_bytes()[:1_000_000])
    path.with_suffix(".part").write_bytes(b"half of one")
    assert ours.find() is None
    assert ours.make(Quantisation.Q8_0, 2) == ours.find() == path
    assert not path.with_suffix(".part").exists()


def test_what_llama_cpp_cannot_read_leaves_nothing_behind(tmp_path: Path) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"GGUF" + bytes(200))
    with pytest.raises(CopyFailed, match=r"llama\.cpp could not write it"):
        copies(tmp_path / "models", bad).make(Quantisation.Q8_0, 1)
    assert [path.name for path in (tmp_path / "models").iterdir()] == [".copies.lock"]


def test_divergence_is_that_of_kullback_and_leibler() -> None:
    one, other = np.log([[0.5, 0.5], [0.9, 0.1]]), np.log([[0.5, 0.5], [0.5, 0.5]])
    expected = [0.0, 0.9 * np.log(0.9 / 0.5) + 0.1 * np.log(0.1 / 0.5)]
    found = kl_divergence((one + 3).astype(np.float32), other.astype(np.float32))
    assert found == pytest.approx(expected, abs=1e-6)

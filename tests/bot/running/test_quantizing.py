"""A copy is written by a child process: real children crash or succeed."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pytest

from bot.config import load_settings
from bot.inference.llama.backend import supports_gpu
from bot.inference.model_files import locate
from bot.inference.model_files.requantised import Copies, CopyFailed, Quantisation
from bot.metrics import Metrics
from bot.running.loading import load
from bot.running.trial import quantize_apart

BEGINS = (
    "import os, signal, sys; print('9.0 wrote a Q8_0 copy', flush=True); "
    "open(sys.argv[2], 'w').write('half of one'); "
)


def why_not(folder: Path, deed: str) -> str:
    """The sentence that a person reads if the child does that."""
    source = folder / "mine.gguf"
    source.write_bytes(b"GGUF" * 100)
    child = partial(quantize_apart, command=(sys.executable, "-c", BEGINS + deed))
    with pytest.raises(CopyFailed) as failure:
        Copies(folder / "models", "mine", source, "0" * 64, child).make(Quantisation.Q8_0, 1)
    assert [path.name for path in (folder / "models").iterdir()] == [".copies.lock"]
    return str(failure.value)


@pytest.mark.parametrize(
    ("deed", "sentence"),
    [
        (
            "os.kill(os.getpid(), signal.SIGILL)",
            "llama.cpp died of an illegal instruction (SIGILL) while it wrote a Q8_0 copy",
        ),
        (
            "os.kill(os.getpid(), signal.SIGSEGV)",
            "llama.cpp died of a memory fault (SIGSEGV) while it wrote a Q8_0 copy",
        ),
        (
            "os.kill(os.getpid(), signal.SIGKILL)",
            "the memory was not enough while it wrote a Q8_0 copy",
        ),
        ("sys.exit(1)", "llama.cpp failed while it wrote a Q8_0 copy"),
        (
            "print('llama.cpp could not write it: bad tensor'); sys.exit(3)",
            "llama.cpp could not write it: bad tensor",
        ),
    ],
)
def test_a_child_that_dies_leaves_no_copy_and_one_sentence(
    tmp_path: Path, deed: str, sentence: str
) -> None:
    assert why_not(tmp_path, deed) == sentence


DIES_OF_COPIES = """
import os, signal, sys
if any("copier" in word for word in sys.orig_argv):
    os.kill(os.getpid(), signal.SIGILL)
"""


@pytest.mark.model
@pytest.mark.skipif(supports_gpu(), reason="with a GPU the original is used")
def test_a_start_survives_though_llama_cpp_dies_of_making_the_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(DIES_OF_COPIES)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    small = {"PARLEY_KV_TOKENS": "256", "PARLEY_RUNNING": "2"}
    said: list[str] = []
    model = load(load_settings(small, tmp_path), Metrics(), said.append)
    assert model.path == locate.locate("smollm2")
    assert said[1] == (
        "the original is used, since no copy could be made (llama.cpp died of an illegal "
        "instruction (SIGILL) while it started); PARLEY_OPTIMIZE=off ends the attempts"
    )
    model.close()

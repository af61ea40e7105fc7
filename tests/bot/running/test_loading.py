"""The file that a start uses: the real embedded model, or its requantised copy."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.config import Settings, load_settings
from bot.errors import ModelError
from bot.inference.gguf import memory_check
from bot.inference.llama.backend import supports_gpu
from bot.inference.llama.files import read_facts
from bot.inference.model_files import locate
from bot.inference.state_store.folders import StateFolders
from bot.metrics import Metrics
from bot.running.banner import Banner
from bot.running.engines import LocalLoader, make_catalogue
from bot.running.loading import load
from tests.vocabularies import vocabularies_or_skip

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(supports_gpu(), reason="with a GPU the original is used"),
]


def settings(folder: Path, **environ: str) -> Settings:
    return load_settings({"PARLEY_KV_TOKENS": "256", "PARLEY_RUNNING": "2", **environ}, folder)


def start(ours: Settings, metrics: Metrics) -> tuple[Path, list[str]]:
    """The file that is used, and the sentences that a person read meanwhile."""
    said: list[str] = []
    model = load(ours, metrics, said.append)
    path = model.path
    model.close()
    return path, said


def count(metrics: Metrics, outcome: str) -> float | None:
    return metrics.registry.get_sample_value("parley_model_copies_total", {"outcome": outcome})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose copy is made once for these tests."""
    return tmp_path_factory.mktemp("parley")


def test_the_first_start_makes_a_copy_and_the_next_one_finds_it(folder: Path) -> None:
    first, second = Metrics(), Metrics()
    path, said = start(settings(folder), first)
    assert path.parent == folder / "data" / "models"
    assert path.name.endswith("-Q8_0.gguf")
    assert [text.split(" copy")[0] for text in said] == ["making a"]
    assert (count(first, "made"), count(first, "used")) == (1, 1)
    assert start(settings(folder), second) == (path, [])
    assert (count(second, "made"), count(second, "used")) == (None, 1)


def test_a_question_on_its_own_makes_no_copy(tmp_path: Path) -> None:
    model = load(settings(tmp_path), Metrics())
    assert model.path == locate.locate("smollm2")
    model.close()


@pytest.mark.parametrize("change", ["off", "path"])
def test_with_off_or_a_path_the_original_is_used(tmp_path: Path, change: str) -> None:
    original, metrics = locate.locate("smollm2"), Metrics()
    environ = {"off": {"PARLEY_OPTIMIZE": "off"}, "path": {"PARLEY_MODEL": str(original)}}[change]
    assert start(settings(tmp_path, **environ), metrics) == (original, [])
    assert not (tmp_path / "data").exists()


def test_with_a_folder_that_cannot_be_written_the_original_is_used(
    tmp_path: Path,
) -> None:
    (tmp_path / "mine").touch()
    metrics = Metrics()
    path, (_, sentence) = start(settings(tmp_path, PARLEY_MODEL_DIR="mine"), metrics)
    assert path == locate.locate("smollm2")
    assert sentence == (
        f"the original is used, since no copy could be made ({tmp_path}/mine cannot be written: "
        "File exists); PARLEY_OPTIMIZE=off ends the attempts"
    )
    assert count(metrics, "failed") == 1


def test_the_original_is_used_if_the_copy_does_not_fit_the_memory(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, metrics = settings(folder), Metrics()
    original = locate.locate("smollm2")
    enough = read_facts(original).needed_bytes(ours.kv_tokens, 514, 2)
    monkeypatch.setattr(memory_check, "available_bytes", lambda: enough)
    path, said = start(ours, metrics)
    assert path == original
    assert "cannot be used, so the original is" in said[-1]
    assert (count(metrics, "failed"), count(metrics, "used")) == (1, None)


def test_the_default_model_has_the_draft_model_and_no_other_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = settings(tmp_path, PARLEY_DRAFT_MODEL="smollm2", PARLEY_OPTIMIZE="off")
    folders = StateFolders(tmp_path / "parked")
    loader = LocalLoader(ours, Metrics(), make_catalogue(ours), folders, Banner())
    model, num_bytes = loader.load("smollm2", "smollm2")
    assert model.draft_model is not None
    assert model.draft_model.path == locate.locate("smollm2")
    assert "draft" in capsys.readouterr().out
    model.close()
    other, less = loader.load("smollm2", "other")
    assert not other.can_draft
    assert num_bytes - less > locate.locate("smollm2").stat().st_size
    other.close()


def test_a_draft_model_that_does_not_suit_the_model_is_refused(tmp_path: Path) -> None:
    other = vocabularies_or_skip() / "ggml-vocab-phi-3.gguf"
    for draft, fault in (
        (other, "ggml-vocab-phi-3 has another vocabulary than the model that it should draft"),
        (other.with_name("ggml-vocab-bert-bge.gguf"), "embedding model .*: set PARLEY_DRAFT_MODEL"),
        (tmp_path / "gone", "no model file .*gone: set PARLEY_DRAFT_MODEL .* or leave it unset.$"),
    ):
        given = {"PARLEY_DRAFT_MODEL": str(draft), "PARLEY_OPTIMIZE": "off"}
        with pytest.raises(ModelError, match=fault):
            load(settings(tmp_path, **given), Metrics())

"""``models list`` and ``models get``: what is on this machine, and what is not on the hub."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from huggingface_hub import constants

from bot.cli.model_list import as_json, as_table, get, listed
from bot.config import Settings, load_settings
from bot.errors import ModelError
from bot.inference.hub.cache import HubCache
from bot.inference.model_files import locate
from bot.inference.model_files.requantised import Quantisation
from bot.model_names import KNOWN
from bot.running.loading import copies_of
from tests.fakes.hub import sha256
from tests.fakes.tiny_models import LLAMA, write_tiny_model

pytestmark = pytest.mark.model

REPOSITORY = "owner/tiny-GGUF"
PARTS = [f"tiny-Q8_0-{number:05}-of-00003.gguf" for number in (1, 2, 3)]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HubCache:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return HubCache(tmp_path / "hub")


def keep(cache: HubCache, path: Path, repository: str = REPOSITORY) -> Path:
    """As if it had been downloaded."""
    key = sha256(path.read_bytes())
    blob = cache.blob(repository, key)
    blob.parent.mkdir(parents=True, exist_ok=True)
    blob.write_bytes(path.read_bytes())
    cache.note_commit(repository, "c0ffee")
    return cache.link(repository, "c0ffee", path.name, key)


def settings_of(folder: Path, **environ: str) -> Settings:
    return load_settings({"PARLEY_OPTIMIZE": "off", **environ}, folder)


def row(settings: Settings, model: str) -> list[str]:
    lines = [re.split(r"  +", line) for line in as_table(listed(settings))]
    (found,) = (line for line in lines if line[0] == model)
    return found


def test_the_embedded_model_is_always_there(tmp_path: Path, cache: HubCache) -> None:
    settings = settings_of(tmp_path)
    assert row(settings, "smollm2")[1:5] == ["comes along", "94", "Q4_1", "135M"]
    assert row(settings, "smollm2")[-1] == "default"
    assert as_table(listed(settings))[-1] == (
        "Not here: llama-3.2-1b (770 MiB), qwen3-4b (2,382 MiB), mistral-small-3.2 (13,670 MiB); "
        "see `models get`."
    )


def test_models_of_the_hub_are_there_with_all_their_parts(tmp_path: Path, cache: HubCache) -> None:
    write_tiny_model(
        tmp_path / "tiny-Q8_0.gguf", LLAMA, locate.locate("smollm2"), tensors_per_part=8
    )
    first, *_ = (keep(cache, tmp_path / name) for name in PARTS)
    settings = settings_of(tmp_path, PARLEY_MODEL=f"hf:{REPOSITORY}:q8_0")
    source = f"hf:{REPOSITORY}:{PARTS[0]}"
    assert row(settings, source)[1:4] == ["hub", "8", "Q8_0"]
    assert row(settings, source)[-1] == "default"
    (found,) = (each for each in listed(settings) if each.model == source)
    assert found.path == str(first)
    assert found.num_bytes == sum((tmp_path / name).stat().st_size for name in PARTS)
    assert found.needed_bytes
    assert found.needed_bytes > found.num_bytes


def test_a_short_name_is_shown_for_what_it_names(tmp_path: Path, cache: HubCache) -> None:
    known = KNOWN["qwen3-4b"]
    file = tmp_path / known.hub.pattern
    file.write_bytes(b"GGUF")
    keep(cache, file, known.hub.repository)
    settings = settings_of(tmp_path, PARLEY_MODEL="qwen3-4b")
    assert row(settings, "qwen3-4b") == ["qwen3-4b", "hub", "0", "Q4_K_M", "?", "?", "default"]
    assert "qwen3-4b" not in as_table(listed(settings))[-1]


def test_files_of_the_folder_and_copies_are_there_and_who_uses_them(
    tmp_path: Path, cache: HubCache
) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "models" / "big-Q4_0.gguf").symlink_to(locate.locate("smollm2"))
    (tmp_path / "mine" / "assistant.md").write_text("---\ntitle: A\n---\nBe kind.\n")
    (tmp_path / "mine" / "pirate.md").write_text("---\ntitle: P\nmodel: big-Q4_0\n---\nBe wild.\n")
    settings = settings_of(tmp_path, PARLEY_PERSONALITIES=str(tmp_path / "mine"))
    copies = copies_of(settings, locate.locate("smollm2"))
    copies.folder.mkdir(parents=True)
    copies.path(Quantisation.Q8_0).write_bytes(b"GGUF")
    assert row(settings, "big-Q4_0.gguf")[1:4] == ["folder", "94", "Q4_0"]
    assert row(settings, "big-Q4_0.gguf")[-1] == "pirate"
    assert row(settings, str(copies.path(Quantisation.Q8_0)))[1:4] == ["copy", "0", "Q8_0"]


def test_programs_read_the_same_as_json(tmp_path: Path, cache: HubCache) -> None:
    (found,) = json.loads("\n".join(as_json(listed(settings_of(tmp_path)))))
    assert (found["model"], found["used_by"]) == ("smollm2", ["default"])
    assert found["needed_bytes"] > found["num_bytes"] == 98_362_432


@pytest.mark.parametrize("model", ["qwen", "models/a.gguf", "smollm2", "owner/repository"])
def test_what_is_not_on_the_hub_cannot_be_got(tmp_path: Path, model: str) -> None:
    with pytest.raises(ModelError, match=rf"^{model} is not on the hub: write .*qwen3-4b,"):
        get(settings_of(tmp_path), model, print)

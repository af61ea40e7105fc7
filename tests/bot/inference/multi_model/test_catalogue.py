"""The names of models that the catalogue finds."""

from __future__ import annotations

from pathlib import Path

from bot.inference.multi_model.catalogue import Catalogue


def test_the_default_comes_first_and_then_the_files_of_the_folder(tmp_path: Path) -> None:
    for name in ("zeta.gguf", "alpha-Q4_K_M.gguf", "notes.txt"):
        (tmp_path / name).touch()
    catalogue = Catalogue("smollm2", "smollm2", tmp_path)
    assert catalogue.read() == ("smollm2", "alpha-Q4_K_M", "zeta")
    assert catalogue.sources["zeta"] == str(tmp_path / "zeta.gguf")


def test_a_file_that_is_put_there_later_is_found(tmp_path: Path) -> None:
    catalogue = Catalogue("smollm2", "smollm2", tmp_path / "models")
    assert catalogue.read() == ("smollm2",)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "new.gguf").touch()
    assert catalogue.read() == ("smollm2", "new")


def test_later_parts_and_copies_of_a_model_are_not_listed(tmp_path: Path) -> None:
    copy = "smollm2-b179c9523d0e-Q8_0"
    for name in ("big-00001-of-00002", "big-00002-of-00002", "mmproj-big", copy):
        (tmp_path / f"{name}.gguf").touch()
    assert Catalogue("a", "a", tmp_path).read() == ("a", "big-00001-of-00002")


def test_the_default_keeps_its_file_where_the_folder_has_one_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "mine.gguf").touch()
    catalogue = Catalogue("mine", "/elsewhere/mine.gguf", tmp_path)
    assert catalogue.read() == ("mine",)
    assert catalogue.sources["mine"] == "/elsewhere/mine.gguf"


def test_a_model_of_a_personality_is_known_from_then_on(tmp_path: Path) -> None:
    catalogue = Catalogue("smollm2", "smollm2", tmp_path)
    assert catalogue.add("b-Q8_0", "hf:a/b:*Q8_0.gguf")
    assert catalogue.sources["b-Q8_0"] == "hf:a/b:*Q8_0.gguf"
    assert catalogue.read() == ("smollm2", "b-Q8_0")


def test_a_file_or_the_default_model_of_that_name_is_preferred(tmp_path: Path) -> None:
    (tmp_path / "qwen3-4b.gguf").touch()
    catalogue = Catalogue("mine", "hf:a/mine", tmp_path)
    catalogue.read()
    assert not catalogue.add("qwen3-4b", "qwen3-4b")
    assert catalogue.add("mine", "hf:a/mine")
    assert not catalogue.add("mine", "hf:b/mine")
    assert catalogue.read() == ("mine", "qwen3-4b")
    assert catalogue.sources["qwen3-4b"] == str(tmp_path / "qwen3-4b.gguf")

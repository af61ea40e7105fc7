"""Models in one file and in several."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.inference.gguf.fingerprint import of
from bot.inference.gguf.parts import num_bytes_of, parts_of, whole_name

PARTS = tuple(f"m-Q8_0-{number:05}-of-00003.gguf" for number in (1, 2, 3))


@pytest.mark.parametrize("name", PARTS)
def test_any_part_tells_the_names_of_all(name: str) -> None:
    assert parts_of(name) == PARTS
    assert whole_name(name) == "m-Q8_0"


@pytest.mark.parametrize("name", ["m.gguf", "m-1-of-3.gguf", "m-00001-of-00003.bin"])
def test_a_file_of_another_name_is_a_model_by_itself(name: str) -> None:
    assert parts_of(name) == (name,)
    assert whole_name(name) == name.removesuffix(".gguf")


def test_a_model_is_as_large_as_its_parts_together_and_other_if_one_is(tmp_path: Path) -> None:
    for number, name in enumerate(PARTS):
        (tmp_path / name).write_bytes(bytes(10 * number))
    assert num_bytes_of(tmp_path / PARTS[0]) == 30
    before = of(tmp_path / PARTS[0])
    (tmp_path / PARTS[2]).write_bytes(b"x" * 20)
    assert of(tmp_path / PARTS[0]) != before

"""Which files a pattern means."""

from __future__ import annotations

import pytest

from bot.inference.hub.choice import fitting

FILES = (
    *("README.md", "m-IQ4_XS.gguf", "m-Q4_K_M.gguf", "m-Q4_K_S.gguf", "m-Q8_0.gguf"),
    *("m-f16.gguf", "M-F16.gguf", "mmproj-m-f16.gguf", "imatrix_unsloth.gguf"),
    *("BF16/m-BF16-00001-of-00002.gguf", "BF16/m-BF16-00002-of-00002.gguf"),
    "Q6_K/m-Q6_K-00001-of-00002.gguf",
)
BF16 = ("BF16/m-BF16-00001-of-00002.gguf", "BF16/m-BF16-00002-of-00002.gguf")


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        ("m-Q4_K_M.gguf", "m-Q4_K_M.gguf"),
        ("*Q4_K_M.gguf", "m-Q4_K_M.gguf"),
        ("*q4_k_m*", "m-Q4_K_M.gguf"),
        ("Q4_K_M", "m-Q4_K_M.gguf"),
        ("iq4_xs", "m-IQ4_XS.gguf"),
        ("m-f16.gguf", "m-f16.gguf"),
        ("M-*", "M-F16.gguf"),
        ("*8_?.gguf", "m-Q8_0.gguf"),
        ("m-Q[78]*", "m-Q8_0.gguf"),
    ],
)
def test_one_file_is_meant(pattern: str, meant: str) -> None:
    assert fitting(FILES, pattern) == [(meant,)]


@pytest.mark.parametrize("pattern", ["BF16/*", "*BF16*", "bf16", *BF16, "*-00002-of-*"])
def test_any_part_means_all_of_them(pattern: str) -> None:
    assert fitting(FILES, pattern) == [BF16]


@pytest.mark.parametrize("pattern", ["*Q6_K*", "*Q9*", "mmproj*", "imatrix*", "*.md", "README.md"])
def test_what_is_no_whole_model_is_not_meant(pattern: str) -> None:
    assert fitting(FILES, pattern) == []


def test_without_a_pattern_every_model_is_meant() -> None:
    assert len(fitting(FILES, "")) == 7
    assert fitting(("README.md", "only.gguf"), "") == [("only.gguf",)]


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [("m.gguf", "m.gguf"), ("a/m.gguf", "a/m.gguf"), ("m[1].gguf", "m[1].gguf")],
)
def test_a_path_means_itself_before_it_is_read_as_a_glob(pattern: str, meant: str) -> None:
    assert fitting(("a/m.gguf", "m.gguf", "m1.gguf", "m[1].gguf"), pattern) == [(meant,)]


def test_several_that_fit_equally_are_all_named() -> None:
    assert fitting(FILES, "*Q4_K*") == [("m-Q4_K_M.gguf",), ("m-Q4_K_S.gguf",)]

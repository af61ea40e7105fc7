"""What people write for a model."""

from __future__ import annotations

import pytest

from bot.model_names import KNOWN, HubModel, hub_model, hub_name


@pytest.mark.parametrize(
    ("text", "repository", "pattern", "name"),
    [
        ("hf:a/b", "a/b", "", "b"),
        ("hf:a/b-GGUF", "a/b-GGUF", "", "b"),
        ("hf:a/b:*q4*", "a/b", "*q4*", "b-q4"),
        ("hf:a/b-GGUF:*Q4_K_M.gguf", "a/b-GGUF", "*Q4_K_M.gguf", "b-Q4_K_M"),
        ("hf:a/b-GGUF:Q4_K_M", "a/b-GGUF", "Q4_K_M", "b-Q4_K_M"),
        ("hf:a/b_gguf:c-Q8_0.gguf", "a/b_gguf", "c-Q8_0.gguf", "c-Q8_0"),
        ("hf:a/b:Q8/c-Q8_0-00001-of-00003.gguf", "a/b", "Q8/c-Q8_0-00001-of-00003.gguf", "c-Q8_0"),
        ("hf:a/b:c d*.gguf ", "a/b", "c d*.gguf", "b-c-d"),
        ("hf:a/b:../*", "a/b", "../*", "b"),
    ],
)
def test_a_model_of_the_hub_and_its_public_name(
    text: str, repository: str, pattern: str, name: str
) -> None:
    found = hub_model(text)
    assert found == HubModel(repository, pattern)
    assert found.name == hub_name(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "hf:",
        "hf:a",
        "hf:a/b/c",
        "hf:a/b:",
        "hf: a/b",
        "hf:a/b: x",
        "hf:a/../b",
        "hf:/b",
        "hf:a--x/b",
    ],
)
def test_a_form_that_is_none_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must be hf:owner/repository, .*:\*Q4_K_M\.gguf$"):
        hub_model(text)


@pytest.mark.parametrize("text", ["smollm2", "models/a.gguf", "qwen", "", "HF:a/b"])
def test_anything_else_is_not_on_the_hub(text: str) -> None:
    assert hub_model(text) is None
    assert hub_name(text) is None


@pytest.mark.parametrize("name", KNOWN)
def test_a_short_name_is_a_file_of_the_hub_and_its_own_public_name(name: str) -> None:
    known = KNOWN[name]
    assert hub_model(name) == known.hub
    assert hub_name(name) == name
    assert hub_model(known.hub.source) == known.hub
    assert known.title in known.hub.pattern
    assert known.num_bytes < known.memory * 10**9

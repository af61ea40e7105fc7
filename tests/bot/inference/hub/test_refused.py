"""What a person reads when the hub does not give a model: one sentence that says what to do."""

from __future__ import annotations

import errno
from collections import deque

import pytest
from huggingface_hub import constants

from bot.errors import HubUnavailable, ModelError, ParleyError
from bot.inference.hub.client import HubClient
from tests.bot.inference.hub.scene import REPOSITORY, Scene
from tests.fakes.hub import Answer
from tests.ports import free_port

SOURCE = f"hf:{REPOSITORY}"


def refusal(scene: Scene, source: str = SOURCE, kind: type[ParleyError] = ModelError) -> str:
    with pytest.raises(kind) as caught:
        scene.get(source)
    text = str(caught.value)
    assert "\n" not in text
    assert "signature" not in text
    return text.replace(scene.hub.url.removeprefix("http://"), "HUB")


def test_a_repository_that_is_not_there_or_private(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert refusal(scene) == (
        "There is no repository owner/tiny-GGUF at HUB, or it is private: check the name, or set "
        "HF_TOKEN to a token that may read it."
    )
    scene.hub.token = "hf_mine"
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    assert refusal(scene).endswith("set HF_TOKEN to one that may read it.")
    scene.hub.next_api = deque([Answer(401, {"X-Error-Code": "RepoNotFound"})])
    assert refusal(scene).endswith("set HF_TOKEN to one that may read it.")


def test_a_token_that_is_not_valid(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.offer("m.gguf")
    monkeypatch.setenv("HF_TOKEN", "hf_old")
    assert (
        refusal(scene) == f"The hub does not accept HF_TOKEN for {SOURCE}: set it to a valid token."
    )


def test_a_gated_model(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.offer("m.gguf")
    scene.hub.gated.add(REPOSITORY)
    accept = f"{SOURCE} is gated: accept its conditions at http://HUB/{REPOSITORY}"
    assert refusal(scene) == f"{accept}, and set HF_TOKEN to a token of that account."
    scene.hub.token = "hf_mine"
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    assert refusal(scene) == f"{accept} with the account of HF_TOKEN."


@pytest.mark.parametrize(
    ("headers", "when"),
    [
        ({"Retry-After": "17"}, "in 17 s"),
        ({"RateLimit": '"api";r=0;t=55'}, "in 55 s"),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, "in a while"),
        ({}, "in a while"),
    ],
)
@pytest.mark.parametrize("kind", ["next_api", "next_file", "next_storage"])
def test_too_many_questions(
    scene: Scene, kind: str, headers: dict[str, str], when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.offer("m.gguf")
    setattr(scene.hub, kind, deque([Answer(429, headers)] * 2))
    asked = "The hub was asked too often: try again"
    assert (
        refusal(scene, kind=HubUnavailable)
        == f"{asked} {when}, or set HF_TOKEN, which is allowed more."
    )
    scene.hub.token = "hf_mine"
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    assert refusal(scene, kind=HubUnavailable) == f"{asked} {when}."
    assert scene.pauses == []


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (403, "The hub forbids hf:owner/tiny-GGUF: accept its conditions at"),
        (500, "The hub at HUB has a fault (500): try again later."),
        (503, "The hub at HUB has a fault (503): try again later."),
        (418, "The hub refuses hf:owner/tiny-GGUF (418): check the name, and HF_ENDPOINT."),
    ],
)
@pytest.mark.parametrize("kind", ["next_api", "next_file", "next_storage"])
def test_other_answers(scene: Scene, kind: str, status: int, words: str) -> None:
    scene.offer("m.gguf")
    setattr(scene.hub, kind, deque([Answer(status)]))
    raised = HubUnavailable if status >= 500 else ModelError
    assert refusal(scene, kind=raised).startswith(words)


def test_no_network(scene: Scene) -> None:
    scene.client = HubClient(f"http://127.0.0.1:{(port := free_port())}")
    assert refusal(scene, kind=HubUnavailable) == (
        f"The hub at 127.0.0.1:{port} cannot be reached for {SOURCE} (Connection refused): check "
        "the network, HF_ENDPOINT and your proxy, and try again; what came of it is kept."
    )


def test_something_else_at_the_address(scene: Scene) -> None:
    scene.hub.next_api = deque([Answer(200)])
    assert refusal(scene) == (
        "HUB does not answer as the Hugging Face hub does: check HF_ENDPOINT, your proxy, and "
        "HF_TOKEN."
    )


def test_a_token_with_letters_that_no_header_holds(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.offer("m.gguf")
    monkeypatch.setenv("HF_TOKEN", "hf_schlüssel")
    assert refusal(scene).endswith("check HF_ENDPOINT, your proxy, and HF_TOKEN.")


def test_nothing_is_asked_where_the_hub_is_switched_off(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.offer("m.gguf")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert refusal(scene) == (
        f"{SOURCE} is not on this machine and HF_HUB_OFFLINE is set: unset it, or copy the model "
        "into the hub's cache."
    )
    assert scene.hub.asked == []


# Which file


def test_several_files_fit(scene: Scene) -> None:
    scene.offer(*(f"m-Q{bits}_{kind}.gguf" for bits in range(2, 8) for kind in "KSM"))
    assert refusal(scene, f"{SOURCE}:*Q4*") == (
        f"Several files of {REPOSITORY} fit {SOURCE}:*Q4* (m-Q4_K.gguf, m-Q4_S.gguf, "
        f"m-Q4_M.gguf): name one of them, such as {SOURCE}:m-Q4_K.gguf"
    )
    assert "m-Q4_S.gguf and 10 more)" in refusal(scene)


def test_no_file_fits(scene: Scene) -> None:
    scene.offer("m-Q4_0.gguf", "m-Q8_0.gguf", "mmproj-m.gguf", "README.md")
    assert refusal(scene, f"{SOURCE}:*Q9*") == (
        f"No file of {REPOSITORY} fits {SOURCE}:*Q9*; it has m-Q4_0.gguf, m-Q8_0.gguf."
    )


def test_a_repository_without_models_for_llama_cpp(scene: Scene) -> None:
    scene.offer("model.safetensors", "m-Q8_0-00002-of-00002.gguf")
    assert refusal(scene) == (
        f"{REPOSITORY} has no whole GGUF file: look for a repository of that model whose name "
        "ends in -GGUF."
    )


def test_a_file_that_changes_while_it_is_asked_for(scene: Scene) -> None:
    scene.offer("m.gguf")
    scene.hub.etag = "f" * 64
    assert refusal(scene) == f"{SOURCE} changed while it was asked for: try again."


def test_a_file_without_a_checksum_is_not_taken(scene: Scene) -> None:
    scene.offer("m.GGUF")
    assert refusal(scene).startswith(f"The hub names no checksum for m.GGUF of {SOURCE}: download")


@pytest.mark.parametrize("path", ["../../m.gguf", "/m.gguf", "a\\..\\m.gguf"])
def test_a_path_that_leads_out_of_the_cache_is_not_taken(scene: Scene, path: str) -> None:
    scene.offer(path)
    assert refusal(scene).startswith("The hub names no checksum for")
    assert scene.parts() == []


@pytest.mark.parametrize("commit", ["../../../x", "", "main"])
def test_nor_is_a_commit_that_does(scene: Scene, commit: str) -> None:
    scene.offer("m.gguf")
    scene.hub.commit = commit
    assert refusal(scene).startswith("The hub names no checksum for")


# The disk


def test_a_cache_that_cannot_be_written(scene: Scene) -> None:
    scene.offer("m.gguf")
    scene.cache.folder.write_text("no folder")
    assert refusal(scene) == (
        f"{SOURCE} cannot be kept (Not a directory): set HF_HOME to a folder that can be written."
    )


def test_a_disk_that_fills_up_on_the_way(scene: Scene) -> None:
    scene.offer("m.gguf")
    scene.stop_after, scene.stop_with = 0, OSError(errno.ENOSPC, "No space left on device")
    assert refusal(scene) == (
        f"The disk is full, so {SOURCE} is not whole: make room and try again (what came is kept), "
        "or set HF_HOME to a folder on another disk."
    )
    assert len(scene.parts()) == 1

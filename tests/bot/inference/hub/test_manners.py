"""What the hub and its storage learn: the token only the hub, and nothing about this machine."""

from __future__ import annotations

import re
import sys
from collections import deque

import pytest

import bot.inference.hub
from bot import __version__
from tests.bot.inference.hub.scene import REPOSITORY, Scene
from tests.fakes.hub import COMMIT, Answer

TOKEN = "hf_mine"


def test_the_token_goes_to_the_hub_and_never_to_its_storage(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.offer("m.gguf")
    scene.hub.token = TOKEN
    scene.hub.cuts = deque([1_000])
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    scene.get()
    given = {(each.at, each.headers.get("authorization")) for each in scene.hub.asked}
    assert given == {("hub", f"Bearer {TOKEN}"), ("storage", None)}


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_nor_does_a_hub_that_sends_us_elsewhere_have_it_passed_on(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """The storage notes a token as strange, which fails the test."""
    scene.offer("m.gguf")
    scene.hub.token = TOKEN
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    elsewhere = f"{scene.hub.storage_url}/elsewhere"
    scene.hub.next_api = deque([Answer(status, {"Location": elsewhere})])
    with pytest.raises(Exception, match="hub refuses"):
        scene.get()
    assert any("elsewhere" in each.path for each in scene.hub.asked)
    assert [each.split(": ")[1] for each in scene.hub.strange] == ["no such file"]
    scene.hub.strange.clear()


def test_only_what_a_download_needs_is_asked_and_it_tells_versions_alone(scene: Scene) -> None:
    scene.offer("m.gguf")
    scene.get()
    asked = [f"{each.at} {each.method} {each.path.partition('?')[0]}" for each in scene.hub.asked]
    assert [re.sub(r"[0-9a-f]{64}", "HASH", each) for each in asked] == [
        f"hub GET /api/models/{REPOSITORY}",
        f"hub HEAD /{REPOSITORY}/resolve/{COMMIT}/m.gguf",
        "storage GET /HASH",
        f"hub HEAD /{REPOSITORY}/resolve/{COMMIT}/m.gguf",
        "storage GET /HASH",
    ]
    python = ".".join(map(str, sys.version_info[:3]))
    agents = {each.headers["user-agent"] for each in scene.hub.asked if each.at == "hub"}
    assert agents == {f"parley/{__version__}; hf_hub/2.4.0; python/{python}"}


def test_the_library_is_told_to_report_nothing_before_it_is_imported() -> None:
    from huggingface_hub import constants

    assert bot.inference.hub
    assert constants.HF_HUB_DISABLE_TELEMETRY

"""What ``doctor`` says where servers run the model."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bot.cli.checks import Check
from bot.cli.doctor import examine
from tests.fakes.model_server import FakeModelServer
from tests.fakes.transformers_server import TransformersServer
from tests.fakes.vllm_server import VllmServer


async def engine(folder: Path, **environ: str) -> list[Check]:
    found = await asyncio.to_thread(examine, {"PARLEY_PORT": "0", **environ}, folder)
    assert "model" not in {check.name for check in found}, "no file of ours is of interest"
    return [check for check in found if check.name == "engine"]


async def test_a_plain_server_is_well_and_what_it_leaves_undone_is_listed(tmp_path: Path) -> None:
    async with FakeModelServer() as server:
        first, *notes = await engine(tmp_path, PARLEY_ENGINE_URL=server.url)
    assert first.status == "ok"
    assert f"{server.url}/v1: fake-model, no word of how long a thread may be" in first.detail
    assert {note.status for note in notes} == {"off"}
    text = " ".join(note.detail for note in notes)
    for words in ("estimated", "4,096", "top_k", "parked", "repeats itself", "place in the queue"):
        assert words in text
    assert "continue_final_message is refused" in text


async def test_a_server_that_counts_and_tells_its_window_leaves_less_undone(
    tmp_path: Path,
) -> None:
    async with FakeModelServer(window=2_000, counts=True) as server:
        first, *notes = await engine(tmp_path, PARLEY_ENGINE_URL=server.url)
    assert "2,000 tokens a thread there; speaks as vLLM does" in first.detail
    assert len(notes) == 4
    assert notes[0].detail.startswith("A program's suffix is refused")


async def test_what_routers_and_caches_are_told_is_listed(tmp_path: Path) -> None:
    header = {"PARLEY_ENGINE_SESSION_HEADER": "x-user-id"}
    async with VllmServer() as vllm, FakeModelServer() as plain:
        divided = await engine(tmp_path, PARLEY_ENGINE_URL=vllm.url, **header)
        switched_off = await engine(
            tmp_path, PARLEY_ENGINE_URL=vllm.url, PARLEY_ENGINE_CACHE_SALT="off"
        )
        unknown = await engine(tmp_path, PARLEY_ENGINE_URL=plain.url)
        hoped_for = await engine(
            tmp_path, PARLEY_ENGINE_URL=plain.url, PARLEY_ENGINE_CACHE_SALT="on"
        )
    assert [c.detail for c in divided if "x-user-id" in c.detail and c.status == "ok"]
    shared = "cache is one for all workspaces"
    for checks, is_shared in ((divided, False), (switched_off, True), (unknown, True)):
        assert any(shared in check.detail for check in checks) is is_shared
    assert not any(shared in check.detail for check in hoped_for)


async def test_transformers_serve_is_told_apart_and_what_it_refuses_is_listed(
    tmp_path: Path,
) -> None:
    async with TransformersServer() as server:
        first, *notes = await engine(tmp_path, PARLEY_ENGINE_URL=server.url)
    assert first.status == "ok"
    assert first.detail.endswith("speaks as transformers serve does")
    text = " ".join(note.detail for note in notes)
    for words in ("estimated", "4,096", "top_k", "frequency_penalty, logprobs"):
        assert words in text


async def test_servers_out_of_reach_or_with_another_key_fail_and_the_key_is_not_shown(
    tmp_path: Path,
) -> None:
    async with FakeModelServer() as gone:
        pass
    async with FakeModelServer(key="theirs") as strange, FakeModelServer() as well:
        urls = ",".join([gone.url, strange.url, well.url])
        found = await engine(tmp_path, PARLEY_ENGINE_URL=urls, PARLEY_ENGINE_KEY="sk-s3cret")
    unreachable, locked, good = found[:3]
    assert [check.status for check in found[:3]] == ["fail", "fail", "ok"]
    assert "cannot be reached" in unreachable.detail
    assert unreachable.advice == "Start it, or correct PARLEY_ENGINE_URL."
    assert "PARLEY_ENGINE_KEY" in locked.detail
    assert "fake-model" in good.detail
    assert "s3cret" not in repr(found)


async def test_a_model_that_the_server_does_not_have_fails_with_those_it_has(
    tmp_path: Path,
) -> None:
    async with FakeModelServer() as server:
        (check,) = await engine(tmp_path, PARLEY_ENGINE_URL=server.url, PARLEY_ENGINE_MODEL="gpt")
    assert check.status == "fail"
    assert "it has no model 'gpt', but fake-model" in check.detail


async def test_an_unencrypted_way_to_another_machine_is_pointed_out(tmp_path: Path) -> None:
    found = await engine(tmp_path, PARLEY_ENGINE_URL="http://0.0.0.0:9")
    assert [check.status for check in found if "unencrypted" in check.detail] == ["warn"]

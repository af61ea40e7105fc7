"""Models of the hub, as an operator gets them and runs on them."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from bot.inference.model_files import locate
from tests.fakes.hub import COMMIT, FakeHub, running_hub
from tests.fakes.tiny_models import LLAMA, write_tiny_model
from tests.ports import free_port
from tests.scenarios.asking import post
from tests.scenarios.command import command, full_disk
from tests.scenarios.parley import POLL_SECONDS, Parley, running_parley

pytestmark = pytest.mark.model

REPOSITORY = "owner/tiny-GGUF"
TEMPLATE = "{% for m in messages %}{{ m.content }}{% endfor %}"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A tiny model of which llama.cpp knows the kind, whole and in three parts."""
    folder = tmp_path_factory.mktemp("tiny")
    vocabulary = locate.locate(locate.EMBEDDED)
    write_tiny_model(folder / "tiny-F32.gguf", LLAMA, vocabulary, TEMPLATE)
    split = folder / "tiny-split.gguf"
    write_tiny_model(split, LLAMA, vocabulary, TEMPLATE, tensors_per_part=8)
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.gguf"))}


@pytest.fixture
def hub(models: dict[str, bytes]) -> Iterator[FakeHub]:
    with running_hub() as hub:
        hub.files[REPOSITORY] = dict(models)
        yield hub


def environ(hub: FakeHub, folder: Path, model: str = f"hf:{REPOSITORY}:*F32*") -> dict[str, str]:
    return {
        "PARLEY_MODEL": model,
        "PARLEY_KV_TOKENS": "2048",
        "PARLEY_RUNNING": "2",
        "PARLEY_MAX_TOKENS": "4",
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(folder / "hub"),
    }


def cached(folder: Path, name: str) -> Path:
    return folder / "hub/hub/models--owner--tiny-GGUF/snapshots" / COMMIT / name


def body(model: str) -> bytes:
    return json.dumps({"model": model, "messages": [{"role": "user", "content": "Hi"}]}).encode()


def sizes(folder: Path) -> list[int]:
    """Of what came so far of unfinished files."""
    return [path.stat().st_size for path in folder.rglob("*.incomplete")]


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not is_so():  # noqa: ASYNC110 - another process
            await asyncio.sleep(POLL_SECONDS)


async def names(parley: Parley) -> list[str]:
    url = f"{parley.url}/v1/models"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return [each["id"] for each in (await response.json())["data"]]


async def readiness(parley: Parley) -> dict[str, object]:
    """As soon as its server is there."""
    async with asyncio.timeout(30), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"{parley.url}/readyz") as answer:
                    return dict(await answer.json())
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(POLL_SECONDS)


async def test_a_start_downloads_the_model_and_the_next_one_asks_nobody(
    hub: FakeHub, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/assistant.md").write_text("---\ntitle: A\n---\nBe kind.\n")
    pirate = f"---\ntitle: P\nmodel: hf:{REPOSITORY}:tiny-split*\n---\nBe wild.\n"
    (tmp_path / "mine/pirate.md").write_text(pirate)
    settings = {**environ(hub, tmp_path), "PARLEY_PERSONALITIES": str(tmp_path / "mine")}
    async with running_parley(tmp_path, free_port(), settings) as parley:
        first, loading, downloading, *_ = parley.output.splitlines()
        assert first.endswith("starts ...")
        assert loading.endswith("loading tiny-F32 ...")
        assert f"downloading hf:{REPOSITORY}:tiny-F32.gguf, 8 MiB ..." in downloading
        assert await names(parley) == ["tiny-F32", "tiny-tiny-split", "assistant", "pirate"]
        assert (await post(parley, body("tiny-F32"))).status == 200
        assert (await post(parley, body("pirate"))).status == 200
        assert await parley.stop() == 0
        hub.asked.clear()
        await parley.start(HF_ENDPOINT=f"http://127.0.0.1:{free_port()}")
        assert (await post(parley, body("tiny-F32"))).status == 200
        assert await parley.stop() == 0
    assert hub.asked == []
    assert "Traceback" not in parley.output


@asynccontextmanager
async def begun(hub: FakeHub, folder: Path) -> AsyncIterator[Parley]:
    """A Parley of whose model a part came, and no more comes while the test looks."""
    hub.cuts, hub.stalled = deque([2_000_000]), threading.Event()
    parley = Parley(folder, free_port(), environ(hub, folder))
    starting = asyncio.create_task(parley.start())
    try:
        await until(lambda: "downloading" in parley.output and sum(sizes(folder)) > 1_000_000)
        yield parley
    finally:
        starting.cancel()
        hub.stalled.set()
        await parley.kill()


async def test_while_the_model_comes_parley_is_loading_and_can_be_stopped_at_once(
    hub: FakeHub, tmp_path: Path
) -> None:
    async with begun(hub, tmp_path) as parley:
        said = await readiness(parley)
        assert said["ready"] is False
        assert said["model"] == {"name": "tiny-F32", "status": "loading"}
        assert await parley.stop() == 0
    assert "stopped; what came is kept" in parley.output


async def test_what_came_before_a_kill_does_not_come_again(hub: FakeHub, tmp_path: Path) -> None:
    async with begun(hub, tmp_path) as parley:
        await parley.kill()
        (num_kept,) = sizes(tmp_path)
    hub.asked.clear()
    name = f"hf:{REPOSITORY}:*F32*"
    result = await command(tmp_path, "models", "get", name, environ=environ(hub, tmp_path))
    whole = cached(tmp_path, "tiny-F32.gguf")
    assert result.out == f"{whole} (8 MiB) is here. To run on it, set\nPARLEY_MODEL={name}\n"
    assert hub.downloads() == [f"bytes={num_kept}-"]


async def test_a_disk_that_fills_up_is_a_sentence_and_ask_goes_on_with_what_came(
    hub: FakeHub, tmp_path: Path
) -> None:
    settings, full = environ(hub, tmp_path), full_disk(1_000_000)
    arguments = ("models", "get", f"hf:{REPOSITORY}:*F32*")
    result = await command(tmp_path, *arguments, environ=settings, before=full)
    assert result.code == 2
    assert result.err.splitlines()[-1].startswith(f"The disk is full, so hf:{REPOSITORY}:*F32* is")
    assert sizes(tmp_path) == [1_000_000]
    result = await command(tmp_path, "ask", "Hi", environ=settings)
    assert (result.code, "downloading" in result.out) == (0, False)
    assert result.err.startswith(f"downloading hf:{REPOSITORY}:tiny-F32.gguf, 8 MiB ...")
    assert hub.downloads() == ["", "bytes=1000000-"]


async def test_a_hub_that_is_away_ends_a_start_so_that_it_is_tried_again(tmp_path: Path) -> None:
    """Systemd starts Parley anew after every exit code but 2."""
    settings = environ(FakeHub(url=f"http://127.0.0.1:{free_port()}"), tmp_path)
    result = await command(tmp_path, "run", environ=settings)
    assert result.code == 1
    assert result.err.startswith("The hub at 127.0.0.1:")
    assert len(result.err.splitlines()) == 1

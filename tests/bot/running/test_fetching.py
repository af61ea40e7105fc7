"""Models of the hub are downloaded when Parley or a personality needs them."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

import pytest
from huggingface_hub import close_session, constants
from rich.console import Console

from bot.config import Settings, load_settings
from bot.errors import HubUnavailable, ModelError, PersonalityError
from bot.inference.multi_model.catalogue import Catalogue
from bot.running.engines import make_catalogue
from bot.running.fetching import download, fetch_default, fetch_named, one_by_one
from bot.running.progress import DownloadShow, DownloadStopped
from bot.types import Personality
from tests.fakes.hub import Answer, FakeHub, running_hub

REPOSITORY = "owner/tiny-GGUF"
SOURCE = f"hf:{REPOSITORY}:*Q8_0.gguf"
PIRATE = Personality("pirate", "P", "Be wild.", model="tiny-Q8_0", model_source=SOURCE)


@dataclass
class Fetching:
    """``said``: the lines for a person."""

    hub: FakeHub
    settings: Settings
    catalogue: Catalogue
    said: list[str] = field(default_factory=list)

    def shows(self) -> DownloadShow:
        return DownloadShow(self.said.append, Console(file=StringIO()))

    async def named(self, *personalities: Personality) -> None:
        await fetch_named(self.settings, self.catalogue, personalities, self.shows)


@pytest.fixture
def fetching(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fetching]:
    settings = load_settings({"PARLEY_MODEL": SOURCE, "PARLEY_KV_TOKENS": "512"}, tmp_path)
    with running_hub() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        hub.files[REPOSITORY] = {"tiny-Q8_0.gguf": b"GGUF" + bytes(3_000_000)}
        yield Fetching(hub, settings, make_catalogue(settings))
        close_session()


def other(source: str, name: str = "tiny-Q8_0") -> Personality:
    return Personality("other", "O", "Be kind.", model=name, model_source=source)


async def test_what_is_missing_is_downloaded_once(fetching: Fetching) -> None:
    await fetch_default(fetching.settings, fetching.shows)
    assert fetching.said == [f"downloading hf:{REPOSITORY}:tiny-Q8_0.gguf, 3 MiB ..."]
    fetching.hub.asked.clear()
    await fetch_default(fetching.settings, fetching.shows)
    await fetching.named(PIRATE)
    assert fetching.hub.asked == []


async def test_a_draft_model_is_downloaded_after_the_model(
    fetching: Fetching, tmp_path: Path
) -> None:
    fetching.hub.files[REPOSITORY]["small-Q8_0.gguf"] = b"GGUF" + bytes(1_000_000)
    environ = {"PARLEY_DRAFT_MODEL": f"hf:{REPOSITORY}:small*", "PARLEY_KV_TOKENS": "512"}
    given = {**environ, "PARLEY_MODEL": f"hf:{REPOSITORY}:tiny*"}
    settings = await asyncio.to_thread(load_settings, given, tmp_path)
    await fetch_default(settings, fetching.shows)
    assert [line.split(":")[2].split(",")[0] for line in fetching.said] == [
        "tiny-Q8_0.gguf",
        "small-Q8_0.gguf",
    ]


async def test_the_servers_of_others_need_no_download(fetching: Fetching, tmp_path: Path) -> None:
    environ = {"PARLEY_MODEL": SOURCE, "PARLEY_ENGINE_URL": "http://127.0.0.1:1"}
    settings = await asyncio.to_thread(load_settings, environ, tmp_path)
    await fetch_default(settings, fetching.shows)
    await fetch_named(settings, fetching.catalogue, [PIRATE], fetching.shows)
    assert fetching.hub.asked == []


async def test_why_there_is_no_download_reaches_who_waits(fetching: Fetching) -> None:
    fetching.hub.next_api = deque([Answer(429, {"Retry-After": "9"})] * 2)
    with pytest.raises(HubUnavailable, match="try again in 9 s"):
        await fetch_default(fetching.settings, fetching.shows)
    with pytest.raises(PersonalityError, match=r"pirate\.md: The hub was asked too often"):
        await fetching.named(PIRATE)


def test_a_model_for_which_memory_is_short_is_not_begun(fetching: Fetching) -> None:
    with fetching.shows() as show, pytest.raises(ModelError) as caught:
        download(fetching.settings, SOURCE, show=show, available=lambda: 1 << 20)
    assert str(caught.value) == (
        "tiny-Q8_0 with 512 tokens of context needs 0.1 GiB of memory, and 0.0 GiB are free: "
        "choose a smaller model or quantisation."
    )
    assert (fetching.said, fetching.hub.downloads()) == ([], [])


async def test_who_is_cancelled_waits_for_no_network(fetching: Fetching, tmp_path: Path) -> None:
    fetching.hub.cuts, fetching.hub.stalled = deque([1_000_000]), threading.Event()
    waiting = asyncio.create_task(fetch_default(fetching.settings, fetching.shows))
    while not fetching.hub.downloads():  # noqa: ASYNC110 - another thread
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert fetching.said[-1] == "stopped; what came is kept, and the next time goes on with it"


# Personalities


async def test_a_model_is_downloaded_before_the_personality_is_looked_at(
    fetching: Fetching,
) -> None:
    names: list[str] = []

    async def look(personalities: tuple[Personality, ...]) -> None:
        names.extend(await asyncio.to_thread(fetching.catalogue.read))
        assert fetching.hub.downloads()

    await one_by_one(lambda found: fetching.named(*found), look)((PIRATE,))
    assert names == ["tiny-Q8_0"]


async def test_two_models_of_one_name_are_a_mistake(fetching: Fetching) -> None:
    with pytest.raises(PersonalityError) as caught:
        await fetching.named(PIRATE, other("hf:somebody/tiny-GGUF:*Q8_0.gguf"))
    assert str(caught.value).partition(": ")[2] == (
        f"its model hf:somebody/tiny-GGUF:*Q8_0.gguf would be called tiny-Q8_0, as {SOURCE} is: "
        "name its file in full, or change the other one and start Parley again."
    )


async def test_a_file_in_the_folder_is_preferred_to_a_short_name(
    fetching: Fetching, tmp_path: Path
) -> None:
    def put() -> None:
        (tmp_path / "models").mkdir()
        (tmp_path / "models" / "qwen3-4b.gguf").touch()
        fetching.catalogue.read()

    await asyncio.to_thread(put)
    await fetching.named(other("qwen3-4b", name="qwen3-4b"))
    assert fetching.hub.asked == []


# How it is shown


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Coming:
    title, num_bytes = "hf:a/b:m.gguf", 40 << 20


def test_a_log_gets_a_line_now_and_then() -> None:
    said: list[str] = []
    clock = Clock()
    with DownloadShow(said.append, Console(file=StringIO()), clock) as show:
        show.begin(Coming())
        for percent in range(0, 101, 10):
            clock.now += 6
            show.advance("m.gguf", Coming.num_bytes * percent // 100, Coming.num_bytes)
    lines = ["downloading hf:a/b:m.gguf, 40 MiB ..."]
    assert said == lines + [f"m.gguf: {percent}% of 40 MiB" for percent in (20, 50, 80)]


def test_a_terminal_gets_a_bar_that_is_gone_from_the_cursor_afterwards() -> None:
    screen = StringIO()
    console = Console(file=screen, force_terminal=True, width=100)
    with DownloadShow(console.print, console) as show:
        show.begin(Coming())
        show.advance("m.gguf", Coming.num_bytes, Coming.num_bytes)
    shown = screen.getvalue()
    assert "40.0/40.0 MiB" in shown
    assert shown.rstrip("\n").endswith("\x1b[?25h"), "the cursor is shown again"
    with pytest.raises(DownloadStopped):
        show.advance("m.gguf", 1, 1)

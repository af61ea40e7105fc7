"""What a person reads in the terminal when Parley starts."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from bot.config import load_settings
from bot.running.banner import Banner
from bot.running.loading import describe_device
from bot.types import AdapterState


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [re.sub(r"\s+", " ", line).strip() for line in capsys.readouterr().out.splitlines()]


def test_the_model_with_what_it_can_do_and_where_it_runs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    banner = Banner()
    banner.model("smollm2", window=8192, running=16, device="CPU (8 threads)")
    banner.file(Path("data/models/smollm2-Q8_0.gguf"), 144_811_072)
    assert lines(capsys) == [
        "model smollm2: 8,192 tokens a thread, 16 replies at once, CPU (8 threads)",
        "file data/models/smollm2-Q8_0.gguf (138 MiB)",
    ]


def test_the_speed_of_a_file_is_said_if_it_was_measured(
    capsys: pytest.CaptureFixture[str],
) -> None:
    banner = Banner()
    banner.speed("plain attention: 115 tokens/s for 8 replies")
    banner.speed("")
    assert lines(capsys) == ["speed plain attention: 115 tokens/s for 8 replies"]


def test_the_draft_model_is_said_with_its_file(capsys: pytest.CaptureFixture[str]) -> None:
    Banner().draft_model(Path("models/small.gguf"), 144_811_072)
    assert lines(capsys) == ["draft models/small.gguf (138 MiB) foresees what the model says"]


def test_a_platform_that_is_off_says_what_switches_it_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Banner().platforms(load_settings({}, tmp_path), [])
    said = dict(line.split(" ", 1) for line in lines(capsys))
    assert list(said) == ["slack", "discord", "teams"]
    assert "set SLACK_BOT_TOKEN" in said["slack"]
    assert all(text.startswith("off: ") and not text.endswith(".") for text in said.values())


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (AdapterState("slack", "up"), "slack on"),
        (AdapterState("slack", "up", "as Parley"), "slack on: as Parley"),
        (AdapterState("slack", "down", "no token"), "slack down: no token; it is tried again"),
    ],
)
def test_a_platform_that_is_set_up_says_how_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], state: AdapterState, line: str
) -> None:
    Banner().platforms(load_settings({}, tmp_path), [state])
    assert lines(capsys)[0] == line


def test_the_ways_in_name_the_address_and_a_first_question(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    banner = Banner()
    banner.ways_in(load_settings({}, tmp_path), "http://127.0.0.1:3978")
    banner.ready(2.345)
    http, ask, ready = lines(capsys)
    assert "http://127.0.0.1:3978/v1 (OpenAI's chat API; health at /readyz)" in http
    assert "-m bot ask" in ask
    assert ready == "Ready after 2.3 s. Ctrl-C stops Parley."


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        ({}, "page http://127.0.0.1:3978/ (chats in your browser)"),
        (
            {"PARLEY_PUBLIC_URL": "https://parley.example.com"},
            "page https://parley.example.com/ (chats in your browser; it asks for a key)",
        ),
        (
            {"PARLEY_TRUSTED_PROXIES": "127.0.0.1"},
            "page http://127.0.0.1:3978/ (chats in your browser; you sign in at your proxy)",
        ),
    ],
)
def test_the_page_has_an_address_to_click_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], environ: dict[str, str], line: str
) -> None:
    Banner().page(load_settings(environ, tmp_path), "http://127.0.0.1:3978")
    assert lines(capsys) == [line]


def test_the_ways_in_say_when_everybody_needs_a_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = load_settings({"PARLEY_PUBLIC_URL": "https://parley.example.com"}, tmp_path)
    Banner().ways_in(settings, "http://127.0.0.1:3978")
    assert "OpenAI's chat API, with a key of PARLEY_API_KEYS" in lines(capsys)[0]


def test_the_ways_in_name_the_proxy_at_which_people_sign_in(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    settings = load_settings({"PARLEY_TRUSTED_PROXIES": "127.0.0.1"}, tmp_path)
    Banner().ways_in(settings, "http://127.0.0.1:3978")
    assert "or a sign-in at your proxy" in " ".join(lines(capsys))


def test_brackets_in_what_a_platform_says_are_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Banner().say("slack", "down: [red]oh[/red]")
    assert lines(capsys) == ["slack down: [red]oh[/red]"]


def test_a_reader_of_the_lines_that_goes_ends_no_parley(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    pipe = os.fdopen(writing, "w", closefd=False)
    monkeypatch.setattr(sys, "stdout", pipe)
    banner = Banner()
    banner.loading("smollm2")
    banner.ready(1.0)
    monkeypatch.undo()
    with suppress(BrokenPipeError):
        pipe.close()
    os.close(writing)


def test_one_thread_is_one(tmp_path: Path) -> None:
    one = load_settings({"PARLEY_CPU_THREADS": "1", "PARLEY_GPU_LAYERS": "0"}, tmp_path)
    two = load_settings({"PARLEY_CPU_THREADS": "2", "PARLEY_GPU_LAYERS": "0"}, tmp_path)
    assert (describe_device(one), describe_device(two)) == ("CPU (1 thread)", "CPU (2 threads)")

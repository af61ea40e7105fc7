from __future__ import annotations

import asyncio
import socket
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import constants

from adapters.web.routes import page_routes
from bot.cli.checks import Check
from bot.cli.doctor import examine, report
from bot.clock import SystemClock
from bot.config import load_settings
from bot.history import open_store
from bot.inference.llama.backend import supports_gpu
from bot.inference.llama.files import quantize
from bot.inference.llama.options import Attention, KVLayout
from bot.inference.llama.tuning import Figure, Tuning
from bot.inference.model_files import locate
from bot.inference.model_files.requantised import Copies, Quantisation
from bot.lock import DataLock
from bot.metrics import Metrics
from bot.running.loading import prove, prove_source
from bot.running.proofs import Proofs
from bot.server import Server, ServerSettings
from tests.adapters.web.pages import loaded_at_once, page_context
from tests.fakes.chats import FakeChats
from tests.fakes.clock import FakeClock
from tests.fakes.readiness import always
from tests.ports import free_port
from tests.vocabularies import vocabularies_or_skip

SECRET = "0123456789abcdef0123456789abcdef"
SLACK = {
    "SLACK_BOT_TOKEN": "xoxb-hunter2",
    "SLACK_SIGNING_SECRET": SECRET,
    "SLACK_API_URL": f"http://127.0.0.1:{free_port()}/api/",
}


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def checks(folder: Path, **environ: str) -> dict[str, Check]:
    """By name; unless the test says otherwise, a free port and a pool that is tried quickly."""
    found = examine({"PARLEY_PORT": "0", "PARLEY_KV_TOKENS": "1024", **environ}, folder)
    return {check.name: check for check in found}


def test_on_a_fresh_machine_everything_is_ok_or_off(tmp_path: Path) -> None:
    found = checks(tmp_path)
    assert {check.status for check in found.values()} == {"ok", "off"}
    assert "Q4_1" in found["model"].detail
    assert "llama.cpp" in found["engine"].detail
    assert found["database"].detail.endswith("will be made at the first start")
    assert found["slack"].advice == "Set SLACK_BOT_TOKEN and SLACK_APP_TOKEN."
    assert list(tmp_path.iterdir()) == [], "looking changes nothing"


def test_what_takes_several_lines_stands_in_one_column() -> None:
    broken = Check("personalities", "fail", "a.md:3: no.\na.md:4: no.", "Mend them.")
    assert report([broken]).splitlines() == [
        "fail personalities  a.md:3: no.",
        "                    a.md:4: no.",
        "                    Mend them.",
    ]


def test_every_wrong_setting_is_a_line_of_its_own(tmp_path: Path) -> None:
    found = examine({"PARLEY_PORT": "x", "PARLEY_QUEUE": "0"}, tmp_path)
    assert [(check.name, check.status) for check in found] == [("settings", "fail")] * 2


def test_what_is_set_is_named_and_no_secret_is_shown(tmp_path: Path) -> None:
    found = examine({**SLACK, "PARLEY_API_KEYS": "ci:hunter2"}, tmp_path)
    text = report(found)
    assert "set: PARLEY_API_KEYS, SLACK_BOT_TOKEN, SLACK_SIGNING_SECRET, SLACK_API_URL" in text
    assert "hunter2" not in text
    assert SECRET not in text


def test_what_this_version_cannot_do_fails(tmp_path: Path) -> None:
    found = examine({"PARLEY_DATABASE_URL": "postgresql://db", "PARLEY_PORT": "0"}, tmp_path)
    failed = [check for check in found if check.status == "fail"]
    (problem,) = [check.detail for check in failed if check.name == "settings"]
    assert problem.endswith("no other database is in this version.")


@pytest.mark.parametrize(
    ("model", "size"), [("hf:a/b:*q4*", ""), ("qwen3-4b", ", about 2,382 MiB")]
)
def test_a_model_that_the_next_start_downloads_is_said_to_be_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, size: str
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    found = checks(tmp_path, PARLEY_MODEL=model)["model"]
    assert found.status == "ok"
    assert found.detail == f"{model} is not here yet{size}: the next start downloads it"
    assert found.advice == f"`python -m bot models get {model}` downloads it now."
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    found = checks(tmp_path, PARLEY_MODEL=model)["model"]
    assert (found.status, found.advice) == ("fail", "")
    assert found.detail.startswith(f"{model} is not on this machine and HF_HUB_OFFLINE is set")


@pytest.mark.parametrize(
    ("content", "words"), [(None, "There is no model file"), (b"text", "is not a GGUF file")]
)
def test_a_model_that_cannot_be_used_fails(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    if content is not None:
        (tmp_path / "my.gguf").write_bytes(content)
    model = checks(tmp_path, PARLEY_MODEL="my.gguf")["model"]
    assert model.status == "fail"
    assert words in model.detail


@pytest.mark.parametrize(
    ("draft", "status", "words"),
    [
        ("smollm2", "ok", "SmolLM2"),
        ("other.gguf", "fail", "other has another vocabulary than the model"),
        ("gone.gguf", "fail", "gone.gguf: set PARLEY_DRAFT_MODEL to a GGUF file"),
        ("qwen3-4b", "ok", "qwen3-4b is not here yet"),
    ],
)
def test_whether_the_draft_model_suits_the_model_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, draft: str, status: str, words: str
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    (tmp_path / "other.gguf").symlink_to(vocabularies_or_skip() / "ggml-vocab-phi-3.gguf")
    found = checks(tmp_path, PARLEY_DRAFT_MODEL=draft)
    assert (found["draft"].status, found["trial"].status) == (status, "ok")
    assert words in found["draft"].detail


def test_a_pool_that_does_not_fit_the_memory_fails(tmp_path: Path) -> None:
    model = checks(tmp_path, PARLEY_KV_TOKENS="2000000000")["model"]
    assert model.status == "fail"
    assert "PARLEY_KV_TOKENS" in model.detail


@pytest.mark.skipif(supports_gpu(), reason="a GPU has no use for it")
def test_a_faster_copy_is_proposed_where_it_helps(tmp_path: Path) -> None:
    original = locate.locate("smollm2")
    (tmp_path / "mine.Q4_1.gguf").symlink_to(original)
    (tmp_path / "mine.Q8_0.gguf").symlink_to(original)
    assert "next start makes a copy" in checks(tmp_path)["model"].advice
    assert "PARLEY_OPTIMIZE=auto" in checks(tmp_path, PARLEY_OPTIMIZE="off")["model"].advice
    mine = [checks(tmp_path, PARLEY_MODEL=f"mine.{q}.gguf")["model"] for q in ("Q4_1", "Q8_0")]
    assert "`python -m bot models optimize`" in mine[0].advice
    assert mine[1].advice == ""


@pytest.mark.skipif(supports_gpu(), reason="a GPU has no use for it")
def test_the_copy_that_is_there_is_shown(tmp_path: Path) -> None:
    original = locate.locate("smollm2")
    folder = tmp_path / "data" / "models"
    copies = Copies(folder, "smollm2", original, locate.EMBEDDED_SHA256, quantize)
    made = copies.make(Quantisation.Q8_0, 1)
    model = checks(tmp_path)["model"]
    assert str(made) in model.detail
    assert "Q8_0" in model.detail
    assert model.advice == ""
    assert str(original) in checks(tmp_path, PARLEY_OPTIMIZE="off")["model"].detail


@pytest.mark.skipif(supports_gpu(), reason="on a GPU nothing is measured")
def test_what_a_trial_measured_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    given = {"PARLEY_CPU_THREADS": "1", "PARLEY_KV_TOKENS": "16384", "PARLEY_OPTIMIZE": "off"}
    lanes = (Attention.FLASH, KVLayout.UNIFIED), (Attention.PLAIN, KVLayout.STREAMS)
    flash, plain = (Figure(*lane, 1, 39, 47, 90, 150) for lane in lanes)
    choice = {"attention": plain.attention, "kv_layout": plain.kv_layout}
    tunings = (
        Tuning(choice, (flash, replace(plain, together=115)), num_replies=8, depth=960),
        Tuning({}, fault="llama.cpp died"),
    )
    shown = []
    for number, tuning in enumerate(tunings):
        told = f"print('proved'); print({tuning.to_text()!r})"
        settings = load_settings({**given, "PARLEY_RUNNING": str(8 - number)}, tmp_path)
        child = Proofs(command=(sys.executable, "-c", told))
        prove(settings, child, locate.locate("smollm2"))
        shown.append(checks(tmp_path, **given, PARLEY_RUNNING=str(8 - number))["tuning"])
    measured, failed = shown
    assert measured.status == "ok"
    assert measured.detail == (
        "plain attention, a stream for each reply, micro-batches of 512 tokens, 1 CPU thread: "
        "115 tokens/s for 8 replies at depth 960, 39 for one; "
        "flash attention, one pool for all replies: 47, 39"
    )
    assert failed.status == "warn"
    assert failed.detail.endswith("nothing was measured, since llama.cpp died")


def test_what_the_next_start_measures_is_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy that the next start makes is measured, not the original."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    given = {"PARLEY_KV_TOKENS": "16384"}
    child = Proofs(command=(sys.executable, "-c", "print('proved')"))
    prove_source(load_settings(given, tmp_path), child, locate.locate("smollm2"))
    tuning = checks(tmp_path, **given)["tuning"]
    assert (tuning.status, tuning.detail[:24]) == ("ok", "the next start measures ")


def test_gpu_layers_on_a_build_without_gpu_are_pointed_out(tmp_path: Path) -> None:
    engine = checks(tmp_path, PARLEY_GPU_LAYERS="10")["engine"]
    assert engine.status == ("ok" if supports_gpu() else "warn")


def test_a_port_that_another_program_uses_fails_with_what_to_do(tmp_path: Path, taken: int) -> None:
    port = checks(tmp_path, PARLEY_PORT=str(taken))["port"]
    assert port.status == "fail"
    assert "PARLEY_PORT" in port.advice


def test_without_keys_a_public_parley_answers_only_ask(tmp_path: Path) -> None:
    keys = checks(tmp_path, PARLEY_PUBLIC_URL="https://parley.example.com")["keys"]
    assert (keys.status, keys.advice) == ("off", "Set PARLEY_API_KEYS to use them.")
    assert checks(tmp_path)["keys"].status == "ok"


def test_doctor_says_that_pages_of_inner_networks_may_be_read(tmp_path: Path) -> None:
    details = [each.detail for each in examine({"PARLEY_FETCH_ALLOW": "intranet:80"}, tmp_path)]
    assert any("see those of intranet:80." in detail for detail in details)


def test_without_keys_people_may_sign_in_at_a_proxy(tmp_path: Path) -> None:
    keys = checks(tmp_path, PARLEY_TRUSTED_PROXIES="127.0.0.1")["keys"]
    assert (keys.status, "sign in" in keys.detail) == ("ok", True)


def test_a_data_folder_in_use_tells_by_whom(tmp_path: Path) -> None:
    with DataLock(tmp_path / "data") as lock:
        lock.announce("http://127.0.0.1:4000", "key")
        data = checks(tmp_path)["data"]
    assert data.detail.endswith("is in use by the Parley at http://127.0.0.1:4000")


def test_a_data_folder_that_is_a_file_fails(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    assert checks(tmp_path)["data"].status == "fail"


async def make_database(path: Path) -> None:
    store = await open_store(f"sqlite:///{path}", SystemClock())
    await store.close()


def test_a_database_of_ours_is_sound_with_its_schema(tmp_path: Path) -> None:
    asyncio.run(make_database(tmp_path / "data" / "parley.db"))
    database = checks(tmp_path)["database"]
    assert database.status == "ok"
    assert "is sound, schema" in database.detail


def test_a_database_of_a_newer_parley_fails_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "data" / "parley.db"
    asyncio.run(make_database(path))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0099'")
    database = checks(tmp_path)["database"]
    assert database.status == "fail"
    assert "is of a newer Parley (schema 0099)" in database.detail
    assert database.advice.startswith("Update Parley")


@pytest.mark.parametrize("content", [b"no database at all" * 100, b""])
def test_a_file_that_is_no_database_of_ours_fails(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "parley.db").write_bytes(content)
    assert checks(tmp_path)["database"].status == "fail"


def test_a_strangers_database_fails(tmp_path: Path) -> None:
    path = tmp_path / "their.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (a)")
    connection.close()
    database = checks(tmp_path, PARLEY_DATABASE_URL=f"sqlite:///{path}")["database"]
    assert database.status == "fail"
    assert "PARLEY_DATABASE_URL" in database.advice


def test_a_broken_personality_fails_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "assistant.md").write_text("no front matter\n")
    personalities = checks(tmp_path, PARLEY_PERSONALITIES="mine")["personalities"]
    assert personalities.status == "fail"
    assert "assistant.md:1" in personalities.detail


def test_a_personality_whose_remote_model_is_nowhere_fails(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    front = "---\ntitle: A\nstrategy: route\nremote: gpt-x\n---\nYou are brief.\n"
    (tmp_path / "mine" / "assistant.md").write_text(front)
    personalities = checks(tmp_path, PARLEY_PERSONALITIES="mine")["personalities"]
    assert personalities.status == "fail"
    assert "assistant.md: remote is gpt-x, but PARLEY_REMOTE_URL" in personalities.detail
    there = {"PARLEY_REMOTE_URL": "https://api.example.com/v1"}
    found = checks(tmp_path, PARLEY_PERSONALITIES="mine", **there)["personalities"]
    assert found.status == "ok"


def test_files_of_facts_that_are_not_read_are_told(tmp_path: Path) -> None:
    (tmp_path / "mine" / "sea").mkdir(parents=True)
    (tmp_path / "mine" / "assistant.md").write_text("---\ntitle: A\nfacts: sea\n---\nAnswer.\n")
    (tmp_path / "mine" / "sea" / "tides.md").write_text("The tide comes twice a day.\n")
    folder = tmp_path / "mine"
    facts = checks(tmp_path, PARLEY_PERSONALITIES=str(folder))["facts"]
    assert (facts.status, facts.detail) == ("ok", f"1 files in {folder}/sea")
    (folder / "sea" / "chart.png").write_bytes(b"\x89PNG")
    facts = checks(tmp_path, PARLEY_PERSONALITIES=str(folder))["facts"]
    assert facts.status == "warn"
    assert f"{folder}/sea/chart.png is of a kind that is not read" in facts.detail


async def test_a_broken_edit_is_told_by_the_parley_that_does_not_use_it(tmp_path: Path) -> None:
    server = Server(ServerSettings(port=0, own_key="own", is_public=True), Metrics(), always())
    loaded = loaded_at_once(FakeChats())
    server.mount_page(page_routes(page_context(server, loaded, FakeClock())))
    (tmp_path / "data").mkdir()
    async with DataLock(tmp_path / "data") as lock, server:
        await asyncio.to_thread(lock.announce, server.url, "own")
        found = (await asyncio.to_thread(checks, tmp_path))["personalities"]
    assert found.status == "fail"
    assert "coder.md:3: 'temperatur' is unknown here. (since 2026-01-07" in found.detail
    assert "right before" in found.advice


def test_the_report_has_one_line_each_and_the_advice_under_it() -> None:
    text = report([Check("model", "ok", "fine"), Check("slack", "off", "not set up", "Set X.")])
    assert text == "ok   model  fine\noff  slack  not set up\n            Set X."

"""A start that cannot succeed: exit code 2, one sentence that says what to do, nothing harmed."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from bot.inference.model_files import locate
from bot.lock import DataLock
from tests.fakes.gguf_files import write_embedding_model
from tests.scenarios.command import bound_by_file_modes, command, full_disk
from tests.scenarios.parley import ROOT

pytestmark = pytest.mark.model

BROKEN_PERSONALITY = "---\ntitle: Broken\ntemprature: 1\n---\nBe kind.\n"
MEGABYTE = 1 << 20


async def refusals(
    folder: Path, *, before: Callable[[], None] | None = None, **environ: str
) -> list[str]:
    """The lines that a start which is refused prints on stderr."""
    result = await command(folder, "run", environ=environ, before=before)
    assert (result.code, "Ready" in result.out) == (2, False), result
    return result.err.splitlines()


async def refusal(folder: Path, *, before: Callable[[], None] | None = None, **environ: str) -> str:
    (sentence,) = await refusals(folder, before=before, **environ)
    assert sentence.endswith((".", "?"))
    return sentence


async def test_no_model_file(tmp_path: Path) -> None:
    assert await refusal(tmp_path, PARLEY_MODEL="nothing.gguf") == (
        "There is no model file nothing.gguf: set PARLEY_MODEL to a GGUF file, to "
        "llama-3.2-1b, qwen3-4b, mistral-small-3.2 or another model of the hub (hf:…), or leave "
        "it unset for the embedded smollm2."
    )


async def test_a_folder_instead_of_a_model(tmp_path: Path) -> None:
    sentence = await refusal(tmp_path, PARLEY_MODEL=str(tmp_path))
    assert sentence == f"{tmp_path} is a folder: set PARLEY_MODEL to a GGUF file in it."


@pytest.mark.parametrize(
    ("num_bytes", "reason"), [(50 * MEGABYTE, "is corrupted or incomplete"), (1_000, "")]
)
async def test_a_truncated_model(tmp_path: Path, num_bytes: int, reason: str) -> None:
    whole = await asyncio.to_thread(locate.locate, "smollm2")
    path = tmp_path / "half.gguf"
    path.write_bytes(whole.read_bytes()[:num_bytes])
    sentence = await refusal(tmp_path, PARLEY_MODEL="half.gguf")
    assert sentence.startswith("The model half.gguf cannot be loaded (")
    assert sentence.endswith(f"{reason}): download it again or use another one.")


async def test_text_named_gguf(tmp_path: Path) -> None:
    (tmp_path / "notes.gguf").write_text("Dear diary")
    sentence = await refusal(tmp_path, PARLEY_MODEL="notes.gguf")
    assert sentence == "notes.gguf is not a GGUF file: set PARLEY_MODEL to one."


async def test_an_embedding_model(tmp_path: Path) -> None:
    write_embedding_model(tmp_path / "embedder.gguf")
    assert await refusal(tmp_path, PARLEY_MODEL="embedder.gguf") == (
        "embedder.gguf is an embedding model and cannot write text: "
        "set PARLEY_MODEL to a chat model."
    )


async def test_a_context_larger_than_memory(tmp_path: Path) -> None:
    sentence = await refusal(tmp_path, PARLEY_KV_TOKENS="500000000")
    assert "with 500,000,000 tokens of context needs 21458" in sentence
    assert "GiB are free: set PARLEY_KV_TOKENS to " in sentence


async def test_a_data_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o500)
    assert await refusal(tmp_path, before=bound_by_file_modes) == (
        "The data folder data cannot be written (Permission denied); make it writable or "
        "choose another with PARLEY_DATA_DIR."
    )


async def test_a_file_where_the_data_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("precious")
    assert await refusal(tmp_path) == (
        "data is a file, and Parley's data folder should be there; move it away or choose "
        "another folder with PARLEY_DATA_DIR."
    )
    assert (tmp_path / "data").read_text() == "precious"


async def test_a_data_folder_in_use_by_another_parley(tmp_path: Path) -> None:
    async with DataLock(tmp_path / "data") as lock:
        await asyncio.to_thread(lock.announce, "http://127.0.0.1:3979", "key")
        assert await refusal(tmp_path) == (
            "Parley runs already at http://127.0.0.1:3979 with the data folder data; "
            "stop it, or choose another folder with PARLEY_DATA_DIR."
        )
        assert (tmp_path / "data" / "parley.url").exists()


async def test_the_database_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as shop:
        shop.execute("CREATE TABLE orders (id INTEGER)")
        shop.commit()
    sentence = await refusal(tmp_path, PARLEY_DATABASE_URL=f"sqlite:///{path}")
    assert sentence == f"{path} belongs to another program; set PARLEY_DATABASE_URL."
    with closing(sqlite3.connect(path)) as shop:
        tables = shop.execute("SELECT name FROM sqlite_master").fetchall()
    assert tables == [("orders",)]


async def test_a_database_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "letter.db"
    path.write_text("Dear Sir or Madam, " * 100)
    sentence = await refusal(tmp_path, PARLEY_DATABASE_URL=f"sqlite:///{path}")
    assert sentence == (f"{path} is not a database; move it away, or set PARLEY_DATABASE_URL.")
    assert path.read_text() == "Dear Sir or Madam, " * 100


async def test_a_full_disk(tmp_path: Path) -> None:
    sentence = await refusal(tmp_path, before=full_disk(8_192))
    assert sentence == (
        "Nothing could be stored: the disk of data/parley.db is full. Make room and start again."
    )


async def test_wrong_settings_are_all_named_at_once(tmp_path: Path) -> None:
    file = 'qeue = 5\nper_minute = -1\n[slack]\nbot_token = "xoxb-1"\n'
    (tmp_path / "parley.toml").write_text(file)
    lines = await refusals(
        tmp_path, PARLEY_PORT="eighty", PARLEY_MAX_TOKENS="-1", PARLEY_LOG_LEVEL="loud"
    )
    text = "\n".join(lines)
    named = ("qeue", "per_minute", "PARLEY_PORT", "PARLEY_MAX_TOKENS", "PARLEY_LOG_LEVEL")
    assert all(name in text for name in named), text
    assert "SLACK_SIGNING_SECRET" in text
    assert len(lines) == len(named) + 1


async def test_a_settings_file_that_is_no_toml(tmp_path: Path) -> None:
    (tmp_path / "parley.toml").write_text("port: 80\n")
    assert "parley.toml" in await refusal(tmp_path)


async def test_a_port_that_is_taken_is_told_before_the_model_is_loaded(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        sentence = await refusal(tmp_path, PARLEY_PORT=port, PARLEY_MODEL="nothing.gguf")
    assert sentence == (
        f"Port {port} on 127.0.0.1 is taken by another program; "
        "stop it, or set PARLEY_PORT to a free port."
    )


async def test_a_personality_that_is_wrong_is_told_with_its_line(tmp_path: Path) -> None:
    folder = tmp_path / "personalities"
    folder.mkdir()
    (folder / "assistant.md").write_text(BROKEN_PERSONALITY)
    sentence = await refusal(tmp_path, PARLEY_PERSONALITIES=str(folder))
    assert sentence.startswith(f"{folder / 'assistant.md'}:3: ")
    assert "temprature" in sentence


async def test_a_default_personality_that_is_not_there(tmp_path: Path) -> None:
    sentence = await refusal(tmp_path, PARLEY_PERSONALITY="pirate")
    assert "there is no personality 'pirate'; known: assistant, " in sentence


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
async def test_an_address_that_strangers_reach_needs_a_key(tmp_path: Path, host: str) -> None:
    assert await refusal(tmp_path, PARLEY_HOST=host) == (
        f"PARLEY_HOST is {host}, which other machines can reach, but no key is set; "
        "set PARLEY_API_KEYS or PARLEY_BASIC_AUTH, or listen on 127.0.0.1."
    )


async def test_an_address_of_another_machine(tmp_path: Path) -> None:
    sentence = await refusal(tmp_path, PARLEY_HOST="192.0.2.1", PARLEY_API_KEYS="ci:s3cret")
    assert sentence == ("192.0.2.1 is no address of this machine; set PARLEY_HOST to one that is.")


DIES_OF_IT = """
import os, signal, sys
if "bot.inference.llama.child" in sys.orig_argv:
    os.kill(os.getpid(), signal.SIGILL)
"""


async def test_a_llama_cpp_that_dies_of_this_processor(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(DIES_OF_IT)
    environ = {"PYTHONPATH": f"{tmp_path}:{ROOT}", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    says = (
        "llama.cpp died of an illegal instruction (SIGILL) while it started with the model "
        "SmolLM2-135M-Instruct.Q4_1: build it again with `make clean` and "
        "`CMAKE_ARGS=-DGGML_NATIVE=off make run`, or use another model.\n"
    )
    for arguments in (("run",), ("ask", "Hello?")):
        result = await command(tmp_path, *arguments, environ=environ)
        assert (result.code, result.err) == (2, says)
    doctor = await command(tmp_path, "doctor", environ=environ)
    assert doctor.code == 1
    assert "fail trial          llama.cpp died of an illegal instruction (SIGILL)" in doctor.out
    tried = await command(tmp_path, "models", "try", environ=environ)
    assert (tried.code, tried.err) == (3, says)

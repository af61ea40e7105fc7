"""The command line beside a running Parley, and without one."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.ports import free_port
from tests.scenarios.asking import metric, until_metric
from tests.scenarios.command import Result, begin, bound_by_file_modes, command, finish
from tests.scenarios.parley import Parley, running_parley
from tests.scenarios.personalities import RAMBLING, make_personalities

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="module")]

ALONE = {"PARLEY_MAX_TOKENS": "8"}
STORY = "Write a very long story about a llama that walks around the world."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("parley")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parley(folder: Path) -> AsyncIterator[Parley]:
    settings = {
        "PARLEY_MAX_TOKENS": "48",
        "PARLEY_PERSONALITIES": str(make_personalities(folder / "personalities")),
    }
    async with running_parley(folder, free_port(), settings, RAMBLING) as parley:
        yield parley
        assert await parley.stop() == 0
    assert "Traceback" not in parley.output


async def ask_running(
    folder: Path, parley: Parley, *arguments: str | bytes, stdin: bytes = b""
) -> Result:
    """``ask`` in the folder of the Parley that runs: proved by what that one wrote."""
    written = await metric(parley, "parley_completion_tokens_total")
    result = await command(folder, "ask", *arguments, stdin=stdin)
    if result.code == 0:
        assert await metric(parley, "parley_completion_tokens_total") > written
    return result


async def test_ask_goes_through_the_running_parley(folder: Path, parley: Parley) -> None:
    result = await ask_running(folder, parley, "What is the capital of France?")
    assert (result.code, result.err) == (0, "")
    assert result.out.strip()


async def test_ask_reads_stdin_whatever_its_bytes(folder: Path, parley: Parley) -> None:
    piped = b"\x1b[31mred\x1b[0m \x00 \xff\xfe caf\xc3\xa9\r\n"
    result = await ask_running(folder, parley, "What is this?", "-", stdin=piped)
    assert (result.code, result.err) == (0, "")
    assert result.out.strip()


async def test_ask_takes_an_argument_that_is_no_text(folder: Path, parley: Parley) -> None:
    result = await ask_running(folder, parley, b"caf\xe9 \x07?")
    assert (result.code, result.err) == (0, "")


async def test_ask_says_when_a_question_is_too_long(folder: Path, parley: Parley) -> None:
    result = await ask_running(folder, parley, stdin=b"word " * 200_000)
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("This is too long for the model: 200,")
    assert result.err.count("\n") == 1


async def test_ask_says_when_a_question_is_beyond_all_measure(folder: Path, parley: Parley) -> None:
    result = await ask_running(folder, parley, stdin=b"word " * 1_000_000)
    assert (result.code, result.out) == (1, "")
    assert result.err == "The body is too large; at most 4,194,304 bytes are read.\n"


@pytest.mark.parametrize("arguments", [(), ("",), (" \n\x07",)])
async def test_ask_without_a_question_says_how_to_ask(
    folder: Path, arguments: tuple[str, ...]
) -> None:
    result = await command(folder, "ask", *arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err == 'There is no question; say what to ask, as in: ask "What is a llama?"\n'


async def test_ctrl_c_during_ask_stops_the_reply_at_the_running_parley(
    folder: Path, parley: Parley
) -> None:
    asking = await begin(folder, "ask", "-p", "rambler", STORY)
    await until_metric(parley, "parley_running_sequences", lambda running: running == 1)
    asking.send_signal(signal.SIGINT)
    result = await finish(asking)
    assert result.code == 130
    assert result.err == ""
    await until_metric(parley, "parley_running_sequences", lambda running: running == 0)


async def test_doctor_finds_the_running_parley_and_nothing_wrong(
    folder: Path, parley: Parley
) -> None:
    port = {"PARLEY_PORT": parley.url.rpartition(":")[2]}
    result = await command(folder, "doctor", environ=port)
    assert (result.code, result.err) == (0, "")
    assert f"data is in use by the Parley at {parley.url}" in result.out
    assert "is served by the Parley that runs" in result.out


async def test_doctor_ends_with_1_where_something_must_be_done(tmp_path: Path) -> None:
    result = await command(tmp_path, "doctor", environ={"PARLEY_MODEL": "nothing.gguf"})
    assert (result.code, result.err) == (1, "")
    assert "fail model" in result.out
    assert "There is no model file nothing.gguf" in result.out


async def test_doctor_says_that_the_data_folder_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o500)
    result = await command(tmp_path, "doctor", before=bound_by_file_modes)
    assert (result.code, result.err) == (1, "")
    assert "fail data" in result.out


async def test_ask_alone_loads_the_model_for_one_question(tmp_path: Path) -> None:
    result = await command(
        tmp_path, "ask", "-", stdin=b"What is the capital\x00 of France?", environ=ALONE
    )
    assert (result.code, result.err) == (0, "")
    assert result.out.strip()
    assert not (tmp_path / "data").exists()


async def test_ask_alone_says_when_a_question_is_too_long(tmp_path: Path) -> None:
    result = await command(tmp_path, "ask", stdin=b"word " * 100_000, environ=ALONE)
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("This is too long for the model: 100,")
    assert result.err.count("\n") == 1


async def test_ctrl_c_during_ask_alone_ends_the_line_and_says_nothing(tmp_path: Path) -> None:
    asking = await begin(tmp_path, "ask", STORY)
    assert asking.stdout is not None
    begun = await asking.stdout.read(1)
    asking.send_signal(signal.SIGINT)
    result = await finish(asking)
    assert begun
    assert (result.code, result.err) == (130, "")
    assert result.out.endswith("\n")


async def test_ask_alone_with_an_unknown_personality_names_the_known(tmp_path: Path) -> None:
    result = await command(tmp_path, "ask", "-p", "pirate", "Hi", environ=ALONE)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("There is no personality 'pirate'; known are assistant, ")

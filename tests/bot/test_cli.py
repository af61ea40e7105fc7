"""The command line as a person runs it: another process, its output and its exit code."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapters.http.routes import routes
from bot.__main__ import main
from bot.answer_formats import JsonSchema
from bot.clock import SystemClock
from bot.errors import QueueFull, UnsupportedFormat
from bot.generation import Delta, Finished, FinishReason, GenerationEvent, Reasoning
from bot.lock import DataLock
from bot.metrics import Metrics
from bot.server import Server, ServerSettings
from tests.fakes.conversations import HELLO, FakeConversations
from tests.fakes.readiness import always
from tests.scenarios.command import command
from tests.scenarios.parley import SIZE

ROOT = Path(__file__).parents[2]
OWN_KEY = "of-the-running-parley"


@dataclass(frozen=True)
class Result:
    code: int | None
    out: str
    err: str


async def start(
    folder: Path, *arguments: str, stdout: int = asyncio.subprocess.PIPE, **environ: str
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot",
        *arguments,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100", **environ},
        stdin=asyncio.subprocess.PIPE,
        stdout=stdout,
        stderr=asyncio.subprocess.PIPE,
    )


async def parley(
    folder: Path,
    *arguments: str,
    stdin: bytes = b"",
    stdout: int = asyncio.subprocess.PIPE,
    **environ: str,
) -> Result:
    process = await start(folder, *arguments, stdout=stdout, **environ)
    out, err = await process.communicate(stdin)
    return Result(process.returncode, (out or b"").decode(), err.decode())


@asynccontextmanager
async def running(
    folder: Path, conversations: FakeConversations, *, is_public: bool = False
) -> AsyncIterator[None]:
    """A Parley that owns the data of ``folder``, with a scripted model."""
    (folder / "data").mkdir()
    settings = ServerSettings(port=0, own_key=OWN_KEY, is_public=is_public, drain_seconds=0.2)
    server = Server(settings, Metrics(), always())
    server.mount(routes(conversations, model_names=lambda: ("smollm2",), clock=SystemClock()))
    async with DataLock(folder / "data") as lock, server:
        await asyncio.to_thread(lock.announce, server.url, OWN_KEY)
        yield


def script(*texts: str) -> Iterable[GenerationEvent]:
    return (*map(Delta, texts), HELLO[-1])


async def test_version_and_help(tmp_path: Path) -> None:
    version = await parley(tmp_path, "--version")
    assert (version.code, version.out) == (0, "Parley 0.1.0\n")
    shown = await parley(tmp_path, "--help")
    assert all(command in shown.out for command in ("run", "ask", "doctor", "slack"))


async def test_a_command_that_is_mistyped_is_told_what_may_be_meant(tmp_path: Path) -> None:
    result = await parley(tmp_path, "aks", "Hi")
    assert (result.code, result.out) == (2, "")
    assert "No such command 'aks'. Did you mean 'ask'?" in result.err


async def test_the_command_line_itself_imports_nothing_that_is_slow() -> None:
    show = (
        "import importlib, sys; from bot.cli.commands.app import COMMANDS;"
        "[importlib.import_module('bot.cli.commands.' + name) for name in COMMANDS];"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", show), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    slow = {"aiohttp", "numpy", "prompt_toolkit", "pydantic", "rich", "sqlalchemy", "yaml"}
    slow |= {"jsonschema", "pydantic_evals"}
    assert not slow & set(out.decode().split())


async def test_wrong_settings_are_sentences_and_exit_code_2(tmp_path: Path) -> None:
    result = await parley(tmp_path, "run", PARLEY_PORT="x", SLACK_BOT_TOKEN="xoxb-1")
    assert (result.code, result.out) == (2, "Parley 0.1.0 starts ...\n")
    assert result.err.splitlines() == [
        "PARLEY_PORT in the environment is 'x'; it must be a whole number.",
        "SLACK_BOT_TOKEN is set, but neither SLACK_APP_TOKEN nor SLACK_SIGNING_SECRET is; set the "
        "app token for Socket Mode, which needs no public address, or the signing secret for "
        "deliveries to /slack/events.",
    ]


async def test_a_setting_for_something_not_there_yet_refuses_to_start(tmp_path: Path) -> None:
    result = await parley(tmp_path, "run", PARLEY_DATABASE_URL="postgresql://db")
    assert result.code == 2
    assert result.err.startswith("PARLEY_DATABASE_URL must begin with sqlite:///")


async def test_ask_prints_what_the_running_parley_answers(tmp_path: Path) -> None:
    conversations = FakeConversations(script("A llama is", " a camelid.\x1b[31m"))
    async with running(tmp_path, conversations):
        result = await parley(tmp_path, "ask", "What is a llama?")
    assert result == Result(0, "A llama is a camelid.[31m\n", "")
    (request,) = conversations.requests
    assert [message.content for message in request.messages] == ["What is a llama?"]
    assert request.personality == "assistant"


async def test_ask_says_when_the_model_only_thought(tmp_path: Path) -> None:
    thought = (Reasoning("Hm, hm"), Finished(FinishReason.LENGTH))
    async with running(tmp_path, FakeConversations(thought)):
        result = await parley(tmp_path, "ask", "--no-reasoning", "What is everything?")
        told = await parley(tmp_path, "ask", "--json", "What is everything?")
    no_answer = "The model gave no answer; ask again, or for something smaller.\n"
    assert result == told == Result(1, "", no_answer)


async def test_reasoning_goes_to_stderr_and_the_answer_to_stdout(tmp_path: Path) -> None:
    thought = (Reasoning("Hm, "), Reasoning("hm"), *script("A camelid."))
    async with running(tmp_path, FakeConversations(thought)):
        shown = await parley(tmp_path, "ask", "What is a llama?")
        hidden = await parley(tmp_path, "ask", "--no-reasoning", "What is a llama?")
    assert shown == Result(0, "A camelid.\n", "Hm, hm\n")
    assert hidden == Result(0, "A camelid.\n", "")


async def test_an_answer_for_programs_is_one_object(tmp_path: Path) -> None:
    conversations = FakeConversations((Reasoning("Hm"), *script("Ein ", "Kamel ü")))
    async with running(tmp_path, conversations):
        result = await parley(tmp_path, "ask", "--json", "Was ist ein Lama?")
    assert (result.code, result.err, result.out.count("\n")) == (0, "", 1)
    assert json.loads(result.out) == {
        "text": "Ein Kamel ü",
        "reasoning": "Hm",
        "model": "smollm2",
        "usage": {
            "prompt_tokens": 9,
            "cached_tokens": 4,
            "completion_tokens": 2,
            "reasoning_tokens": 0,
        },
        "finish_reason": "stop",
    }


async def test_an_answer_in_a_schema_is_asked_for(tmp_path: Path) -> None:
    schema = '{"type": "object", "properties": {"größe": {"type": "number"}}}'
    (tmp_path / "schema.json").write_text(schema, encoding="utf-8-sig")
    conversations = FakeConversations(script('{"größe": 2}'))
    async with running(tmp_path, conversations):
        result = await parley(tmp_path, "ask", "--schema", "schema.json", "How tall?")
    assert result == Result(0, '{"größe": 2}\n', "")
    (request,) = conversations.requests
    assert request.answer_format == JsonSchema(schema)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "schema.json cannot be read: No such file or directory.\n"),
        ("{", "schema.json is no JSON: Expecting property name"),
        ("[]", "schema.json holds no JSON schema: that is an object.\n"),
        (b"\xff\xfe", "schema.json is no text in UTF-8.\n"),
    ],
)
async def test_a_file_that_holds_no_schema_is_a_sentence_and_exit_code_2(
    tmp_path: Path, content: str | bytes | None, sentence: str
) -> None:
    if content is not None:
        data = content if isinstance(content, bytes) else content.encode()
        (tmp_path / "schema.json").write_bytes(data)
    result = await parley(tmp_path, "ask", "--schema", "schema.json", "Hi")
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert result.err.startswith(sentence)


async def test_a_schema_that_cannot_be_followed_is_a_sentence_and_exit_code_2(
    tmp_path: Path,
) -> None:
    (tmp_path / "schema.json").write_text("{}")
    refusal = UnsupportedFormat("The answer format is endlessly recursive.")
    async with running(tmp_path, FakeConversations(refusal=refusal)):
        result = await parley(tmp_path, "ask", "--schema", "schema.json", "Hi")
    assert result == Result(2, "", f"{refusal}\n")


@pytest.mark.parametrize("arguments", [("settings",), ("--version",), ("ask", "Hi")])
async def test_output_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    async with running(tmp_path, FakeConversations()):
        result = await parley(tmp_path, *arguments, stdout=full)
    os.close(full)
    assert (result.code, result.err) == (
        1,
        "The output cannot be written: No space left on device.\n",
    )


@pytest.mark.parametrize("arguments", [("settings",), ("--version",), ("ask", "Hi")])
async def test_a_reader_that_has_enough_is_told_nothing(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    async with running(tmp_path, FakeConversations()):
        result = await parley(tmp_path, *arguments, stdout=writing)
    os.close(writing)
    assert (result.code, result.err) == (1, "")


def test_who_runs_a_command_within_a_program_keeps_its_own_output(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = sys.stdout
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert sys.stdout is before
    sys.stdout.write("and on it goes")
    assert not ended.value.code
    assert re.fullmatch(r"Parley [\d.]+\nand on it goes", capsys.readouterr().out)


@pytest.mark.parametrize("stream", ["0<&-", "2>&-"])
@pytest.mark.parametrize("command", ["ask Hi -", "threads import -", "ask --batch -"])
async def test_a_closed_stdin_is_an_empty_one_and_a_closed_stderr_hears_nothing(
    tmp_path: Path, command: str, stream: str
) -> None:
    async with running(tmp_path, FakeConversations(script("Hello."))):
        process = await asyncio.create_subprocess_shell(
            f"{sys.executable} -m bot {command} {stream}",
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
    expected = {
        "ask Hi -": (0, b"Hello.\n"),
        "threads import -": (2, b""),
        "ask --batch -": (0, b""),
    }
    assert (process.returncode, out) == expected[command]
    assert b"Traceback" not in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("ask", "-"),
        ("ask", "-p", "poet", "Hi"),
        ("usage", "--since", "soon"),
        ("threads", "list", "--platform", "irc"),
        ("threads", "import", "no-such-file"),
    ],
)
async def test_a_command_that_is_wrong_is_exit_code_2(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    async with running(tmp_path, FakeConversations()):
        result = await parley(tmp_path, *arguments)
    assert (result.code, result.out) == (2, "")


async def test_an_answer_that_the_terminal_lacks_letters_for_is_shown(tmp_path: Path) -> None:
    async with running(tmp_path, FakeConversations(script("a ☃"))):
        result = await parley(tmp_path, "ask", "Hi", PYTHONIOENCODING="latin-1")
    assert (result.code, result.out) == (0, "a ?\n")


async def test_ask_reads_the_question_from_stdin(tmp_path: Path) -> None:
    conversations = FakeConversations()
    async with running(tmp_path, conversations):
        await parley(tmp_path, "ask", stdin="Was ist ein Äpfelchen?\n".encode())
        await parley(tmp_path, "ask", "-p", "coder", "Explain:", "-", stdin=b"x = \xff1")
    first, second = conversations.requests
    assert first.messages[-1].content == "Was ist ein Äpfelchen?"
    assert second.messages[-1].content == "Explain:\nx = \ufffd1"
    assert second.personality == "coder"


async def test_ask_needs_no_setting_where_everybody_needs_a_key(tmp_path: Path) -> None:
    conversations = FakeConversations()
    async with running(tmp_path, conversations, is_public=True):
        answered = await parley(tmp_path, "ask", "Hi")
        (tmp_path / "data" / "parley.key").write_text("of-another")
        refused = await parley(tmp_path, "ask", "Hi")
    assert (answered.code, refused.code) == (0, 1)
    assert [request.account for request in conversations.requests] == ["local"]


async def test_a_refusal_of_the_running_parley_is_one_sentence(tmp_path: Path) -> None:
    async with running(tmp_path, FakeConversations(refusal=QueueFull(3.0))):
        refused = await parley(tmp_path, "ask", "Hi")
        unknown = await parley(tmp_path, "ask", "-p", "poet", "Hi")
    assert refused == Result(1, "", f"{QueueFull(3.0)}\n")
    assert unknown.code == 2
    assert "poet" in unknown.err
    assert unknown.err.count("\n") == 1


async def test_ctrl_c_stops_the_reply_at_the_running_parley(tmp_path: Path) -> None:
    conversations = FakeConversations([Delta("Once upon")])
    async with running(tmp_path, conversations):
        process = await start(tmp_path, "ask", "Tell me a story")
        assert process.stdout is not None
        assert await process.stdout.read(9) == b"Once upon"
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
        await (await conversations.begun()).cancelled.wait()
    assert process.returncode == 130
    assert b"Traceback" not in err


async def test_ask_while_parley_starts_says_so(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    async with DataLock(tmp_path / "data"):
        result = await parley(tmp_path, "ask", "Hi")
    assert result == Result(1, "", "Parley is just starting; ask again in a moment.\n")


async def test_ask_when_the_running_parley_is_deaf_says_so(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    async with DataLock(tmp_path / "data") as lock:
        await asyncio.to_thread(lock.announce, "http://127.0.0.1:9", OWN_KEY)
        result = await parley(tmp_path, "ask", "Hi")
    assert result.code == 1
    assert result.err.startswith("The running Parley at http://127.0.0.1:9 does not answer")
    assert "Traceback" not in result.err


async def test_a_package_that_is_not_installed_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "psutil.py").write_text("import nothing_of_that_name")
    result = await parley(tmp_path, "run", PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert result.code == 2
    assert result.err == (
        "The package nothing_of_that_name is not installed; `make run` installs it.\n"
    )


async def test_settings_are_printed_as_the_table_of_the_readme(tmp_path: Path) -> None:
    result = await parley(tmp_path, "settings")
    assert result.out.startswith("| Setting | Default | Meaning |\n")


@pytest.mark.model
async def test_ask_without_a_running_parley_loads_the_model_itself(tmp_path: Path) -> None:
    environ = {**SIZE, "PARLEY_MAX_TOKENS": "8", "PARLEY_OPTIMIZE": "off"}
    result = await command(tmp_path, "ask", "Say hello.", environ=environ)
    assert (result.code, result.err) == (0, "")
    assert result.out.strip()


@pytest.mark.model
async def test_ask_with_a_model_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    result = await parley(tmp_path, "ask", "Hi", PARLEY_MODEL="nowhere.gguf")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("There is no model file ")
    assert result.err.count("\n") == 1

"""``python -m bot threads``: what is kept, as whoever runs Parley reads and changes it."""

from __future__ import annotations

import asyncio
import io
import json
import resource
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from adapters.http import threads as thread_routes
from adapters.web.context import PageContext
from adapters.web.routes import page_routes
from bot.__main__ import main
from bot.adapter_support.chat_files.read import MAX_BYTES, read_chat
from bot.adapter_support.chat_files.written import as_json
from bot.attachments.uploads import Uploads
from bot.chats import Chat, ChatAnswer, ChatSummary, ChatTurn, Upload
from bot.cli.threads.found import write_new
from bot.cli.threads.shown import show
from bot.clock import SystemClock
from bot.errors import ParleyError
from bot.generation import Usage
from bot.history import SqlThreadStore, open_store
from bot.lock import DataLock
from bot.metrics import Metrics
from bot.server import Server, ServerSettings
from bot.stored import AnswerUsage, TurnState
from bot.types import Person, Place
from tests.bot.chat.page import ADA, Page
from tests.bot.talk import Talk, talking
from tests.bot.test_cli import OWN_KEY, Result
from tests.bot.test_cli import parley as command
from tests.contracts.store import HERE, answered, ask
from tests.fakes.clock import START
from tests.fakes.readiness import always

LLAMA = Place("discord", "G 1", "C1", "1700.9")
CHAT = Place("web", "local", "terminal", "ab12cd")
BOB = Person("discord:G%201/9", "Böb\x1b[31m")
ME = Person("web:local/terminal", "terminal")

Parley = Callable[..., Result]


async def fill(store: SqlThreadStore) -> None:
    turn = await answered(store, ask("1", "Why is the sky blue?"), "It scatters.")
    row = AnswerUsage(
        answer_id=turn.id,
        asked_at=START,
        person="slack:T1/U1",
        platform="slack",
        personality="pirate",
        model="smollm2",
        state=TurnState.DONE,
    )
    await store.add_usage([row])
    await answered(store, ask("2", "And the sea?"), "Also.")
    await answered(store, ask("3", "Что такое лама?", LLAMA, BOB), "Верблюд. <b>Да</b>")
    await answered(store, ask("4", "Hi there", CHAT, ME), "Hello.")
    await store.set_title(CHAT, "Greetings")


@pytest.fixture
def parley(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Parley:
    """In this process: starting another one each time would take most of the time."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Result:
        out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            with pytest.raises(SystemExit) as ended:
                main(["threads", *arguments])
        written = out.detach().getvalue().decode()
        return Result(int(ended.value.code or 0), written, err.getvalue())

    return run


@pytest.fixture
def kept(tmp_path: Path) -> Callable[..., Any]:
    """Do this with the store; it is filled at first."""

    def use(work: Callable[[SqlThreadStore], Coroutine[Any, Any, Any]]) -> Any:
        async def opened() -> Any:
            store = await open_store(f"sqlite:///{tmp_path}/data/parley.db", SystemClock())
            try:
                return await work(store)
            finally:
                await store.close()

        return asyncio.run(opened())

    use(fill)
    return use


def places(result: Result) -> list[str]:
    assert (result.code, result.err) == (0, "")
    return [each["thread"] for each in json.loads(result.out)]


@pytest.mark.usefixtures("kept")
def test_threads_of_every_platform_are_listed_the_newest_first(parley: Parley) -> None:
    listed = parley("list")
    head, *lines = listed.out.splitlines()
    assert head.split() == ["thread", "last", "question", "(UTC)", "turns", "people", "title"]
    assert [line.split()[0] for line in lines] == [str(CHAT), str(LLAMA), str(HERE)]
    assert lines[0].endswith("1      terminal  Greetings")
    assert lines[1].endswith("1      Böb[31m   Что такое лама?")
    assert lines[2].endswith("2      Ann       Why is the sky blue?")
    (newest, *_) = json.loads(parley("list", "--json").out)
    assert newest["people"] == [{"id": "web:local/terminal", "name": "terminal"}]
    assert (newest["platform"], newest["num_turns"], newest["is_busy"]) == ("web", 1, False)
    assert "excerpt" not in newest


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--platform", "slack"], [HERE]),
        (["--platform", "teams"], []),
        (["--person", "slack:T1/U1"], [HERE]),
        (["--person", "bob"], [LLAMA]),
        (["--since", "1h"], [CHAT, LLAMA, HERE]),
        (["--since", "2999-01-01"], []),
    ],
)
def test_a_list_may_be_of_some_only(parley: Parley, options: list[str], found: list[Place]) -> None:
    assert places(parley("list", *options, "--json")) == list(map(str, found))
    if not found:
        assert parley("list", *options) == Result(0, "No thread is like that.\n", "")


@pytest.mark.usefixtures("kept")
def test_words_are_searched_for_in_any_order(parley: Parley) -> None:
    assert places(parley("search", "SKY", "scatters", "--json")) == [str(HERE)]
    assert places(parley("search", "ЛАМА верблюд", "--person", "bob", "--json")) == [str(LLAMA)]
    shown = parley("search", "greetings", "hello").out.splitlines()
    assert shown[1].startswith(str(CHAT))
    assert shown[2] == "    Greetings"
    assert parley("search", "sky", "llama") == Result(1, "", "No thread is like that.\n")
    assert parley("search", "nothing", "--json") == Result(1, "[]\n", "")


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("name", [str(HERE), "1700.1", "slack", "slack:T1/C1", "why is THE"])
def test_a_thread_is_named_by_its_text_form_or_a_beginning(parley: Parley, name: str) -> None:
    shown = parley("show", name)
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.startswith("# Why is the sky blue?\n\n## Ann, ")
    assert "\n### pirate, smollm2\n\nIt scatters.\n" in shown.out
    assert "> And the sea?" in shown.out


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nope", "There is no thread 'nope'; `threads list` names them all."),
        ("", "There is no thread ''; `threads list` names them all."),
        (
            "slack:T1/C1",
            "'slack:T1/C1' may be 2 threads: slack:T1/C1/9, slack:T1/C1/1700.1. Write more of it.",
        ),
        (
            "x:y",
            "'x:y' is not of the form adapter:workspace/channel/thread, and no thread begins so; "
            "`threads list` names them all.",
        ),
    ],
)
@pytest.mark.parametrize("verb", ["show", "export", "forget"])
def test_a_name_that_is_none_or_several_is_one_sentence(
    parley: Parley, kept: Callable[..., Any], verb: str, name: str, sentence: str
) -> None:
    if "may be" in sentence:
        kept(lambda store: answered(store, ask("9", "?", replace(HERE, thread="9"))))
    assert parley(verb, name) == Result(2, "", f"{sentence}\n")


@pytest.mark.usefixtures("kept")
def test_what_is_exported_is_imported_as_a_chat_of_the_terminal(
    parley: Parley, tmp_path: Path
) -> None:
    assert parley("export", "1700.1", "-o", "sky.json") == Result(0, "Written: sky.json\n", "")
    raw = (tmp_path / "sky.json").read_bytes()
    assert parley("export", "1700.1").out.encode() == raw
    assert parley("show", "1700.1", "--json").out.encode() == raw
    imported = parley("import", "sky.json")
    place = imported.out.removeprefix("Kept as ").rstrip()
    assert place.startswith("web:local/terminal/")
    assert imported == Result(0, f"Kept as {place}\n", "")
    again = read_chat(parley("export", place).out.encode(), SystemClock().now())
    assert again == read_chat(raw, SystemClock().now())
    assert [each.asked_by for each in again.turns] == ["Ann", "Ann"]
    assert len(places(parley("list", "--json"))) == 4


@pytest.mark.usefixtures("kept")
def test_an_export_for_people_is_what_show_prints(parley: Parley) -> None:
    assert parley("export", "1700.1", "--format", "markdown") == parley("show", "1700.1")


@pytest.mark.usefixtures("kept")
def test_files_that_are_in_the_way_or_no_chats_are_a_sentence(
    parley: Parley, tmp_path: Path
) -> None:
    (tmp_path / "there.json").write_text("mine")
    (tmp_path / "large.json").write_bytes(b" " * (MAX_BYTES + 1))
    assert parley("export", "1700.1", "-o", "there.json") == Result(
        2, "", "there.json exists already; name a new file.\n"
    )
    assert (tmp_path / "there.json").read_text() == "mine"
    no_folder = "no/such.json cannot be written: No such file or directory.\n"
    assert parley("export", "1700.1", "-o", "no/such.json") == Result(2, "", no_folder)
    no_file = "no.json cannot be read: No such file or directory.\n"
    assert parley("import", "no.json") == Result(2, "", no_file)
    assert "it is not JSON" in parley("import", "there.json").err
    assert "larger than 16 MB" in parley("import", "large.json").err
    assert len(places(parley("list", "--json"))) == 3


def test_a_full_disk_leaves_no_half_of_an_export(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
    try:
        with pytest.raises(ParleyError, match=r"sky\.json cannot be written: File too large\."):
            write_new(tmp_path / "sky.json", "sky" * 64)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not (tmp_path / "sky.json").exists()


@pytest.mark.usefixtures("kept")
def test_a_forgotten_thread_is_gone_from_every_file(parley: Parley, tmp_path: Path) -> None:
    uploads = Uploads(tmp_path / "data" / "uploads")
    asyncio.run(uploads.keep(CHAT, [Upload("a.txt", "", b"Hi there, file.")]))
    forgotten = parley("forget", "Greetings")
    assert forgotten == Result(0, f"Forgotten: Greetings ({CHAT})\n", "")
    assert parley("forget", "1700.1", "--yes").code == 0
    assert places(parley("list", "--json")) == [str(LLAMA)]
    files = [path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()]
    for words in (b"Greetings", b"Hi there", b"scatters", b"the sea"):
        assert not [data for data in files if words in data], words
    assert parley("forget", str(LLAMA)).code == 0
    assert parley("list") == Result(0, "No thread is kept.\n", "")


def test_where_nothing_is_kept_that_is_said(parley: Parley) -> None:
    for arguments in (["list"], ["search", "sky"], ["show", "1"], ["forget", "1"]):
        result = parley(*arguments)
        assert (result.code, result.out) == (2, "")
        assert result.err.startswith("There is no history at data/parley.db")


@pytest.mark.usefixtures("kept")
def test_a_wrong_moment_is_a_sentence(parley: Parley) -> None:
    assert parley("list", "--since", "soon").err.startswith("--since is 'soon'; write how long")


def test_a_terminal_shows_markdown_and_obeys_nothing_of_it() -> None:
    turn = ChatTurn(
        id="",
        number=1,
        question="Why?\x1b[2J",
        asked_at=START,
        answers=(
            ChatAnswer(number=1, question="Why?", reply="Old.", state=TurnState.DONE),
            ChatAnswer(
                number=2,
                question="Why?",
                reply="# Because\n\n- **it** is <script>so</script>\x1b[2J",
                state=TurnState.STOPPED,
                note="Stopped.",
                model="smollm2",
                personality="pirate",
                usage=Usage(),
            ),
        ),
        chosen=2,
        files=("a.txt",),
        remarks=(("Bob", "Look."),),
        asked_by="Ann",
    )
    summary = ChatSummary(id="1", title="Sky\x07", personality="", num_turns=1, last_at=START)
    console = Console(file=io.StringIO(), width=60, force_terminal=False, highlight=False)
    show(Chat(summary=summary, turns=(turn,), model="", window=0), str(HERE), console)
    assert isinstance(console.file, io.StringIO)
    lines = [line.strip() for line in console.file.getvalue().splitlines() if line.strip()]
    assert lines[:3] == ["Sky", str(HERE), "Bob: Look."]
    assert lines[3].startswith("Ann, 2026-01-05 09:00 UTC ──")
    assert lines[4:] == [
        "Why?[2J",
        "Attached: a.txt",
        "pirate, smollm2 (2 of 2)",
        "Because",
        "• it is <script>so</script>[2J",
        "Stopped.",
    ]


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Talk]:
    """A Parley with a scripted model that owns ``folder/data``."""
    async with talking(folder / "data") as talk:
        server = Server(ServerSettings(port=0, own_key=OWN_KEY), Metrics(), always())
        loaded = asyncio.get_running_loop().create_future()
        loaded.set_result(talk.service.chats)
        context: dict[str, Any] = {
            "chats": loaded,
            "callers": server.callers,
            "clock": SystemClock(),
            "model": lambda: "scripted",
            "personalities": talk.service.personalities,
            "personality": "assistant",
            "is_admin": lambda _: False,
            "max_files": 4,
            "max_upload": 1_000,
        }
        server.mount_page(page_routes(PageContext(**context)))
        server.mount_page(thread_routes.routes(talk.service, server.callers))
        async with DataLock(folder / "data") as lock, server:
            await asyncio.to_thread(lock.announce, server.url, OWN_KEY)
            yield talk


async def test_the_running_parley_forgets_and_imports(tmp_path: Path) -> None:
    async with running(tmp_path) as talk:
        page = Page(talk)
        turn = await page.ask("Tell me a story.")
        generation = await page.led()
        generation.say("Once ")
        await page.sees(turn.id, "Once ")
        place = ADA.place(page.chat_id or "")
        exported = as_json(await page.port.chat(ADA, place.thread)).encode()
        forgotten = await command(tmp_path, "threads", "forget", str(place))
        assert forgotten == Result(0, f"Forgotten: Tell me a story. ({place})\n", "")
        assert generation.is_cancelled
        assert await page.port.chats(ADA) == []
        imported = await command(tmp_path, "threads", "import", "-", stdin=exported)
        assert imported.out.startswith("Kept as web:local/terminal/")
        page.close()


async def test_only_parleys_own_commands_may_have_it_forget(tmp_path: Path) -> None:
    async with running(tmp_path) as talk:
        page = Page(talk)
        await page.answered("Hello?", "Hi.")
        page.close()
        place = ADA.place(page.chat_id or "")
        (tmp_path / "data" / "parley.key").write_text("of-another")
        refused = await command(tmp_path, "threads", "forget", str(place))
        assert refused.code == 1
        assert len(refused.err.splitlines()) == 1
        assert len(await page.port.chats(ADA)) == 1

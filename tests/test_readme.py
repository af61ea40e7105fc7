"""What the pages for people say is so: settings, commands, files, examples."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.hdrs import METH_HEAD, METH_OPTIONS
from typer.main import get_command

from adapters.http.openai.body import ChatBody
from adapters.http.openai.other_keys import NEUTRAL, WITHOUT_EFFECT
from adapters.http.routes import routes
from bot.cli.commands.app import app
from bot.config import load_settings, old_names_table, settings_table
from bot.errors import PersonalityError
from bot.model_names import KNOWN
from bot.personality import PersonalityBook
from tests.adapters.http.test_openapi import OTHER_SPELLINGS
from tests.fakes.clock import FakeClock
from tests.fakes.conversations import FakeConversations

ROOT = Path(__file__).parents[1]
PAGES = (
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md"),
    *("deploy/settings.md", "deploy/geniusrise.md", "deploy/codeproject-ai/README.md"),
    *("deploy/slack/README.md", "deploy/proxy/README.md", "deploy/CLIENTS.md"),
    *("deploy/BACKUPS.md", "deploy/page.md", "deploy/SOURCES.md", "deploy/evals.md"),
    "deploy/QUOTES.md",
)
MAX_README_LINES = 150
MAX_PICTURE_BYTES = 200_000


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", read(page), re.MULTILINE | re.DOTALL)


def code(page: str) -> str:
    """Everything that stands in code, in blocks or in a line."""
    return "\n".join(re.findall(r"```.*?```|`[^`\n]+`", read(page), re.DOTALL))


def test_the_readme_is_short() -> None:
    assert len(read("README.md").splitlines()) <= MAX_README_LINES


def test_the_tables_of_settings_are_those_that_the_settings_print() -> None:
    page = read("deploy/settings.md")
    tables = re.findall(r"^\| (?:Setting|Old name) \|.*?(?:\n(?!\|)|\Z)", page, re.M | re.S)
    printed = [settings_table(), old_names_table()]
    assert tables == printed, "put in what `python -m bot settings` prints"


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_links_to_exists(page: str) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", read(page))
    local = [link.partition("#")[0] for link in links if "://" not in link]
    missing = [link for link in local if not (ROOT / page).parent.joinpath(link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_that_a_page_names_exists(page: str) -> None:
    named = set(re.findall(r"\bmake ([a-z][a-z-]*)", code(page)))
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    assert named <= targets


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_parley_that_a_page_names_exists(page: str) -> None:
    context = get_command(app).make_context("bot", [], resilient_parsing=True)
    known = set(get_command(app).list_commands(context))  # type: ignore[attr-defined]
    assert set(re.findall(r"python -m bot (\w+)", code(page))) <= known


@pytest.mark.parametrize("page", PAGES)
def test_every_path_of_the_project_that_a_page_names_exists(page: str) -> None:
    paths = re.findall(r"`((?:bot|adapters|deploy|tests)/[\w./-]+)`", read(page))
    missing = [path for path in paths if not (ROOT / path).exists() and "NAME" not in path]
    assert missing == []


def test_the_page_for_clients_names_every_route_and_no_other() -> None:
    named = {
        (method, path)
        for methods, path in re.findall(
            r"`([A-Z]+(?:, [A-Z]+)*) (/[^`]*)`", read("deploy/CLIENTS.md")
        )
        for method in methods.split(", ")
    }
    served = web.Application()
    served.add_routes(routes(FakeConversations(), model_names=lambda: ("m",), clock=FakeClock()))
    mounted = {
        (route.method, route.resource.canonical)
        for route in served.router.routes()
        if route.resource and route.method not in (METH_HEAD, METH_OPTIONS)
    }
    assert named == mounted - OTHER_SPELLINGS


def test_the_keys_of_a_chat_are_treated_as_the_page_for_clients_says() -> None:
    table = read("deploy/CLIENTS.md").partition("| Keys of a chat |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| (`.*?) \| (.*) \|$", table, re.MULTILINE)
    keys = {meaning: re.findall(r"`(\w+)`", named) for named, meaning in rows}
    assert {key for named in keys.values() for key in named} > set(ChatBody.model_fields)
    for meaning, named in keys.items():
        known = set(ChatBody.model_fields)
        if meaning.startswith("refused"):
            known = set(NEUTRAL)
        elif meaning.startswith("taken, and without effect"):
            known = set(WITHOUT_EFFECT)
        assert set(named) <= known


def test_the_house_shows_every_room_and_nothing_else() -> None:
    (house,) = (block for block in blocks("CONTRIBUTING.md", "") if block.startswith("bot/"))
    inside = house[: house.index("\nadapters/")]
    rooms = set(re.findall(r"^  (\w+)/ ", inside, re.MULTILINE))
    files = set(re.findall(r"(?:^  |  )(\w+\.py) {2,}", inside, re.MULTILINE))
    assert rooms == {path.parent.name for path in ROOT.glob("bot/*/__init__.py")}
    assert all((ROOT / "bot" / name).exists() for name in files)
    tops = set(re.findall(r"^(\w+)/ ", house, re.MULTILINE))
    assert tops == {"bot", "adapters", "personalities", "deploy", "tests"}


def test_the_shell_examples_can_be_typed() -> None:
    for block in blocks("README.md", "sh"):
        done = subprocess.run(["bash", "-n"], input=block, text=True, check=False)
        assert done.returncode == 0, block


def test_the_curl_example_sends_json_to_the_address_that_is_the_default(tmp_path: Path) -> None:
    (block,) = (block for block in blocks("README.md", "sh") if "curl" in block)
    words = shlex.split(block[block.index("curl") :].replace("\\\n", " "))
    assert words[1].startswith(f"http://127.0.0.1:{load_settings({}, tmp_path).port}/v1/")
    body = json.loads(words[words.index("-d") + 1])
    assert body["messages"][0]["role"] == "user"


def test_the_python_example_is_python() -> None:
    for block in blocks("README.md", "python"):
        compile(block, "README.md", "exec")


def test_the_personality_of_the_example_can_be_used(tmp_path: Path) -> None:
    (example,) = blocks("README.md", "markdown")
    (tmp_path / "pirate.md").write_text(example, encoding="utf-8")
    try:
        pirate = PersonalityBook.load(tmp_path, "pirate").get("pirate")
    except PersonalityError as error:
        pytest.fail(str(error))
    assert (pirate.title, pirate.sampling.temperature) == ("Pirate", 0.8)


def test_the_examples_of_settings_are_what_parley_reads(tmp_path: Path) -> None:
    port, token = re.findall(r"`(port = \d+)`.*`(bot_token) = ", read("README.md"))[0]
    text = f'{port}\n[slack]\n{token} = "xoxb-1"\nsigning_secret = "s"\n'
    assert tomllib.loads(text)
    (tmp_path / "parley.toml").write_text(text)
    assert load_settings({}, tmp_path).platforms == ("slack",)


def test_the_table_of_models_is_the_one_that_parley_knows() -> None:
    rows = re.findall(
        r"^\| `([\w.-]+)` \| ([\w.-]+) \| ([\d.]+ GB) \| (\d+ GB) \|", read("README.md"), re.M
    )
    assert rows == [
        (name, known.title, f"{known.num_bytes / 10**9:.1f} GB", f"{known.memory} GB")
        for name, known in KNOWN.items()
    ]


def test_the_pictures_are_light_enough_for_a_page() -> None:
    page = read("README.md")
    pictures = re.findall(r"(?:\]\(|(?:src|srcset)=\")([^)\"]+\.png)", page)
    assert sorted(pictures) == [
        "deploy/page/dark.png",
        "deploy/page/light.png",
        "deploy/slack/growing-reply.png",
    ]
    for picture in pictures:
        assert (ROOT / picture).stat().st_size < MAX_PICTURE_BYTES


def test_the_personalities_that_the_readme_counts_are_all_there() -> None:
    said = re.search(r"Six are there: ([^.]+)\.", read("README.md"))
    assert said
    assert said[1].split(", ") == sorted(path.stem for path in ROOT.glob("personalities/*.md"))

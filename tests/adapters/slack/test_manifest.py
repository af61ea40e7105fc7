"""The app that people create asks for what the code uses: no less, and no more."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from adapters.slack import manifest
from adapters.slack.api.client import SCOPES
from adapters.slack.events import EVENTS
from adapters.slack.receivers.webhook import PATH
from bot.cli.commands.slack import app
from bot.errors import SettingsError
from bot.turns.spoken import PLAIN_COMMANDS

ROOT = Path(__file__).resolve().parents[3]
FILE = ROOT / "deploy/slack/manifest.yaml"
README = (ROOT / "deploy/slack/README.md").read_text("utf-8")
ADDRESS = "https://parley.example.com"


def printed(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["manifest", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


MANIFEST: dict[str, Any] = yaml.safe_load(printed())


def test_the_file_to_paste_is_what_the_command_prints() -> None:
    assert FILE.read_text("utf-8") == printed(), (
        f"run: .venv/bin/python -m bot slack manifest > {FILE.relative_to(ROOT)}"
    )


def test_the_scopes_are_those_of_the_methods_and_events_in_use() -> None:
    needed = frozenset[str]().union(*SCOPES.values(), *EVENTS.values())
    asked_for = set(MANIFEST["oauth_config"]["scopes"]["bot"])
    assert asked_for == needed | {"commands", "assistant:write"}


def test_each_scope_says_what_it_is_for() -> None:
    for scope in manifest.needed_scopes():
        assert f"- {scope} # {manifest.purpose_of(scope)}\n" in printed()


def test_the_methods_in_use_are_those_that_the_adapter_calls() -> None:
    modules = (ROOT / "adapters/slack").rglob("*.py")
    texts = (
        file.read_text("utf-8") for file in modules if file.name not in ("client.py", "events.py")
    )
    method = r'"((?:[a-z]+\.)+[a-zA-Z]+)"'
    called = {name for text in texts for name in re.findall(method, text)}
    assert {name for name in called if not name.startswith("parley.")} == set(SCOPES)


def test_the_events_are_those_that_are_read() -> None:
    assert set(MANIFEST["settings"]["event_subscriptions"]["bot_events"]) == set(EVENTS)


def test_people_can_write_to_the_bot_directly() -> None:
    home = MANIFEST["features"]["app_home"]
    assert home["messages_tab_enabled"]
    assert not home["messages_tab_read_only_enabled"]


def test_socket_mode_needs_no_address() -> None:
    assert MANIFEST["settings"]["socket_mode_enabled"]
    assert "http" not in json.dumps(MANIFEST)
    assert printed("--socket") == printed()


@pytest.mark.parametrize("given", [ADDRESS, f"{ADDRESS}/", f"{ADDRESS}{PATH}"])
def test_over_http_everything_goes_to_the_path_that_is_served(given: str) -> None:
    found = json.loads(printed("--http", given, "--json"))
    settings = found["settings"]
    assert not settings["socket_mode_enabled"]
    assert settings["event_subscriptions"]["request_url"] == f"{ADDRESS}{PATH}"
    assert settings["interactivity"]["request_url"] == f"{ADDRESS}{PATH}"
    assert [each["url"] for each in found["features"]["slash_commands"]] == [f"{ADDRESS}{PATH}"]


@pytest.mark.parametrize(
    "given",
    [
        *("", "parley.example.com", "http://parley.example.com", "https://", f"{ADDRESS}/?a=1"),
        *(f"{ADDRESS}#a", "https://ada:secret@parley.example.com"),
    ],
)
def test_an_address_that_slack_could_not_use_is_said_to_be_none(given: str) -> None:
    with pytest.raises(SettingsError, match="--http must be the address"):
        printed("--http", given)


@pytest.mark.parametrize("host", ["localhost:3978", "127.0.0.1", "[::1]"])
def test_slack_cannot_reach_this_machine_by_its_own_name_for_itself(host: str) -> None:
    with pytest.raises(SettingsError, match=r"Slack cannot reach .* or use --socket"):
        printed("--http", f"https://{host}")


def test_both_ways_at_once_are_a_mistake() -> None:
    with pytest.raises(SettingsError, match="not both"):
        printed("--http", ADDRESS, "--socket")


def test_json_says_the_same_as_yaml() -> None:
    assert json.loads(printed("--json")) == MANIFEST


def test_what_stands_in_menus_is_not_longer_than_slack_takes() -> None:
    """24 characters of a shortcut's name, 150 of its description, 300 of an agent's; and so on."""
    features, shown = MANIFEST["features"], MANIFEST["display_information"]
    assert len(shown["name"]) <= 35
    assert len(shown["description"]) <= 140
    assert re.fullmatch(r"#[0-9a-f]{6}", shown["background_color"])
    assert re.fullmatch(r"[a-z0-9_.-]{1,80}", features["bot_user"]["display_name"])
    assert len(features["agent_view"]["agent_description"]) <= 300
    for shortcut in features["shortcuts"]:
        assert len(shortcut["name"]) <= 24
        assert len(shortcut["description"]) <= 150
        assert len(shortcut["callback_id"]) <= 255
    for command in features["slash_commands"]:
        assert re.fullmatch(r"/[a-z]{1,31}", command["command"])
        assert len(command["description"]) <= 2000
        assert len(command["usage_hint"]) <= 1000


def test_the_hint_of_the_command_names_every_word_that_it_takes() -> None:
    (command,) = MANIFEST["features"]["slash_commands"]
    words = command["usage_hint"].split(" | ")
    assert {*words} == {"ask …", "personality", "listen", *PLAIN_COMMANDS}


def test_the_guide_names_the_secrets_and_the_path() -> None:
    for name in ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", PATH, "manifest.yaml"):
        assert name in README

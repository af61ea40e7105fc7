"""The app that people create asks for what the code uses: no less, and no more."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from adapters.slack.api.client import SCOPES
from adapters.slack.events import EVENTS
from adapters.slack.receivers.webhook import PATH

ROOT = Path(__file__).resolve().parents[3]
MANIFEST: dict[str, Any] = yaml.safe_load((ROOT / "deploy/slack/manifest.yaml").read_text("utf-8"))
README = (ROOT / "deploy/slack/README.md").read_text("utf-8")


def test_the_scopes_are_those_of_the_methods_and_events_in_use() -> None:
    needed = frozenset[str]().union(*SCOPES.values(), *EVENTS.values())
    assert set(MANIFEST["oauth_config"]["scopes"]["bot"]) == needed


def test_the_methods_in_use_are_those_that_the_adapter_calls() -> None:
    modules = (ROOT / "adapters/slack").rglob("*.py")
    texts = (
        file.read_text("utf-8") for file in modules if file.name not in ("client.py", "events.py")
    )
    called = {name for text in texts for name in re.findall(r'"([a-z]+\.[a-zA-Z]+)"', text)}
    assert called == set(SCOPES)


def test_the_events_are_those_that_are_read() -> None:
    assert set(MANIFEST["settings"]["event_subscriptions"]["bot_events"]) == set(EVENTS)


def test_events_go_to_the_path_that_is_served() -> None:
    assert MANIFEST["settings"]["event_subscriptions"]["request_url"].endswith(PATH)


def test_people_can_write_to_the_bot_directly() -> None:
    home = MANIFEST["features"]["app_home"]
    assert home["messages_tab_enabled"]
    assert not home["messages_tab_read_only_enabled"]


def test_what_is_not_there_is_not_promised() -> None:
    assert "slash_commands" not in MANIFEST["features"]
    assert not MANIFEST["settings"]["socket_mode_enabled"]
    assert not MANIFEST["settings"]["interactivity"]["is_enabled"]


def test_the_guide_names_the_secrets_and_the_path() -> None:
    for name in ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", PATH, "manifest.yaml"):
        assert name in README

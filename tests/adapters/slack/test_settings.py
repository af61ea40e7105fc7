"""The ``[slack]`` table, right and wrong."""

from __future__ import annotations

import pytest

from adapters.slack.api.settings import SlackSettings
from bot.errors import SettingsError

GOOD = {"bot_token": "xoxb-token", "signing_secret": "sesame"}


def problems(**table: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        SlackSettings.read(table)
    return caught.value.problems


def test_token_and_secret_are_enough() -> None:
    assert SlackSettings.read(GOOD).api_url == "https://slack.com/api/"


def test_no_secret_is_shown() -> None:
    shown = repr(SlackSettings.read(GOOD))
    assert "xoxb" not in shown
    assert "sesame" not in shown


def test_all_problems_are_told_at_once() -> None:
    told = problems(api_url="slack")
    assert len(told) == 3
    for name, problem in zip(("BOT_TOKEN", "APP_TOKEN", "API_URL"), told, strict=True):
        assert f"SLACK_{name}" in problem


def test_an_app_token_alone_is_enough_and_is_not_shown() -> None:
    settings = SlackSettings.read({"bot_token": "xoxb-token", "app_token": "xapp-token"})
    assert settings.app_token == "xapp-token"
    assert settings.signing_secret == ""
    assert "xapp-token" not in repr(settings)


@pytest.mark.parametrize(
    ("url", "is_own"),
    [
        ("https://files.slack.com/files-pri/T1-F1/a.txt", True),
        ("https://acme.enterprise.slack.com/files/a.txt", True),
        ("https://hooks.slack-gov.com/commands/1", True),
        ("https://files.slack-gov.com/files-pri/T1-F1/a.txt", True),
        ("https://slack.com.example.org/a", False),
        ("https://notslack-gov.com/a", False),
        ("https://evil-slack.com/a", False),
    ],
)
def test_slacks_own_hosts_are_known(url: str, is_own: bool) -> None:
    """GovSlack "runs on the separate domain slack-gov.com"."""
    assert (SlackSettings.read(GOOD).own_address(url) is not None) is is_own


@pytest.mark.parametrize(
    ("url", "is_loopback"),
    [
        ("http://127.0.0.1:4601/api", True),
        ("http://localhost:4601/api/", True),
        ("http://[::1]:4601/api/", True),
        ("https://slack.com/api/", False),
        ("http://10.0.0.5/api/", False),
    ],
)
def test_a_test_server_on_this_machine_is_known(url: str, is_loopback: bool) -> None:
    settings = SlackSettings.read({**GOOD, "api_url": url})
    assert settings.is_loopback is is_loopback
    assert settings.api_url.endswith("/api/")

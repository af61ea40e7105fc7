"""What ``doctor`` says of a Slack app: tokens, scopes and events by their names."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from adapters.slack.diagnosis import Finding, examine
from adapters.slack.events import EVENTS
from adapters.slack.manifest import needed_scopes
from bot.clock import SystemClock
from bot.config import load_settings
from bot.errors import SettingsError
from tests.fakes.slack import TOKEN, FakeSlack, Fault
from tests.fakes.slack_socket import APP_TOKEN
from tests.ports import free_port

SECRET = "0123456789abcdef0123456789abcdef"


async def found(slack: FakeSlack, **table: str) -> list[Finding]:
    own = {"bot_token": TOKEN, "signing_secret": SECRET, "api_url": slack.api_url, **table}
    return await asyncio.to_thread(examine, own)


def failed(findings: list[Finding]) -> list[str]:
    return [detail for status, detail, _ in findings if status == "fail"]


@pytest.fixture
def granted(slack: FakeSlack) -> set[str]:
    slack.scopes = set(needed_scopes())
    return slack.scopes


async def test_an_app_made_from_the_manifest_is_well(slack: FakeSlack, granted: set[str]) -> None:
    findings = await found(slack)
    assert {status for status, *_ in findings} == {"ok"}
    assert f"all {len(granted)} scopes are granted" in str(findings)


async def test_a_missing_scope_is_named_with_what_it_is_for(
    slack: FakeSlack, granted: set[str]
) -> None:
    granted -= {"files:read", "commands"}
    findings = await found(slack)
    assert failed(findings) == [
        "the scope commands is missing (/parley, and the shortcut in the menu of a message)",
        "the scope files:read is missing (files attached to a question)",
    ]
    assert "install the app to the workspace again" in str(findings)


async def test_an_app_that_slack_delivers_to_is_not_turned_to_socket_mode_by_the_advice(
    slack: FakeSlack, granted: set[str]
) -> None:
    granted.remove("commands")
    assert "`python -m bot slack manifest --http URL`" in str(await found(slack))
    assert "`python -m bot slack manifest`" in str(await found(slack, app_token=APP_TOKEN))


async def test_the_events_to_look_at_are_named(slack: FakeSlack, granted: set[str]) -> None:
    text = str(await found(slack))
    assert all(event in text for event in EVENTS)


class Off(SystemClock):
    """Slack's, which is right: it is ours that is off by as much the other way."""

    def __init__(self, minutes: float) -> None:
        self._off = timedelta(minutes=minutes)

    def now(self) -> datetime:
        return super().now() + self._off


@pytest.mark.parametrize(("minutes", "which"), [(-6, "ahead of"), (6, "behind")])
async def test_a_clock_that_is_off_is_named(minutes: float, which: str) -> None:
    async with FakeSlack(Off(minutes)) as slack:
        slack.scopes = set(needed_scopes())
        said = failed(await found(slack))
    assert said == [f"this machine's clock is 6 minutes {which} Slack's"]


@pytest.mark.parametrize("date", ["", "soon", "Sat, 28 Nov 2026 08:00:00 -0000"])
async def test_whatever_time_slack_names_doctor_goes_on(
    slack: FakeSlack, granted: set[str], date: str
) -> None:
    headers = {"Date": date, "x-oauth-scopes": ", ".join(granted)}
    told = Fault(body='{"ok": true, "bot_id": "BBOT"}', headers=headers)
    slack.fail("auth.test", told, told)
    assert f"all {len(granted)} scopes are granted" in str(await found(slack))


async def test_an_app_token_that_works_is_said_to(slack: FakeSlack, granted: set[str]) -> None:
    assert "connections:write" not in str(await found(slack))
    findings = await found(slack, app_token=APP_TOKEN, signing_secret="")
    assert {status for status, *_ in findings} == {"ok"}
    assert "the app token works: it has connections:write, and opens" in str(findings)
    assert "both on" not in str(findings)


async def test_with_both_ways_on_it_says_which_slack_uses(
    slack: FakeSlack, granted: set[str]
) -> None:
    *_, (status, detail, advice) = await found(slack, app_token=APP_TOKEN)
    assert status == "ok"
    assert detail.startswith("HTTP and Socket Mode are both on; Slack uses the one")
    assert "Socket Mode" in advice
    assert "both on" not in str(await found(slack))


async def test_refused_tokens_are_named_by_their_settings(slack: FakeSlack) -> None:
    slack.fail("apps.connections.open", Fault(error="not_allowed_token_type"))
    findings = await found(slack, bot_token="xoxb-old", app_token="xapp-1")
    bot, app = failed(findings)
    assert bot.startswith("SLACK_BOT_TOKEN is refused")
    assert app.startswith("SLACK_APP_TOKEN is refused")
    assert "xoxb-old" not in str(findings)


async def test_a_signing_secret_of_the_wrong_form_is_pointed_out(
    slack: FakeSlack, granted: set[str]
) -> None:
    findings = await found(slack, signing_secret="short")
    assert findings[0][0] == "warn"
    assert "Basic Information" in findings[0][2]


async def test_slack_out_of_reach_is_a_warning(slack: FakeSlack) -> None:
    findings = await found(slack, api_url=f"http://127.0.0.1:{free_port()}/api/")
    ((status, detail, advice),) = findings
    assert status == "warn"
    assert detail == "the bot token cannot be tried: auth.test: Slack cannot be reached."
    assert "slack.com by HTTPS" in advice


@pytest.mark.parametrize(
    ("setting", "given", "sentence"),
    [
        ("SLACK_BOT_TOKEN", "xapp-1-x", "it must begin with xoxb-; this is an app token"),
        ("SLACK_BOT_TOKEN", "xoxp-1-x", "it must begin with xoxb-; this is a user token"),
        ("SLACK_APP_TOKEN", "xoxb-1-x", "it must begin with xapp-; this is a bot token"),
        ("SLACK_BOT_TOKEN", SECRET, "it must begin with xoxb-"),
    ],
)
def test_a_token_of_another_kind_is_said_to_be_one(
    tmp_path: Path, setting: str, given: str, sentence: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({setting: given}, tmp_path)
    told = "\n".join(caught.value.problems)
    assert sentence in told
    assert given not in told

"""Attached files: from Microsoft's hosts, with the token only where it belongs."""

from __future__ import annotations

import pytest

from adapters.teams.adapter import TeamsAdapter
from adapters.teams.files import Files
from bot.errors import MessageGone, PlatformError, PlatformRefused
from bot.types import Attachment
from tests.fakes.teams import FakeTeams


def attached(url: str) -> Attachment:
    return Attachment("notes.txt", "text/plain", 0, url)


@pytest.mark.parametrize("path", ["files", "v3/attachments"])
async def test_a_file_is_fetched_from_where_teams_keeps_it(
    adapter: TeamsAdapter, teams: FakeTeams, path: str
) -> None:
    teams.files["1"] = b"some notes"
    assert await adapter.fetch(attached(f"{teams.url}{path}/1?sig=x"), 100) == b"some notes"


async def test_a_file_that_is_larger_than_wanted_is_not_read_to_its_end(
    adapter: TeamsAdapter, teams: FakeTeams
) -> None:
    teams.files["1"] = b"x" * 1000
    with pytest.raises(PlatformRefused, match="too_large"):
        await adapter.fetch(attached(f"{teams.url}files/1"), 999)


async def test_a_file_that_is_gone_is_a_platform_error(
    adapter: TeamsAdapter, teams: FakeTeams
) -> None:
    with pytest.raises(MessageGone):
        await adapter.fetch(attached(f"{teams.url}files/none"), 100)


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/notes.txt",
        "https://sharepoint.com.evil.example/notes.txt",
        "https://evilsharepoint.com/notes.txt",
        "http://team.sharepoint.com/notes.txt",
        "https://team.sharepoint.com:8443/notes.txt",
        "https://me@team.sharepoint.com/notes.txt",
        "http://169.254.169.254/metadata/identity",
        "http://127.0.0.1:9/",
        "file:///etc/passwd",
        "",
    ],
)
async def test_nothing_is_fetched_from_anywhere_else(adapter: TeamsAdapter, url: str) -> None:
    with pytest.raises(PlatformError, match="foreign_host"):
        await adapter.fetch(attached(url), 100)


@pytest.mark.parametrize(
    ("url", "gets_token"),
    [
        ("https://smba.trafficmanager.net/emea/t/v3/attachments/0-weu-d1/views/original", True),
        ("https://smba.infra.gcc.teams.microsoft.com/v3/attachments/1/views/original", True),
        ("https://smba.trafficmanager.net/emea/another/path", False),
        ("https://team.sharepoint.com/v3/attachments/1/views/original", False),
        ("https://team-my.sharepoint.com/personal/a/download.aspx?tempauth=x", False),
    ],
)
async def test_the_token_goes_only_to_the_connector_for_what_it_keeps(
    url: str, gets_token: bool
) -> None:
    async def token() -> str:
        return "secret"

    headers = await Files((), token, 1.0).headers_for(url)
    assert headers == ({"Authorization": "Bearer secret"} if gets_token else {})

"""Attached files: from Microsoft's hosts, with the token only where it belongs."""

from __future__ import annotations

import pytest

from adapters.teams.adapter import TeamsAdapter
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

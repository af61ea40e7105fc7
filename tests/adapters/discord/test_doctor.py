"""What ``doctor`` and ``discord invite`` tell whoever sets Discord up."""

from __future__ import annotations

import asyncio
import base64
import re
from pathlib import Path

import pytest

from adapters.discord.application import CONTENT, PERMISSIONS, examine
from adapters.discord.settings import DiscordSettings
from tests.bot.test_cli import parley
from tests.fakes.discord import TOKEN, FakeDiscord

ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "deploy/discord/README.md").read_text("utf-8")


async def findings(discord: FakeDiscord, token: str = TOKEN) -> list[tuple[str, str, str]]:
    return await asyncio.to_thread(examine, {"token": token, "api_url": discord.api_url})


@pytest.mark.parametrize("granted", [True, False])
async def test_doctor_says_which_intent_is_missing_and_what_that_costs(granted: bool) -> None:
    async with FakeDiscord(message_content=granted) as discord:
        token, content = await findings(discord)
    assert token[0] == "ok"
    assert content[:2] == (
        ("ok", "Message Content Intent is granted") if granted else ("warn", CONTENT)
    )


async def test_doctor_says_that_a_token_is_refused_without_showing_it() -> None:
    async with FakeDiscord() as discord:
        (found,) = await findings(discord, "a.wrong.token")
    assert found[0] == "fail"
    assert "DISCORD_TOKEN is refused" in found[1]
    assert "a.wrong.token" not in str(found)


async def test_doctor_says_that_discord_cannot_be_reached() -> None:
    async with FakeDiscord() as discord:
        pass
    (found,) = await findings(discord)
    assert found[0] == "warn"
    assert "cannot be reached" in found[1]


async def test_the_invite_link_is_printed(tmp_path: Path) -> None:
    token = base64.b64encode(b"198622483471925248").decode().rstrip("=") + ".x.y"
    done = await parley(tmp_path, "discord", "invite", DISCORD_TOKEN=token)
    assert done.code == 0, done.err
    assert done.out.startswith("https://discord.com/oauth2/authorize?client_id=198622483471925248&")
    given = await parley(tmp_path, "discord", "invite", "--application", "42")
    assert "client_id=42&" in given.out


def test_the_guide_names_every_permission_and_setting() -> None:
    table = README.partition("| permission |")[2].partition("4. **Start")[0]
    for permission in PERMISSIONS:
        assert permission in table, permission
    names = {f"DISCORD_{name.upper()}" for name in DiscordSettings.__dataclass_fields__}
    tests_only = {"DISCORD_API_URL", "DISCORD_GATEWAY_URL"}
    assert names - tests_only <= set(re.findall(r"DISCORD_[A-Z_]+", README))

"""Why no call is ever cancelled, and that none is."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import aiohttp
import pytest
from discord.http import Route
from discord.webhook.async_ import AsyncWebhookAdapter

from adapters.discord.adapter import DiscordAdapter
from bot.errors import NotPermitted, PlatformError, SettingsError, Unavailable
from bot.types import Attachment, Label, Place
from tests.adapters.discord.conftest import Observed, make_adapter
from tests.fakes import discord as wire
from tests.fakes.clock import settle
from tests.fakes.discord import EDIT, EDIT_ORIGINAL, SEND, FakeDiscord, Fault
from tests.fakes.discord_guild import APP


async def deferred(discord: FakeDiscord, adapter: DiscordAdapter) -> str:
    """The token of a deferred interaction."""

    async def handler(_: object) -> None:
        return

    listening = asyncio.create_task(adapter.listen(handler))
    asked = await discord.slash("ask", question="Why?")
    listening.cancel()
    return asked.token


async def test_discord_py_hangs_after_a_cancelled_edit_and_so_none_of_ours_is_cancelled(
    discord: FakeDiscord, adapter: DiscordAdapter
) -> None:
    """The hazard itself: if this fails, discord.py was mended and ``Rest`` may be simpler."""
    token = await deferred(discord, adapter)
    webhooks = AsyncWebhookAdapter()  # type: ignore[no-untyped-call]
    path = "/webhooks/{webhook_id}/{webhook_token}/messages/@original"
    route = Route("PATCH", path, webhook_id=APP, webhook_token=token)
    body = {"content": "x", "allowed_mentions": {"parse": []}, "flags": 4}
    exhausted = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": "30"}
    discord.fail(EDIT_ORIGINAL, Fault(200, {"id": "1"}, exhausted))
    async with aiohttp.ClientSession() as session:
        edit = asyncio.create_task(webhooks.request(route, session, payload=body))
        again = asyncio.create_task(webhooks.request(route, session, payload=body))
        await discord.until(lambda: discord.num_calls(EDIT_ORIGINAL))
        await settle()
        edit.cancel()
        with suppress(asyncio.CancelledError):
            await edit
        done, _ = await asyncio.wait({again}, timeout=0.5)
        again.cancel()
        assert not done


async def test_whoever_is_cancelled_while_an_edit_waits_leaves_it_to_end(
    discord: FakeDiscord, adapter: DiscordAdapter, place: Place
) -> None:
    message = await adapter.post(place, adapter.render("before"), Label("t", 0))
    discord.fail(EDIT, wire.rate_limited(0.4))
    edit = asyncio.create_task(adapter.edit(place, message, adapter.render("during")))
    await discord.until(lambda: discord.num_calls(EDIT) == 1)
    edit.cancel()
    with suppress(asyncio.CancelledError):
        await edit
    await adapter.edit(place, message, adapter.render("after"))
    assert discord.texts(place.channel) == ["after"]
    assert [text for _, _, text in discord.shown] == ["before", "during", "after"]


async def test_a_global_rate_limit_with_a_cancelled_caller_blocks_nobody(
    discord: FakeDiscord, adapter: DiscordAdapter, place: Place
) -> None:
    message = await adapter.post(place, adapter.render("before"), Label("t", 0))
    discord.fail(EDIT, wire.rate_limited(0.4, is_global=True))
    edit = asyncio.create_task(adapter.edit(place, message, adapter.render("during")))
    await discord.until(lambda: discord.num_calls(EDIT) == 1)
    edit.cancel()
    async with asyncio.timeout(5):
        await adapter.post(place, adapter.render("another"), Label("t", 1))


async def test_a_redirect_is_not_followed(
    discord: FakeDiscord, adapter: DiscordAdapter, place: Place
) -> None:
    elsewhere = {"Location": discord.files_url + "/stolen"}
    discord.files["stolen"] = b"{}"
    discord.fail(SEND, Fault(307, {}, elsewhere))
    with pytest.raises(PlatformError):
        await adapter.post(place, adapter.render("secret"), Label("t", 0))


async def test_files_come_from_discords_own_hosts_only(
    discord: FakeDiscord, adapter: DiscordAdapter
) -> None:
    discord.files["a.txt"] = b"text"
    inside = Attachment("a.txt", "text/plain", 4, f"{discord.files_url}/a.txt")
    assert await adapter.fetch(inside, 10) == b"text"
    with pytest.raises(Unavailable, match="too large"):
        await adapter.fetch(inside, 3)
    for url in ("http://169.254.169.254/latest", "file:///etc/passwd", "https://evil.example/a"):
        with pytest.raises(Unavailable, match="not on Discord"):
            await adapter.fetch(Attachment("a", "text/plain", 1, url), 10)


async def test_every_call_is_counted_without_a_channel_or_person_in_its_name(
    discord: FakeDiscord, adapter: DiscordAdapter, observed: Observed, place: Place
) -> None:
    observed.clear()
    await adapter.post(place, adapter.render("x"), Label("t", 0))
    discord.forbidden.add(("write", place.channel))
    with pytest.raises(NotPermitted):
        await adapter.post(place, adapter.render("x"), Label("t", 1))
    posts = [each for each in observed if each[0] == SEND]
    assert posts == [(SEND, "ok"), (SEND, "50013")]


async def test_a_refused_token_is_one_sentence(discord: FakeDiscord) -> None:
    with pytest.raises(SettingsError) as caught:
        async with make_adapter(discord, token="wrong.token.here"):
            pass
    (sentence,) = caught.value.problems
    assert sentence.startswith("DISCORD_TOKEN is refused by Discord")
    assert "wrong.token" not in sentence


@pytest.mark.parametrize(
    ("code", "beginning"),
    [
        (4004, "DISCORD_TOKEN is refused by Discord"),
        (4014, "Discord does not grant the intents"),
    ],
)
async def test_a_gateway_that_closes_for_good_says_why_in_one_sentence(
    discord: FakeDiscord, code: int, beginning: str
) -> None:
    discord.gateway.refuse_with = code
    with pytest.raises(SettingsError) as caught:
        async with make_adapter(discord):
            pass
    (sentence,) = caught.value.problems
    assert sentence.startswith(beginning)


async def test_a_line_that_is_closed_for_good_ends_listening(
    discord: FakeDiscord, adapter: DiscordAdapter
) -> None:
    async def handler(_: object) -> None:
        return

    listening = asyncio.create_task(adapter.listen(handler))
    await asyncio.sleep(0)
    await discord.gateway.close(4014)
    with pytest.raises(SettingsError, match="intents"):
        await listening


async def test_a_line_without_heartbeats_is_given_up_and_taken_up_again(
    discord: FakeDiscord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.discord.api.client._HEARTBEAT_SECONDS", 0.6)
    discord.gateway.heartbeat_interval = 0.2
    discord.gateway.acks_heartbeats = False
    async with make_adapter(discord):
        await discord.until(lambda: discord.gateway.num_resumes)
        discord.gateway.acks_heartbeats = True


async def test_shards_are_opened_as_discord_advises(monkeypatch: pytest.MonkeyPatch) -> None:
    async def wait(*_: object, **__: object) -> None:
        """Not the five seconds of discord.py."""

    monkeypatch.setattr("discord.Client.before_identify_hook", wait)
    async with FakeDiscord(num_shards=2) as discord:
        discord.gateway.guilds = [str(n << 22) for n in range(1, 5)]
        async with make_adapter(discord):
            assert [data["shard"] for data in discord.gateway.identifies] == [[0, 2], [1, 2]]


@pytest.mark.parametrize("granted", [True, False])
async def test_the_privileged_intent_is_asked_for_only_where_it_was_granted(granted: bool) -> None:
    async with FakeDiscord(message_content=granted) as discord, make_adapter(discord):
        (identify,) = discord.gateway.identifies
        assert bool(identify["intents"] & 1 << 15) is granted
        assert not identify["intents"] & (1 << 1 | 1 << 8)


async def test_a_message_of_an_hour_ago_is_not_edited_any_more(adapter: DiscordAdapter) -> None:
    assert adapter.edit_deadline("7/175928847299117063") == 0.0


async def test_a_new_message_may_be_edited_as_long_as_the_limits_say(
    adapter: DiscordAdapter, place: Place
) -> None:
    message = await adapter.post(place, adapter.render("new"), Label("t", 0))
    assert adapter.edit_deadline(message) is None

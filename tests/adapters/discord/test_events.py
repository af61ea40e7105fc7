"""Payloads -> what Parley takes: pure, and total whatever comes."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.discord.api.channels import ChannelInfo
from adapters.discord.api.ids import InteractionRef, MessageRef, parse_ref
from adapters.discord.api.messages import BotUser
from adapters.discord.application import application_id, invite_link
from adapters.discord.events import (
    concerns_bot,
    is_from_a_person,
    read_deletions,
    read_edit,
    read_question,
    read_reaction,
)
from adapters.discord.interactions.commands import COMMANDS, is_same
from adapters.discord.interactions.invocations import read_interaction
from adapters.discord.settings import DiscordSettings
from bot.errors import SettingsError
from bot.types import Place
from tests.contracts.adapter import quickly
from tests.fakes.discord import FakeDiscord
from tests.fakes.discord_guild import ADA, BOB, BOT, CHANNEL, GUILD

ME = BotUser(BOT, "Parley", frozenset({"77"}))
SPOT = ChannelInfo(GUILD, CHANNEL, can_thread=True)
PLACE = Place("discord", GUILD, CHANNEL, "5")
_NAMES = """
    id channel_id guild_id author user member type content data name options value token values
    custom_id components channel message emoji user_id message_id mentions roles bot focused
    referenced_message message_reference ids resolved target_id message_snapshots poll question
    answers poll_media text results answer_counts sticker_items embeds fields title description
    edited_timestamp mention_roles attachments filename url
"""
KEYS = st.sampled_from(sorted(_NAMES.split()))
JUNK: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just("1"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=20,
)


def message(content: str, **more: Any) -> dict[str, Any]:
    fake = FakeDiscord()
    return {**fake.keep(CHANNEL, ADA, content), "guild_id": GUILD, **more}


@pytest.mark.parametrize(
    ("content", "text", "others"),
    [
        (f"<@{BOT}> hello", "hello", False),
        (f"<@!{BOT}>, hello", "hello", False),
        (f"<@{BOT}> ask <@{BOB}>", "ask @Bob", True),
        (f"hello <@{BOT}>!", "hello !", False),
        (f"<@{BOT}> <:blob:123> in <#9>", ":blob: in #channel-9", False),
    ],
)
def test_a_mention_is_a_question_without_the_mention(content: str, text: str, others: bool) -> None:
    question = read_question(message(content), ME, PLACE)
    assert question is not None
    assert (question.text, question.mentions_others) == (text, others)
    assert question.is_mention
    assert question.person.name == "Ada"
    assert question.message_id == str(MessageRef(CHANNEL, question.event_id))


@pytest.mark.parametrize(
    "code",
    [
        f"`<@{BOT}>`",
        f"``a ` <@{BOT}>``",
        f"```py\nsend('<@{BOT}>')\n```",
        f"```<@{BOT}>```",
        f"\\<@{BOT}>",
    ],
)
def test_a_mention_in_code_is_none_and_stays(code: str) -> None:
    alone = message(f"Write {code} there", mentions=[])
    assert not concerns_bot(alone, ME, SPOT)
    question = read_question(message(f"<@{BOT}> what does {code} do?"), ME, PLACE)
    assert question is not None
    assert question.text == f"what does {code} do?"
    assert question.is_mention


def test_a_list_of_mentions_is_believed_and_where_there_is_none_the_text() -> None:
    assert not concerns_bot(message(f"<@{BOT}> hi", mentions=[{"id": BOB}]), ME, SPOT)
    assert concerns_bot(message("hi", mentions=[{"id": BOT}]), ME, SPOT)
    assert concerns_bot(message(f"<@{BOT}> hi", mentions=None), ME, SPOT)


def _names(kind: str, some_id: str) -> str:
    return {("#", "7"): "rules", ("@&", "8"): "staff"}.get((kind, some_id), "")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("<t:1700000000>", "2023-11-14 22:13 UTC"),
        ("<t:1700000000:R>", "2023-11-14 22:13 UTC"),
        ("<t:1700000000:F> or <t:1700000000:f>", "2023-11-14 22:13 UTC or 2023-11-14 22:13 UTC"),
        ("<t:1700000000:D>, <t:1700000000:d>", "2023-11-14, 2023-11-14"),
        ("<t:1700000000:T>, <t:1700000000:t>", "22:13:20 UTC, 22:13 UTC"),
        ("<t:-1:R>", "1969-12-31 23:59 UTC"),
        ("<t:99999999999999999:R>", "<t:99999999999999999:R>"),
        ("Use </ask:1> or </parley stop:12>", "Use /ask or /parley stop"),
        ("<#7> <#9> <@&8> <@&9>", "#rules #channel-9 @staff @role-9"),
        ("<:blob:123> <a:wave_2:9>", ":blob: :wave_2:"),
        ("<id:customize>, <id:linked-roles:4>", "Channels & Roles, Linked Roles"),
        ("<id:new> a<b <https://x.org>", "<id:new> a<b <https://x.org>"),
        ("`<t:1:R>` ```\n<#7>\n``` \\<:blob:1>", "`<t:1:R>` ```\n<#7>\n``` \\<:blob:1>"),
    ],
)
def test_discords_own_marks_are_read_as_people_see_them(content: str, text: str) -> None:
    me = BotUser(BOT, "Parley", names=_names)
    question = read_question(message(content), me, PLACE)
    assert question is not None
    assert question.text == text


def test_a_mention_of_the_bots_own_role_counts_like_itself() -> None:
    question = read_question(message("<@&77> hello", mention_roles=["77"]), ME, PLACE)
    assert question is not None
    assert (question.text, question.is_mention) == ("hello", True)


@pytest.mark.parametrize(
    "more",
    [
        {"author": {"id": BOT, "bot": True}},
        {"webhook_id": "1"},
        {"type": 7},
        {"author": {"id": "1", "system": True}},
    ],
)
def test_bots_webhooks_and_discord_itself_are_not_people(more: dict[str, Any]) -> None:
    assert not is_from_a_person(message("hi", **more))


def test_a_message_in_a_channel_that_is_not_for_us_is_none_of_our_business() -> None:
    assert not concerns_bot(message("hi"), ME, SPOT)
    assert concerns_bot(message("hi"), ME, ChannelInfo(GUILD, "9", parent=CHANNEL))
    assert concerns_bot(message("hi"), ME, ChannelInfo("", "9"))


@quickly
@given(st.dictionaries(KEYS, JUNK, max_size=10))
def test_no_payload_whatever_raises(payload: dict[str, Any]) -> None:
    read_question(payload, ME, PLACE)
    read_edit(payload, ME, PLACE)
    read_deletions(payload, PLACE)
    read_reaction(payload, ME, PLACE)
    concerns_bot(payload, ME, SPOT)
    for kind in (2, 3, 4, 5):
        invoked = read_interaction({**payload, "type": kind}, ME)
        if invoked is not None:
            assert invoked.place.adapter == "discord"
            assert invoked.person.id


def test_the_ids_that_are_kept_can_be_read_back_and_hide_their_token() -> None:
    asked = InteractionRef("1", ADA, "to-k_en", private=True)
    assert parse_ref(str(asked)) == asked
    assert "to-k_en" not in repr(asked)
    assert parse_ref("7/8") == MessageRef("7", "8")
    assert parse_ref("1700.1") is parse_ref(None) is parse_ref("") is None


def test_commands_are_the_same_whatever_else_discord_tells_of_them() -> None:
    extra = {"id": "1", "version": "2", "application_id": "3", "nsfw": False}
    there = [{**each, **extra} for each in COMMANDS]
    assert is_same(there, COMMANDS)
    assert is_same(there[::-1], COMMANDS)
    assert not is_same(there[1:], COMMANDS)
    assert not is_same([*there[:2], {**there[2], "name": "Old name"}], COMMANDS)
    assert not is_same([{**there[0], "options": []}, *there[1:]], COMMANDS)
    assert not is_same("garbage", COMMANDS)


def test_the_invite_link_names_the_application_and_asks_for_little() -> None:
    token = base64.b64encode(b"198622483471925248").decode() + ".x.y"
    link = invite_link(application_id(token))
    assert "client_id=198622483471925248" in link
    assert "scope=bot+applications.commands" in link
    permissions = int(link.rpartition("=")[2])
    assert not permissions & (1 << 3 | 1 << 13 | 1 << 17)
    with pytest.raises(SettingsError, match="--application"):
        application_id("nonsense")


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({}, "DISCORD_TOKEN is not set"),
        ({"token": "a b"}, "DISCORD_TOKEN holds a space"),
        ({"token": "t", "api_url": "ftp://x"}, "DISCORD_API_URL"),
        ({"token": "t", "gateway_url": "http://x"}, "DISCORD_GATEWAY_URL"),
        ({"token": "t", "guild_ids": "abc"}, "'abc' is no server id"),
    ],
)
def test_a_wrong_setting_is_one_sentence(table: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        DiscordSettings.read(table)
    (problem,) = caught.value.problems
    assert says in problem


def test_settings_are_read_from_their_texts() -> None:
    table = {"token": "t", "threads": "False", "file_above": "3", "guild_ids": "1,2"}
    settings = DiscordSettings.read(table)
    assert (settings.threads, settings.file_above, settings.guild_ids) == (False, 3, ("1", "2"))
    assert "t'" not in repr(settings)

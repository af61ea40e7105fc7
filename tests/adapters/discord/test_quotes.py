"""What a message carries beside its text, as the model reads it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.discord.talk import Talk, talking
from tests.fakes.discord import FakeDiscord
from tests.fakes.discord_guild import (
    ADULT,
    BOB,
    BOSS_ROLE,
    DIRECT,
    GUILD,
    OTHER_CHANNEL,
    Json,
)

EMBED = {
    "type": "rich",
    "author": {"name": "CI"},
    "title": "Build 7 failed",
    "url": "https://ci.example/7",
    "description": "at <t:1700000000:f>",
    "fields": [{"name": "Branch", "value": "main", "inline": False}],
    "footer": {"text": "2 minutes"},
}
EMBED_QUOTED = (
    "> [Embed]\n> > CI\n> > Build 7 failed (https://ci.example/7)\n> > at 2023-11-14 22:13 UTC\n"
    "> > Branch: main\n> > 2 minutes"
)
POLL = {
    "question": {"text": "Lunch?"},
    "answers": [
        {"answer_id": 1, "poll_media": {"text": "Pizza", "emoji": {"id": None, "name": "🍕"}}},
        {"answer_id": 2, "poll_media": {"text": "Salad"}},
    ],
    "expiry": "2026-01-01T00:00:00+00:00",
    "allow_multiselect": False,
    "layout_type": 1,
    "results": {"is_finalized": False, "answer_counts": [{"id": 1, "count": 3, "me_voted": False}]},
}
POLL_QUOTED = "[Poll by Bob]\n> Lunch?\n> - 🍕 Pizza (votes: 3)\n> - Salad"
DISPLAYS = [
    {
        "type": 17,
        "id": 1,
        "accent_color": None,
        "spoiler": False,
        "components": [{"type": 10, "id": 2, "content": "Deployed"}],
    },
    {"type": 10, "id": 3, "content": "to prod"},
]
STICKER = {"id": "1", "name": "Wave", "format_type": 1}
WHAT: list[tuple[Json, str]] = [
    ({"embeds": [EMBED]}, EMBED_QUOTED),
    ({"poll": POLL}, POLL_QUOTED.replace("\n", "\n> ").replace("[", "> [", 1)),
    ({"components": DISPLAYS}, "> Deployed\n> to prod"),
    ({"sticker_items": [STICKER]}, "> [Sticker]\n> > Wave"),
]
NAMES = ("embed", "poll", "text components", "sticker")


def forwarding(**message: Any) -> Json:
    """What a forward carries; Discord leaves the author out."""
    snapshot: Json = {
        "type": 0,
        "content": "",
        "mentions": [],
        "mention_roles": [],
        "attachments": [],
        "embeds": [],
        "timestamp": "2026-01-01T00:00:00+00:00",
        "edited_timestamp": None,
        "flags": 0,
        "components": [],
        **message,
    }
    return {
        "message_reference": {"type": 1, "channel_id": "9", "message_id": "10"},
        "message_snapshots": [{"message": snapshot}],
    }


@pytest.fixture
async def talk(tmp_path: Path, discord: FakeDiscord) -> AsyncIterator[Talk]:
    async with talking(tmp_path, discord) as talk:
        yield talk


async def read(talk: Talk) -> str:
    """What the model is asked."""
    generation = await talk.generation()
    generation.finish()
    return generation.question


async def menu(discord: FakeDiscord, message: str) -> None:
    data = {
        "id": "1",
        "name": "Ask Parley about this",
        "type": 3,
        "target_id": message,
        "resolved": {"messages": {message: discord.messages[message]}},
    }
    await discord.interact(2, data)


@pytest.mark.parametrize(("carries", "quoted"), WHAT, ids=NAMES)
async def test_a_reply_shows_the_model_what_it_replies_to(
    talk: Talk, discord: FakeDiscord, carries: Json, quoted: str
) -> None:
    shown = await discord.say("", user=BOB, **carries)
    await discord.ask("What is this?", reply_to=shown)
    assert await read(talk) == (
        f"What is this?\n\n[Message that is replied to, from Bob]\n{quoted}"
    )


@pytest.mark.parametrize(("carries", "quoted"), WHAT, ids=NAMES)
async def test_the_menu_shows_the_model_all_of_a_message(
    talk: Talk, discord: FakeDiscord, carries: Json, quoted: str
) -> None:
    await menu(discord, await discord.say("", user=BOB, **carries))
    assert await read(talk) == (
        f"What is this message by Bob about?\n\n[Message from Bob]\n{quoted}"
    )


async def test_a_forward_is_read_with_its_embeds_and_its_files(
    talk: Talk, discord: FakeDiscord
) -> None:
    prices = discord.attached("prices.csv", b"apple,3\n", "text/csv")
    told = forwarding(content="Look,\n[Attached file: x]", embeds=[EMBED], attachments=[prices])
    await discord.say("", channel=DIRECT, **told)
    assert await read(talk) == (
        "[Forwarded message]\n> Look,\n> [Attached file: x]\n>\n"
        f"{EMBED_QUOTED}\n\n[Attached file: prices.csv]\n```\napple,3\n```"
    )


async def test_a_forward_of_a_file_alone_is_that_file(talk: Talk, discord: FakeDiscord) -> None:
    notes = discord.attached("notes.txt", b"Buy milk.", "text/plain")
    await discord.say("", channel=DIRECT, **forwarding(attachments=[notes]))
    assert await read(talk) == "[Attached file: notes.txt]\n```\nBuy milk.\n```"


async def test_a_reply_to_a_forward_and_the_menu_on_it_read_what_was_forwarded(
    talk: Talk, discord: FakeDiscord
) -> None:
    forward = await discord.say("", user=BOB, **forwarding(content="The moon is far."))
    quoted = "> [Forwarded message]\n> > The moon is far."
    await discord.ask("Is it?", reply_to=forward)
    assert await read(talk) == f"Is it?\n\n[Message that is replied to, from Bob]\n{quoted}"
    await menu(discord, forward)
    assert (await read(talk)).endswith(f"[Message from Bob]\n{quoted}")


async def test_a_poll_and_a_sticker_of_ones_own_are_read(talk: Talk, discord: FakeDiscord) -> None:
    await discord.say("", channel=DIRECT, poll=POLL, sticker_items=[STICKER])
    assert await read(talk) == f"{POLL_QUOTED.replace('Bob', 'Ada')}\n\n[Sticker]\n> Wave"


async def test_the_file_of_the_message_that_is_replied_to_is_read(
    talk: Talk, discord: FakeDiscord
) -> None:
    prices = discord.attached("prices.csv", b"apple,3\n", "text/csv")
    offer = await discord.say("My offer", user=BOB, attachments=[prices])
    await discord.ask("What is an apple?", reply_to=offer)
    assert await read(talk) == (
        "What is an apple?\n\n[Message that is replied to, from Bob]\n> My offer"
        "\n\n[Attached file: prices.csv]\n```\napple,3\n```"
    )


async def test_an_embed_above_in_the_chain_is_read(talk: Talk, discord: FakeDiscord) -> None:
    failed = await discord.say("", user=BOB, embeds=[EMBED])
    asked = await discord.say("Who broke it?", reply_to=failed)
    await discord.ask("Well?", reply_to=asked)
    assert "Build 7 failed" in await read(talk)


async def test_a_reply_to_parley_does_not_repeat_its_answer(
    talk: Talk, discord: FakeDiscord
) -> None:
    thread, reply = await talk.answered("One?", "Two.")
    await discord.say("And then?", channel=thread, reply_to=reply)
    generation = await talk.generation()
    assert [m.content for m in generation.request.messages][1:] == ["One?", "Two.", "And then?"]
    generation.finish()


async def test_channels_and_roles_are_named_unless_they_are_private(
    tmp_path: Path, discord: FakeDiscord
) -> None:
    hidden = {"id": GUILD, "type": 0, "allow": "0", "deny": str(1 << 10)}
    discord.channels[ADULT]["permission_overwrites"] = [hidden]
    async with talking(tmp_path, discord) as talk:
        await discord.ask(f"Is <#{OTHER_CHANNEL}> or <#{ADULT}> for <@&{BOSS_ROLE}>?")
        assert await read(talk) == f"Is #random or #channel-{ADULT} for @boss?"


async def test_the_word_stop_in_a_reply_to_somebody_stops(talk: Talk, discord: FakeDiscord) -> None:
    question, generation = await talk.asked("Why?")
    generation.say("Because")
    await discord.says("Because", question)
    remark = await discord.say(f"<@{BOB}> wrong", channel=question)
    await discord.ask("stop", channel=question, reply_to=remark)
    await discord.says("Because\n\n_(stopped)_", question)


async def test_a_thread_is_named_after_the_words_and_not_after_what_comes_with_them(
    talk: Talk, discord: FakeDiscord
) -> None:
    question = await discord.ask("What is this?", sticker_items=[STICKER])
    assert await read(talk) == "What is this?\n\n[Sticker]\n> Wave"
    await discord.until(lambda: question in discord.channels)
    assert discord.channels[question]["name"] == "What is this?"

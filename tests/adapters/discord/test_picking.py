"""Choosing a personality on Discord, however many there are: its menus hold 25."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.adapters.discord.talk import Talk, talking
from tests.fakes.discord import FakeDiscord
from tests.fakes.discord_guild import BOSS, CHANNEL, GUILD, Asked

MANY = [f"helper-{number:02}" for number in range(60)]
NAMES = sorted(["assistant", "pirate", *MANY])


@pytest.fixture
async def talk(tmp_path: Path, discord: FakeDiscord) -> AsyncIterator[Talk]:
    folder = tmp_path / "personalities"
    folder.mkdir()
    for name in MANY:
        (folder / f"{name}.md").write_text(f"---\ntitle: {name.title()}\n---\nYou are {name}.\n")
    async with talking(tmp_path, discord) as talk:
        yield talk


async def completed(discord: FakeDiscord, typed: str) -> list[str]:
    options = [{"name": "personality", "type": 3, "value": typed, "focused": True}]
    asked = await discord.interact(4, {"id": "1", "name": "ask", "type": 1, "options": options})
    return [choice["value"] for choice in asked.data["choices"]]


def offered(discord: FakeDiscord, shown: Asked) -> list[str]:
    menu = discord.messages[shown.original]["components"][0]["components"][0]
    return [option["value"] for option in menu["options"]]


async def choose(discord: FakeDiscord, shown: Asked, name: str) -> None:
    menu = discord.messages[shown.original]["components"][0]["components"][0]
    data = {"component_type": 3, "custom_id": menu["custom_id"], "values": [name]}
    await discord.press_id(shown.original, data)


async def test_what_is_typed_is_looked_for_in_all_of_them(talk: Talk, discord: FakeDiscord) -> None:
    assert len(await completed(discord, "")) == 25
    assert await completed(discord, "helper-5") == MANY[50:]
    assert await completed(discord, "Pir") == ["pirate"]
    assert await completed(discord, "nobody") == []
    assert len(talk.generator.generations) == 0


async def test_the_menu_has_pages_and_each_personality_is_on_one(
    talk: Talk, discord: FakeDiscord
) -> None:
    thread, reply = await talk.answered("One?", "Two.")
    shown = await discord.press(reply, "Personality…")
    pages = [offered(discord, shown)]
    assert list(discord.buttons(shown.original)) == ["Page 2 ▶"]
    await discord.press(shown.original, "Page 2 ▶")
    pages.append(offered(discord, shown))
    assert list(discord.buttons(shown.original)) == ["◀ Page 1", "Page 3 ▶"]
    await discord.press(shown.original, "Page 3 ▶")
    pages.append(offered(discord, shown))
    assert sorted(name for page in pages for name in page) == NAMES

    await choose(discord, shown, pages[2][0])
    await discord.say("Who are you?", channel=thread)
    generation = await talk.generation()
    assert generation.request.messages[0].content == f"You are {pages[2][0]}."
    generation.finish()


async def test_a_channels_personality_is_chosen_by_an_admin_only(
    tmp_path: Path, discord: FakeDiscord
) -> None:
    admins = {"admins": [f"discord:{GUILD}/{BOSS}"]}
    async with talking(tmp_path, discord, access=admins) as talk:
        chosen = {"sub": "personality", "name": "pirate"}
        await discord.slash("parley", **chosen)
        await discord.until(discord.whispers)
        assert discord.whispers() == ["Only an admin can set a channel's personality."]
        await discord.slash("parley", user=BOSS, **chosen)
        begins = "**Pirate** answers in this channel from now on"
        await discord.until(lambda: any(t.startswith(begins) for t in discord.texts(CHANNEL)))
        _, generation = await talk.asked("Ahoy?")
        assert generation.request.messages[0].content == "You are a pirate."
        generation.finish()


async def test_few_personalities_need_no_pages(tmp_path: Path, discord: FakeDiscord) -> None:
    async with talking(tmp_path, discord) as talk:
        _, reply = await talk.answered("One?", "Two.")
        shown = await discord.press(reply, "Personality…")
        assert offered(discord, shown) == ["assistant", "pirate"]
        assert discord.buttons(shown.original) == {}

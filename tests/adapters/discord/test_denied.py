"""Who may not use Parley is told so, alone wherever Discord can do that, whatever they do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from adapters.discord.api.components import CustomId, picker, question_form, when_ended
from adapters.discord.api.posting import body_of
from adapters.discord.interactions.commands import MENU
from bot.types import Label, Rendered, ReplyEnd
from tests.adapters.discord.conftest import PERSONALITIES
from tests.adapters.discord.talk import talking
from tests.fakes.discord import THREAD, FakeDiscord
from tests.fakes.discord_guild import (
    ADA,
    BOB,
    BOSS,
    BOSS_ROLE,
    BOT,
    CHANNEL,
    DIRECT,
    GUILD,
    Json,
)

DENIED = "Sorry, I have been asked not to answer here."
NOT_ALLOWED = (
    "Sorry, I only answer certain people and channels; whoever runs me can add you to them."
)
RULES: dict[str, tuple[Json, str]] = {
    "a person is denied": ({"deny": [f"discord:{GUILD}/{BOSS}"]}, DENIED),
    "a role is denied": ({"deny": [f"discord:{GUILD}/@{BOSS_ROLE}"]}, DENIED),
    "a channel is denied": ({"deny": [f"discord:{GUILD}/{CHANNEL}"]}, DENIED),
    "another person is allowed": ({"allow": [f"discord:{GUILD}/{ADA}"]}, NOT_ALLOWED),
}
Shown = set[tuple[str, str]]


class Tries:
    """What one person does, beside a reply of before the rule."""

    def __init__(self, discord: FakeDiscord, user: str, reply: str) -> None:
        self.discord = discord
        self.user = user
        self.reply = reply
        self.thread = str(discord.messages[reply]["channel_id"])

    async def press(self, message: str, kind: int, custom_id: CustomId, *values: str) -> None:
        data: Json = {"component_type": kind, "custom_id": str(custom_id)}
        data |= {"values": list(values)} if values else {}
        await self.discord.press_id(message, data, user=self.user)

    async def choose(self) -> None:
        await self.press(self._menu(), 3, CustomId("choose", self.thread), "pirate")

    async def turn_the_page(self) -> None:
        """The menu that is open closes."""
        menu = self._menu()
        await self.press(menu, 2, CustomId("page", self.thread, part=1))
        assert self.discord.messages[menu]["components"] == []

    def _menu(self) -> str:
        """The menu of personalities, opened before the rule."""
        menu = body_of(Rendered(""), picker(self.thread, PERSONALITIES))
        message = str(self.discord.write(self.thread, menu)["id"])
        self.discord.hidden[message] = self.user
        return message

    async def send_form(self) -> None:
        """It was open already."""
        form = question_form("", private=False)
        field = {"type": 4, "id": 2, "custom_id": "question", "value": "Why?"}
        row = {"type": 1, "id": 1, "components": [field]}
        data = {"custom_id": form["custom_id"], "components": [row]}
        await self.discord.interact(5, data, user=self.user)

    async def ask_about(self) -> None:
        messages = {"messages": {self.reply: self.discord.messages[self.reply]}}
        data = {"id": "1", "name": MENU, "type": 3, "target_id": self.reply, "resolved": messages}
        await self.discord.interact(2, data, user=self.user)

    async def mention(self) -> None:
        for _ in range(3):
            await self.discord.ask("Why?", user=self.user)

    async def mention_by_edit(self) -> None:
        message = await self.discord.say("Why?", user=self.user)
        await self.discord.change_text(message, f"<@{BOT}> Why?")


Does = Callable[[Tries], Awaitable[object]]


def slash(name: str, /, **given: Any) -> Does:
    return lambda who: who.discord.slash(name, user=who.user, **given)


def pressing(label: str) -> Does:
    return lambda who: who.discord.press(who.reply, label, user=who.user)


def reacting(emoji: str) -> Does:
    return lambda who: who.discord.react(who.reply, emoji, user=who.user)


def saying(text: str, **where: str) -> Does:
    return lambda who: who.discord.say(text, user=who.user, **where)


SUBS = (
    "status",
    "help",
    "personality",
    "retry",
    "continue",
    "stop",
    "forget",
    "listen",
    "catch-up",
)
DOINGS: dict[str, Does] = {
    "ask": slash("ask", question="Why?"),
    "ask in private": slash("ask", question="Why?", private=True),
    "ask a personality": slash("ask", question="Why?", personality="pirate"),
    "ask for the form": slash("ask"),
    "ask for the form in private": slash("ask", private=True),
    "send the form": Tries.send_form,
    "ask about a message": Tries.ask_about,
    **{f"command {sub}": slash("parley", sub=sub) for sub in SUBS},
    **{title: pressing(title) for title in ("Retry", "Continue", "Personality…", "👍", "👎")},
    "choose a personality": Tries.choose,
    "turn the page of the menu": Tries.turn_the_page,
    "mention": Tries.mention,
    "word of command": saying(f"<@{BOT}> status"),
    "mention in the thread": lambda who: who.discord.ask("Why?", user=who.user, channel=who.thread),
    "reply": lambda who: who.discord.say(
        "Why?", user=who.user, channel=who.thread, reply_to=who.reply
    ),
    "mention by an edit": Tries.mention_by_edit,
    "direct message": saying("Why?", channel=DIRECT),
    "form in a direct message": slash("ask", channel=DIRECT),
}
SILENT: dict[str, Does] = {
    "a thumb as a reaction": reacting("👍"),
    "a stop sign as a reaction": reacting("🛑"),
    "a thumb taken away": lambda who: who.discord.unreact(who.reply, "👍", user=who.user),
    "a message that is for others": saying("Lunch?"),
}


def said_by_parley(discord: FakeDiscord) -> str:
    """A reply of before the rule, in its thread, with its buttons."""
    root = discord.keep(CHANNEL, ADA, "Why?")["id"]
    discord.open_thread(CHANNEL, root, "Why?")
    buttons = when_ended(root, Label("turn-1", 0), ReplyEnd(can_continue=True))
    return str(discord.write(root, body_of(Rendered("Because."), buttons))["id"])


def shown_to(discord: FakeDiscord, user: str) -> Shown:
    """Parley's messages that this person sees, and what they read."""
    return {
        (message_id, str(message["content"]))
        for message_id, message in discord.messages.items()
        if message["author"]["id"] == BOT and discord.hidden.get(message_id, user) == user
    }


async def told(who: Tries, does: Does, expected: list[str]) -> list[str]:
    """What the person reads once they have done it."""
    before = shown_to(who.discord, who.user)

    def news() -> list[str]:
        return [text for _, text in shown_to(who.discord, who.user) - before if text]

    await does(who)
    with suppress(TimeoutError):
        await who.discord.until(lambda: news() == expected, 2)
    return news()


async def test_it_is_said_once_to_who_tries_and_nothing_opens_or_runs(
    tmp_path: Path, discord: FakeDiscord
) -> None:
    reply = said_by_parley(discord)
    expected = {name: [DENIED] for name in DOINGS} | {name: [] for name in SILENT}
    found: dict[str, list[str]] = {}
    async with talking(tmp_path, discord, access={"deny": ["discord:*/66*"]}) as talk:
        for number, (name, does) in enumerate({**DOINGS, **SILENT}.items()):
            user = f"66{number:016}"
            discord.names[user] = f"Nobody {number}"
            found[name] = await told(Tries(discord, user, reply), does, expected[name])
        await talk.quiet()
        assert found == expected
        assert all(m["content"] or m["components"] for m in discord.messages.values())
        assert all(asked.callback in (4, 5, 6, 7) for asked in discord.interactions.values())
        assert discord.num_calls(THREAD) == 0
        assert discord.reactions == set()
        assert not talk.generator.generations
        assert await talk.turns() == []


@pytest.mark.parametrize(("access", "sentence"), RULES.values(), ids=RULES)
async def test_no_menu_and_no_form_opens_under_any_rule(
    tmp_path: Path, discord: FakeDiscord, access: Json, sentence: str
) -> None:
    reply = said_by_parley(discord)
    async with talking(tmp_path, discord, access=access):
        for asked in (
            await discord.press(reply, "Personality…", user=BOSS),
            await discord.slash("ask", user=BOSS),
        ):
            assert discord.answer_to(asked) == sentence
            assert discord.hidden[asked.original] == BOSS
            assert discord.messages[asked.original]["components"] == []


async def test_beside_them_everything_opens_for_who_is_allowed(
    tmp_path: Path, discord: FakeDiscord
) -> None:
    reply = said_by_parley(discord)
    options = [{"name": "personality", "type": 3, "value": "pi", "focused": True}]
    typed = {"id": "1", "name": "ask", "type": 1, "options": options}
    async with talking(tmp_path, discord, access={"deny": [f"discord:{GUILD}/{BOB}"]}):
        assert (await discord.interact(4, typed, user=BOB)).data == {"choices": []}
        assert (await discord.interact(4, typed, user=ADA)).data["choices"]
        shown = await discord.press(reply, "Personality…")
        assert discord.answer_to(shown) == "Who is to answer in this thread?"
        assert (await discord.slash("ask")).callback == 9

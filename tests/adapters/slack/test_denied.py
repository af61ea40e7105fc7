"""Who may not use Parley, by person, channel or workspace, is told so alone, whatever they do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from adapters.slack.interactions.buttons import when_ended
from adapters.slack.interactions.shortcuts import ASK_ABOUT, read_shortcut
from bot.types import ReplyEnd
from tests.adapters.slack.payloads import ME
from tests.fakes.slack_api import ADA, BOB, BOT, CHANNEL, DIRECT, TEAM, Json
from tests.scenarios.stage import Stage, staged

DENIED = "Sorry, I have been asked not to answer here."
NOT_ALLOWED = (
    "Sorry, I only answer certain people and channels; whoever runs me can add you to them."
)
RULES: dict[str, tuple[Json, str]] = {
    "a person is denied": ({"deny": [f"slack:{TEAM}/{BOB}"]}, DENIED),
    "a channel is denied": ({"deny": [f"slack:{TEAM}/{CHANNEL}"]}, DENIED),
    "a workspace is denied": ({"deny": [f"slack:{TEAM}"]}, DENIED),
    "another person is allowed": ({"allow": [f"slack:{TEAM}/{ADA}"]}, NOT_ALLOWED),
    "another channel is allowed": ({"allow": [f"slack:{TEAM}/C09"]}, NOT_ALLOWED),
    "another workspace is allowed": ({"allow": ["slack:T09"]}, NOT_ALLOWED),
}
of_rules = pytest.mark.parametrize(("access", "sentence"), RULES.values(), ids=RULES)
Does = Callable[[Stage, str], Awaitable[object]]


def said_by_parley(stage: Stage) -> str:
    """A reply of before the rule, with its buttons."""
    root = stage.slack.keep({"type": "message", "user": ADA, "text": "Why?", "channel": CHANNEL})
    reply = {"type": "message", "user": BOT, "bot_id": "BBOT", "thread_ts": root}
    blocks = when_ended("Because.", root, "turn-1", ReplyEnd(can_continue=True))
    return stage.slack.keep({**reply, "channel": CHANNEL, "text": "Because.", "blocks": blocks})


async def mention(stage: Stage, _: str) -> None:
    for _number in range(3):
        await stage.ask("Why?", user=BOB)


async def word(stage: Stage, _: str) -> None:
    await stage.ask("status", user=BOB)


async def edit(stage: Stage, _: str) -> None:
    ts = await stage.slack.say("Why?", user=BOB)
    await stage.slack.change(ts, f"<@{BOT}> Why?")


async def question(stage: Stage, _: str) -> None:
    await stage.slack.command("Why?", user=BOB)


async def command(stage: Stage, _: str) -> None:
    await stage.slack.command("status", user=BOB)


async def shortcut(stage: Stage, ts: str) -> None:
    await stage.slack.choose_shortcut(ts, ASK_ABOUT, user=BOB)


async def form(stage: Stage, ts: str) -> None:
    """It was open already."""
    message = stage.slack.messages[CHANNEL, ts]
    chosen = read_shortcut(stage.slack.commands.shortcut(message, BOB, ASK_ABOUT), ME, {})
    assert chosen is not None
    view = {**chosen.form, "id": "V1"}
    await stage.slack.interact(stage.slack.commands.submission(view, "Why?", BOB))


def pressing(title: str) -> Does:
    async def press(stage: Stage, ts: str) -> None:
        for _ in range(2):
            await stage.slack.press(ts, title, user=BOB)

    return press


DOINGS: dict[str, Does] = {
    "mention": mention,
    "word of command": word,
    "edit": edit,
    "slash command with a question": question,
    "slash command": command,
    "shortcut": shortcut,
    "form": form,
    **{title: pressing(title) for title in ("Retry", "Continue", "👍", "👎")},
}


def told(stage: Stage) -> list[tuple[str, str]]:
    """Who was told what alone."""
    whispers = [(str(each["user"]), str(each["text"])) for each in stage.slack.whispers]
    return whispers + [(user, text) for user, _, text in stage.slack.commands.told]


@of_rules
@pytest.mark.parametrize("does", DOINGS.values(), ids=DOINGS)
async def test_it_is_said_once_to_who_tries_and_nothing_runs(
    tmp_path: Path, access: Json, sentence: str, does: Does
) -> None:
    async with staged(tmp_path, **access) as stage:
        ts = said_by_parley(stage)
        await does(stage, ts)
        await stage.clock.advance(5)
        assert told(stage) == [(BOB, sentence)]
        assert stage.slack.num_calls("chat.postMessage") == 0
        assert stage.slack.num_calls("chat.update") == 0
        assert stage.slack.commands.views == []
        assert not stage.generator.generations


@of_rules
async def test_no_menu_of_personalities_opens(tmp_path: Path, access: Json, sentence: str) -> None:
    async with staged(tmp_path, **access) as stage:
        await stage.slack.press(said_by_parley(stage), "Personality…", user=BOB)
        await stage.clock.advance(5)
        assert told(stage) == [(BOB, sentence)]
        assert not stage.slack.whispers[0].get("blocks")


@pytest.mark.parametrize(
    "rule", ["a person is denied", "a workspace is denied", "another channel is allowed"]
)
async def test_home_and_the_panel_say_it_too(tmp_path: Path, rule: str) -> None:
    access, sentence = RULES[rule]
    async with staged(tmp_path, **access) as stage:
        await stage.slack.open_home("messages", user=BOB)
        await stage.slack.open_home("home", user=BOB)
        await stage.until(lambda: BOB in stage.slack.homes)
        assert stage.slack.homes[BOB][1:] == [sentence]
        assert told(stage) == []
        thread = await stage.slack.start_assistant(user=BOB)
        await stage.slack.say("Why?", user=BOB, channel=DIRECT, thread_ts=thread)
        await stage.clock.advance(5)
        assert told(stage) == [(BOB, sentence)]
        assert stage.slack.prompts == {}
        assert stage.slack.titles == {}
        assert not stage.generator.generations


async def test_who_is_allowed_is_answered_beside_them(tmp_path: Path) -> None:
    async with staged(tmp_path, allow=[f"slack:{TEAM}/{ADA}"]) as stage:
        stage.generator.replies.append("Because.")
        ts = await stage.ask("Why?", user=ADA)
        await stage.slack.say("And me?", user=BOB, thread_ts=ts)
        await stage.ended(ts)
        await stage.clock.advance(5)
        assert stage.replies(ts) == ["Because."]
        assert told(stage) == []

"""Slack is answered once the disk has what it delivered, and nothing else is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.slack.api.client import SCOPES
from adapters.slack.interactions.shortcuts import ASK_ABOUT
from bot.errors import StorageError, StorageFull
from bot.stores import ThreadStore
from bot.types import Command
from tests.fakes.slack import Fault
from tests.fakes.slack_api import ADA, BOT, CHANNEL, DIRECT, Json
from tests.scenarios.stage import Stage, staged

HELD_SECONDS, ACK_SECONDS = 120.0, 1.8
"""Real ones: a name is looked up for a second. Slack would wait for three."""

Doing = Callable[[Stage, str], Awaitable[object]]
"""What a person does, in the thread of a question that was answered."""


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path, call_timeout=HELD_SECONDS) as stage:
        yield stage


@pytest.fixture
async def thread(stage: Stage) -> str:
    """With a form that is open and a reply that has buttons."""
    stage.generator.replies.append("Blue.")
    ts = await stage.ask("What colour is the sky?")
    await stage.ended(ts)
    await stage.until(lambda: "Retry" in stage.slack.buttons(reply_in(stage, ts)))
    await stage.slack.choose_shortcut(ts, ASK_ABOUT)
    await stage.until(lambda: bool(stage.slack.commands.views))
    return ts


@pytest.fixture
async def held(stage: Stage, thread: str) -> AsyncIterator[None]:
    """From now on Slack answers nothing."""
    freed = asyncio.Event()
    for method in SCOPES:
        stage.slack.fail(method, *[Fault(500, hangs=True, until=freed)] * 20)
    yield
    for method in SCOPES:
        stage.slack.heal(method)
    freed.set()


def reply_in(stage: Stage, thread: str) -> str:
    return next(str(m["ts"]) for m in stage.slack.thread(thread) if m["user"] == BOT)


def doing(act: Callable[[Any], Awaitable[object]]) -> Doing:
    return lambda stage, _: act(stage.slack)


def saying(text: str) -> Doing:
    return lambda stage, _: stage.slack.command(text)


def pressing(title: str) -> Doing:
    return lambda stage, thread: stage.slack.press(reply_in(stage, thread), title)


async def ask_a_stranger_s_question(stage: Stage, _: str) -> None:
    file = stage.slack.shelf.put_abroad("a.txt", b"a")
    await stage.slack.say(f"<@{BOT}> <@U77> what?", user="U99", files=[file])


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize(
    "act",
    [
        pytest.param(ask_a_stranger_s_question, id="a question of somebody unknown, with a file"),
        pytest.param(doing(lambda it: it.say("hello", channel=DIRECT)), id="a direct message"),
        pytest.param(doing(lambda it: it.say(f"<@{BOT}> help")), id="a spoken command"),
        pytest.param(lambda it, ts: it.slack.say("And?", thread_ts=ts), id="a follow-up"),
        pytest.param(lambda it, ts: it.slack.change(ts, f"<@{BOT}> Why?"), id="an edit"),
        pytest.param(lambda it, ts: it.slack.erase(ts), id="a deletion"),
        pytest.param(lambda it, ts: it.slack.react(reply_in(it, ts), "+1"), id="a vote"),
        pytest.param(doing(lambda it: it.command("ask why?")), id="a command that asks"),
        pytest.param(
            doing(lambda it: it.command("ask why?", user="U99")), id="one of somebody unknown"
        ),
        *(
            pytest.param(saying(text), id=f"/parley {text}")
            for text in ("ask", "help", "stop", "retry", "forget", "status", "catch up")
        ),
        pytest.param(lambda it, ts: it.slack.choose_shortcut(ts, ASK_ABOUT), id="the shortcut"),
        pytest.param(doing(lambda it: it.submit("What now?")), id="the form"),
        *(pytest.param(pressing(each), id=each) for each in ("Retry", "Personality…", "👎")),
        pytest.param(doing(lambda it: it.open_home("home")), id="App Home"),
        pytest.param(doing(lambda it: it.open_home("messages")), id="Messages"),
        pytest.param(doing(lambda it: it.start_assistant()), id="the panel"),
    ],
)
async def test_slack_is_answered_though_it_answers_nothing_itself(
    stage: Stage, thread: str, act: Doing
) -> None:
    async with asyncio.timeout(ACK_SECONDS):
        assert await act(stage, thread) != 500


def hold(stage: Stage, monkeypatch: pytest.MonkeyPatch, *names: str) -> asyncio.Event:
    """The disk writes nothing of this kind until the event is set."""
    freed = asyncio.Event()

    def slow(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def write(*args: Any) -> Any:
            await freed.wait()
            return await method(*args)

        return write

    for name in names:
        monkeypatch.setattr(stage.store, name, slow(getattr(stage.store, name)), raising=False)
    return freed


@pytest.mark.parametrize("text", ["ask why?", "catch up", "stop", "help"])
async def test_a_command_is_acknowledged_when_it_is_on_disk_and_not_before(
    stage: Stage, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    freed = hold(stage, monkeypatch, "accept_event", "owe")
    sending = asyncio.ensure_future(stage.slack.command(text))
    await stage.clock.advance(10)
    await asyncio.sleep(0.05)
    assert not sending.done()
    freed.set()
    assert await sending == 200


def break_disk(store: ThreadStore, monkeypatch: pytest.MonkeyPatch) -> None:
    async def write(*_: object) -> bool:
        raise StorageFull("The disk of data/parley.db is full.")

    for name in ("owe", "accept_event"):
        monkeypatch.setattr(store, name, write, raising=False)


@pytest.mark.parametrize("text", ["ask why?", "catch up", "stop", "help", "ask"])
async def test_whose_command_the_disk_does_not_take_is_told(
    stage: Stage, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_disk(stage.store, monkeypatch)
    assert await stage.slack.command(text) == 200
    await stage.until(lambda: stage.slack.commands.told == [(ADA, CHANNEL, StorageFull.sentence)])
    assert stage.slack.messages == {}


async def test_whose_form_the_disk_does_not_take_is_told(
    stage: Stage, thread: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_disk(stage.store, monkeypatch)
    assert await stage.slack.submit("What now?") == 200
    await stage.until(lambda: stage.slack.commands.told == [(ADA, CHANNEL, StorageFull.sentence)])


async def test_a_disk_that_fails_after_the_acknowledgement_is_told_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def write(*_: object) -> None:
        raise StorageError("data/parley.db is locked")

    monkeypatch.setattr(stage.store, "accept", write, raising=False)
    assert await stage.slack.command("ask why?") == 200
    await stage.until(lambda: [w["text"] for w in stage.slack.whispers] == [StorageError.sentence])
    assert stage.slack.messages == {}
    assert not await stage.store.owed()


@pytest.mark.parametrize("fails", [False, True], ids=["forgotten", "the disk fails"])
async def test_forgetting_is_acknowledged_before_all_backups_are_rid_of_it(
    stage: Stage, thread: str, fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it is on disk that it is to be, and of which thread; in none of its words."""

    async def fail(*_: object) -> None:
        raise StorageError("a backup cannot be changed")

    if fails:
        monkeypatch.setattr(stage.store, "forget", fail, raising=False)
    freed = hold(stage, monkeypatch, "forget")
    async with asyncio.timeout(ACK_SECONDS):
        assert await stage.slack.command("forget") == 200
    (asked,) = [owed.asked for owed in await stage.store.owed()]
    assert isinstance(asked, Command)
    assert (asked.name, asked.place.thread, asked.about) == ("forget", thread, "")
    assert stage.slack.whispers == []
    freed.set()
    said = StorageError.sentence if fails else "Forgotten: 1 turn."
    await stage.until(lambda: any(said in whisper["text"] for whisper in stage.slack.whispers))
    await stage.clock.advance(1)
    assert not await stage.store.owed()


# What is delivered twice


async def test_a_press_that_is_delivered_twice_shows_one_menu(stage: Stage, thread: str) -> None:
    pressed: list[Json] = []
    deliver = stage.slack.interact

    async def twice(payload: Json) -> int:
        pressed.append(payload)
        first, second = await asyncio.gather(deliver(payload), deliver(payload))
        return max(first, second)

    stage.slack.interact = twice  # type: ignore[method-assign]
    assert await stage.slack.press(reply_in(stage, thread), "Personality…") == 200
    await stage.until(lambda: bool(stage.slack.whispers))
    await stage.clock.advance(5)
    assert len(stage.slack.whispers) == 1


async def test_app_home_that_is_announced_twice_is_shown_once(stage: Stage) -> None:
    opened = {"type": "app_home_opened", "user": ADA, "channel": DIRECT, "tab": "home"}
    assert await stage.slack.deliver(opened, event_id="Ev1") == 200
    assert await stage.slack.deliver(opened, event_id="Ev1") == 200
    await stage.until(lambda: stage.slack.num_calls("views.publish") > 0)
    await stage.clock.advance(5)
    assert stage.slack.num_calls("views.publish") == 1

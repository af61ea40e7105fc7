"""Twenty people at once, and forty, in a workspace that allows fifty edits a minute."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from math import inf
from pathlib import Path

import pytest

from tests.fakes.generator import ScriptedGeneration
from tests.fakes.slack_api import CHANNEL
from tests.scenarios.stage import Stage, staged

MAX_UPDATES = 50
MAX_LATE = 3.0
MAX_WAIT = 23.0
"""For the twentieth first post of a channel, one a second."""

TICK_SECONDS = 0.25
PLACEHOLDERS = ("Thinking…", "You are ")


@dataclass(slots=True)
class Writer:
    """One person's reply in the making: a word in every second until ``ends_at``."""

    ts: str
    channel: str
    generation: ScriptedGeneration
    ends_at: float
    num_words: int = 0
    ended_at: float = inf

    def go_on(self, now: float) -> None:
        if self.generation.finished:
            return
        if now >= self.ends_at:
            self.generation.say("The end.")
            self.generation.finish()
            self.ended_at = now
        elif now >= self.num_words:
            self.generation.say(f"word{self.num_words} ")
            self.num_words += 1


class Crowd:
    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.writers: list[Writer] = []

    async def ask(self, channel: str, ends_at: float) -> None:
        user = f"U{len(self.writers):02}"
        ts = await self.stage.ask("tell me a story", user=user, channel=channel)
        generation = await self.stage.generation()
        self.writers.append(Writer(ts, channel, generation, ends_at))

    async def write_all(self) -> None:
        """Until everybody has the whole reply."""
        clock = self.stage.clock
        while not all(map(self.is_served, self.writers)):
            assert clock.monotonic() < 600, self.stage.slack.shown
            for writer in self.writers:
                writer.go_on(clock.monotonic())
            await clock.advance(TICK_SECONDS)

    def is_served(self, writer: Writer) -> bool:
        text = writer.generation.text
        return text.endswith("The end.") and self.stage.replies(writer.ts, writer.channel) == [text]

    def sights(self, writer: Writer) -> list[tuple[float, str]]:
        """When the person saw which text of the reply; placeholders are none."""
        channel = writer.channel
        own = {m["ts"] for m in self.stage.slack.thread(writer.ts, channel)} - {writer.ts}
        shown = [(at, text) for at, ts, text in self.stage.slack.shown if ts in own]
        return [(at, text) for at, text in shown if not text.startswith(PLACEHOLDERS)]

    def seconds_late(self, writer: Writer) -> float:
        delivered_at, _ = self.sights(writer)[-1]
        return delivered_at - writer.ended_at


@pytest.fixture
async def crowd(tmp_path: Path) -> AsyncIterator[Crowd]:
    async with staged(tmp_path, update_limit=MAX_UPDATES) as stage:
        yield Crowd(stage)


def the_one_channel(_: int) -> str:
    return CHANNEL


def a_channel_each(number: int) -> str:
    return f"C{number + 1:02}"


def two_channels(number: int) -> str:
    return ("C01", "C03")[number % 2]


def all_at_once(_: int) -> float:
    return 60.0


def one_after_another(number: int) -> float:
    return 60.0 + 2.5 * number


def soon(number: int) -> float:
    return 25.0 + 0.5 * number


def at(end: float) -> Callable[[int], float]:
    return lambda _: end


async def assemble(
    crowd: Crowd, num_people: int, channel: Callable[[int], str], ends_at: Callable[[int], float]
) -> None:
    channels = [channel(number) for number in range(num_people)]
    crowd.stage.slack.channels.update(channels)
    crowd.stage.slack.members.update(channels)
    for number in range(num_people):
        await crowd.ask(channels[number], ends_at(number))


@pytest.mark.parametrize(
    ("channel", "ends_at"),
    [
        (the_one_channel, all_at_once),
        (the_one_channel, soon),
        (a_channel_each, all_at_once),
        (a_channel_each, one_after_another),
    ],
)
async def test_twenty_people_at_once_see_their_reply_move_and_get_it_in_time(
    crowd: Crowd, channel: Callable[[int], str], ends_at: Callable[[int], float]
) -> None:
    await assemble(crowd, 20, channel, ends_at)
    await crowd.write_all()
    assert crowd.stage.slack.rates.refused == []
    for writer in crowd.writers:
        *before, (_, whole) = crowd.sights(writer)
        assert whole == writer.generation.text
        assert before, "the reply never moved"
        assert crowd.seconds_late(writer) <= MAX_LATE


@pytest.mark.parametrize(("has_streams", "ends_at"), [(False, all_at_once), (True, soon)])
async def test_forty_people_in_two_channels_all_see_their_reply_move(
    crowd: Crowd, has_streams: bool, ends_at: Callable[[int], float]
) -> None:
    """A channel takes a post a second; whoever waits for the first is not forgotten."""
    streams = crowd.stage.slack.streams
    streams.has_streams = streams.has_sessions = has_streams
    await assemble(crowd, 40, two_channels, ends_at)
    await crowd.write_all()
    assert (crowd.stage.slack.rates.refused, streams.num_streams_limited) == ([], 0)
    assert bool(crowd.stage.slack.num_calls("chat.appendStream")) == has_streams
    for writer in crowd.writers:
        (first_at, _), *_, (_, whole) = crowd.sights(writer)
        assert first_at <= MAX_WAIT < writer.ended_at
        assert whole == writer.generation.text
        assert crowd.seconds_late(writer) <= MAX_LATE


async def test_more_people_than_can_all_see_growth_still_get_their_replies_in_time(
    crowd: Crowd,
) -> None:
    await assemble(crowd, 40, a_channel_each, all_at_once)
    await crowd.write_all()
    assert crowd.stage.slack.rates.refused == []
    assert max(map(crowd.seconds_late, crowd.writers)) <= MAX_LATE


async def test_crowd_after_crowd_within_a_minute_gets_its_replies_in_time(crowd: Crowd) -> None:
    for end in (15.0, 30.0, 45.0, 60.0):
        await assemble(crowd, 20, a_channel_each, at(end))
        await crowd.write_all()
    assert crowd.stage.slack.rates.refused == []
    assert max(map(crowd.seconds_late, crowd.writers)) <= MAX_LATE

"""One walk through everything with the real model, Parley as a process of its own."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.teams.webhook import PATH
from tests.fakes.teams import FakeTeams
from tests.fakes.teams_activities import (
    BOB,
    CHANNEL,
    PERSONAL,
    Json,
    attached,
    edit,
    feedback,
    installation,
    message,
    press,
    reaction,
)
from tests.ports import free_port
from tests.scenarios.parley import Parley, running_parley
from tests.scenarios.personalities import BRAKE, RAMBLING, make_personalities

pytestmark = [pytest.mark.model, pytest.mark.timeout(300)]
STORY = "Tell me a long story about a llama that learns to fly, with many details."


@pytest.fixture
async def parley(teams: FakeTeams, tmp_path: Path) -> AsyncIterator[Parley]:
    given = {f"TEAMS_{key.upper()}": value for key, value in teams.settings().items()}
    port = free_port()
    settings = {
        **given,
        "PARLEY_MAX_TOKENS": "16",
        BRAKE: str(tmp_path / "brake"),
        "PARLEY_PERSONALITIES": str(make_personalities(tmp_path / "personalities")),
        "PARLEY_PERSONALITY": "rambler",
    }
    teams.bot_url = f"http://127.0.0.1:{port}{PATH}"
    async with running_parley(tmp_path, port, settings, RAMBLING) as parley:
        yield parley


async def until(is_seen: Callable[[], bool], parley: Parley, seconds: float = 60) -> None:
    try:
        async with asyncio.timeout(seconds):
            while not is_seen():  # noqa: ASYNC110 - what happens is in another process
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"it was never seen; Parley said:\n{parley.output}")


def is_ended(body: Json) -> bool:
    kinds = [entity.get("type") for entity in body.get("entities", ())]
    return "https://schema.org/Message" in kinds


class Seen:
    def __init__(self, teams: FakeTeams, parley: Parley) -> None:
        self.teams = teams
        self.parley = parley

    def replies(self, conversation: str) -> list[str]:
        """Ids of the messages in a conversation, oldest first."""
        kept = self.teams.messages.items()
        return [key for key, each in kept if each.conversation.startswith(conversation)]

    def texts(self, message_id: str) -> list[str]:
        """Everything that this message ever said."""
        return [text for _, shown, text in self.teams.shown if shown == message_id]

    async def new_reply(self, conversation: str, given: Json) -> str:
        """Deliver, and the message that comes of it."""
        before = set(self.replies(conversation))
        assert await self.teams.deliver(given) == 202
        await until(lambda: len(set(self.replies(conversation)) - before) == 1, self.parley)
        (message_id,) = set(self.replies(conversation)) - before
        return message_id

    async def ended(self, message_id: str) -> str:
        await until(lambda: is_ended(self.teams.messages[message_id].body), self.parley)
        return self.teams.messages[message_id].text


async def test_a_day_in_teams(teams: FakeTeams, parley: Parley, tmp_path: Path) -> None:
    seen = Seen(teams, parley)
    here: dict[str, Any] = {"service_url": teams.url}
    brake = tmp_path / "brake"
    brake.touch()  # until it has been seen to grow

    greeting = await seen.new_reply(PERSONAL, installation(**here))
    assert teams.messages[greeting].body["attachments"][0]["content"]["actions"]
    assert await teams.deliver(installation(**here)) == 202  # told twice, greeted once

    asked = message(STORY, **here)
    reply = await seen.new_reply(PERSONAL, asked)
    first = await seen.ended(reply)
    texts = seen.texts(reply)
    assert reply.startswith("stream-")
    assert len(texts) > 2, "it did not grow"
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(texts))

    brake.unlink()
    assert await teams.deliver(edit(asked, "Say just: hello.")) == 202
    await until(lambda: teams.text(reply) != first, parley)
    await seen.ended(reply)
    assert len(seen.replies(PERSONAL)) == 2, "the question is answered again in its place"
    assert await teams.deliver({**feedback(reply), "serviceUrl": teams.url}) == 200

    listed = await seen.new_reply(
        PERSONAL, press(greeting, {"parley": {"says": "personality"}}, **here)
    )
    card = teams.messages[listed].body["attachments"][0]["content"]
    assert "personality coder" in str(card)

    teams.files["budget.txt"] = b"The budget of the picnic is 42 pounds."
    file = attached(f"{teams.url}files/budget.txt", "budget.txt")
    read = await seen.new_reply(PERSONAL, message("Repeat this.", attachments=[file], **here))
    assert (await seen.ended(read)).endswith("[1]")
    assert "budget.txt" in str(teams.messages[read].body["entities"])

    brake.touch()  # until it has been stopped, and the next one cut off
    told = await seen.new_reply(CHANNEL, message(STORY, "channel", **here))
    await until(lambda: len(seen.texts(told)) > 1, parley)
    assert await teams.deliver(reaction(told, "angry", scope="channel", user=BOB, **here)) == 202
    assert await teams.deliver(reaction(told, "angry", scope="channel", **here)) == 202
    assert "stopped" in await seen.ended(told)

    interrupted = await seen.new_reply(
        CHANNEL, message(STORY, "channel", root="1700000000777", **here)
    )
    await until(lambda: len(seen.texts(interrupted)) > 1, parley)
    await parley.kill()
    brake.unlink()
    await parley.start()
    assert await seen.ended(interrupted)
    assert len(seen.replies(CHANNEL)) == 2, "finished in the message it was begun in"
    assert teams.num_rate_limited == 0
    assert _ratings(tmp_path) == [1]


def _ratings(folder: Path) -> list[int]:
    with sqlite3.connect(folder / "data" / "parley.db") as database:
        rows = database.execute("select rating from turns where rating != 0").fetchall()
    database.close()
    return [row[0] for row in rows]

"""A person in the real local-slack, talking to Parley's real process with the real model."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.local_slack import (
    ADA,
    BOT,
    CHANNEL,
    LocalSlack,
    Page,
    Seen,
    binary_or_skip,
    running_local_slack,
)
from tests.ports import free_port
from tests.scenarios.disk import TurnRow, turn_rows
from tests.scenarios.parley import Parley, running_parley
from tests.scenarios.personalities import BRAKE, RAMBLING, make_personalities
from tests.scenarios.polling import eventually

POST_SECONDS = 1.2
"""A channel takes one post a second; sooner there is a 👀 in place of a placeholder."""

PLACEHOLDERS = ("Thinking…", "You are ")


@dataclass(frozen=True, slots=True)
class Asked:
    """``at`` in monotonic seconds; ``ack_seconds``: until every delivery was answered."""

    ts: str
    channel: str
    thread_ts: str
    at: float
    ack_seconds: float


class Chat:
    def __init__(self, local: LocalSlack, parley: Parley, page: Page, brake: Path) -> None:
        """While the file ``brake`` is there, even a short reply of the rambler takes a while."""
        self.local = local
        self.parley = parley
        self.page = page
        self.brake = brake

    async def say(
        self,
        text: str,
        *,
        channel: str = CHANNEL,
        user: str = ADA,
        thread_ts: str | None = None,
    ) -> Asked:
        at = time.monotonic()
        ts = await self.local.message(text, channel=channel, user=user, thread_ts=thread_ts)
        return Asked(ts, channel, thread_ts or ts, at, time.monotonic() - at)

    async def ask(self, text: str, *, thread_ts: str | None = None) -> Asked:
        return await self.say(f"<@{BOT}> {text}", thread_ts=thread_ts)

    async def command(self, text: str, thread_ts: str) -> str:
        """What Parley says to it in the thread."""
        num_before = len(await self.local.replies(thread_ts))
        await self.ask(text, thread_ts=thread_ts)

        async def answer() -> str:
            replies = await self.local.replies(thread_ts)
            return replies[num_before]["text"] if len(replies) > num_before else ""

        return await eventually(answer, what=self.parley.output)

    def turn(self, asked: Asked) -> TurnRow:
        return turn_rows(self.parley.database)[asked.ts]

    async def long_reply(self) -> Asked:
        """A question whose reply goes on until the length limit, slowly; it has begun to grow."""
        self.brake.touch()
        root = await self.ask("personality rambler")
        await eventually(lambda: self.local.replies(root.ts), what=self.parley.output)
        said_at = time.monotonic()
        await eventually(lambda: time.monotonic() - said_at > POST_SECONDS)
        asked = await self.ask("tell me a story", thread_ts=root.ts)
        await self.grows(asked)
        return asked

    async def ended(self, asked: Asked) -> TurnRow:
        """Until the turn is finished on disk, and the page shows what Slack has of it."""
        turn = await eventually(lambda: self._finished(asked), what=self.parley.output)
        (post,) = turn.posts
        text = await self.local.text(post, asked.channel)
        await eventually(lambda: self.page.texts(post)[-1:] == [text])
        return turn

    def _finished(self, asked: Asked) -> TurnRow | None:
        turn = self.turn(asked)
        return turn if turn.is_finished else None

    async def grows(self, asked: Asked, num_texts: int = 1) -> str:
        """Until the page has shown that many texts of the reply; the reply's message id."""

        def post() -> str | None:
            posts = self.turn(asked).posts
            return posts[0] if posts and len(self.growth(posts[0])) >= num_texts else None

        return await eventually(post, what=self.parley.output)

    def sights(self, post: str) -> list[Seen]:
        """The message as the page showed it, edit by edit."""
        return [one for one in self.page.seen if one.ts == post]

    def growth(self, post: str) -> list[str]:
        """The texts of a reply as the page showed them, without placeholders."""
        texts = [text for text in self.page.texts(post) if text is not None]
        return [text for text in texts if not text.startswith(PLACEHOLDERS)]


@asynccontextmanager
async def chatting(folder: Path, *, uses_socket_mode: bool = False) -> AsyncIterator[Chat]:
    """``assistant`` answers, and in threads that want it ``rambler``."""
    port = free_port()
    personalities = make_personalities(folder / "personalities")
    brake = folder / "brake"
    settings = {
        "PARLEY_PERSONALITIES": str(personalities),
        "PARLEY_MAX_TOKENS": "40",
        BRAKE: str(brake),
    }
    events_url = "" if uses_socket_mode else f"http://127.0.0.1:{port}/slack/events"
    async with running_local_slack(binary_or_skip(), folder, events_url) as local:
        own = local.socket_environment if uses_socket_mode else local.environment
        environment = {**own, **settings}
        async with (
            running_parley(folder, port, environment, RAMBLING) as parley,
            local.page() as page,
        ):
            yield Chat(local, parley, page, brake)
        assert "Traceback" not in parley.output

"""Parley as a process beside the strict fake Slack, for tests that pull the plug."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.fakes.slack import TOKEN, FakeSlack
from tests.fakes.slack_api import BOT, CHANNEL, Json
from tests.ports import free_port
from tests.scenarios.disk import TurnRow, turn_rows
from tests.scenarios.parley import Parley, running_parley
from tests.scenarios.personalities import BRAKE, RAMBLING, make_personalities
from tests.scenarios.polling import eventually

SHORT, LONG = "12", "2000"
PLACEHOLDERS = ("Thinking…", "You are ")


class Scene:
    """What people do and see, and what is on disk."""

    def __init__(self, slack: FakeSlack, parley: Parley, brake: Path) -> None:
        self.slack = slack
        self.parley = parley
        self._brake = brake

    def __str__(self) -> str:
        """Everything that was seen, for a test that fails."""
        rows = turn_rows(self.parley.database).values()
        return "\n".join(map(str, [*self.slack.shown, *rows, self.parley.output]))

    async def ask(self, text: str, *, thread_ts: str | None = None) -> str:
        """Mention Parley; the question's ts, once it was acknowledged."""
        return await self.slack.say(f"<@{BOT}> {text}", thread_ts=thread_ts)

    def slow_down(self) -> None:
        """From now on even a short reply grows for some seconds."""
        self._brake.touch()

    def hurry(self) -> None:
        self._brake.unlink(missing_ok=True)

    def turn(self, ts: str) -> TurnRow:
        return turn_rows(self.parley.database)[ts]

    def replies(self, ts: str) -> list[Json]:
        """What stands of Parley's in the thread."""
        return [message for message in self.slack.thread(ts) if message["user"] == BOT]

    def texts(self, ts: str) -> list[str]:
        return [message["text"] for message in self.replies(ts)]

    async def sees(self, ts: str, *beginnings: str) -> None:
        """Until the thread's only reply begins with one of these."""
        await eventually(
            lambda: len(self.texts(ts)) == 1 and self.texts(ts)[0].startswith(beginnings),
            what=self,
        )

    async def grows(self, ts: str, *, after: int = 0) -> None:
        """Until the thread's only reply shows text, not counting the first ``after`` sights."""

        def growth() -> list[str]:
            own = {message["ts"] for message in self.replies(ts)}
            shown = [text for _, seen, text in self.slack.shown[after:] if seen in own]
            return [text for text in shown if not text.startswith(PLACEHOLDERS)]

        await eventually(growth, what=self)
        assert len(self.replies(ts)) == 1

    async def ends(self, ts: str) -> TurnRow:
        """Until the turn is finished on disk."""

        def finished() -> TurnRow | None:
            turn = self.turn(ts)
            return turn if turn.is_finished else None

        return await eventually(finished, what=self)

    async def ends_well(self, ts: str) -> TurnRow:
        """With one reply, in the message that the disk knows: of its words none lost or twice."""
        turn = await self.ends(ts)
        assert turn.state == "done", str(self)
        labelled = [m for m in self.slack.messages.values() if _turn_of(m) == turn.id]
        assert tuple(message["ts"] for message in labelled) == turn.posts
        assert len(turn.posts) == 1
        said = labelled[0]["text"].partition("\n\n_(cut off")[0]
        assert said == turn.reply.strip(), str(self)
        assert not self.slack.streams.is_streaming((CHANNEL, turn.posts[0]))
        return turn


def _turn_of(message: Json) -> str | None:
    """The turn that the message is labelled with."""
    if "metadata" not in message:
        return None
    turn_id: str = message["metadata"]["event_payload"]["turn"]
    return turn_id


@asynccontextmanager
async def scene(
    folder: Path, *, uses_socket_mode: bool = False, update_limit: int = 50, **settings: str
) -> AsyncIterator[Scene]:
    """Every reply is as long as ``PARLEY_MAX_TOKENS`` allows.

    ``update_limit``: edits a minute. A process that is killed takes with it how many it has made,
    so it may be more where many are started within a minute.
    """
    port = free_port()
    async with FakeSlack(update_limit=update_limit) as slack:
        slack.events_url = f"http://127.0.0.1:{port}/slack/events"
        slack.uses_socket_mode = uses_socket_mode
        slack.be_strict()
        own = {
            "SLACK_BOT_TOKEN": TOKEN,
            **slack.way_of_delivering,
            "SLACK_API_URL": slack.api_url,
            "PARLEY_PERSONALITIES": str(make_personalities(folder / "personalities")),
            "PARLEY_PERSONALITY": "rambler",
            "PARLEY_MAX_TOKENS": SHORT,
            BRAKE: str(folder / "brake"),
        }
        async with running_parley(folder, port, {**own, **settings}, RAMBLING) as parley:
            yield Scene(slack, parley, folder / "brake")
        assert slack.violations == []
        assert slack.num_rate_limited == 0
        assert "Traceback" not in parley.output

"""Slack's real adapter, the conversation and the store in one process, in a time of their own.

The Slack is the strict fake on a real socket, and the model is scripted. Time passes only
while no call to Slack and no work of the store is under way: nothing depends on the machine.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from adapters.slack.adapter import LIMITS, SlackAdapter
from adapters.slack.api.settings import SlackSettings
from bot.access import Access
from bot.attachments.uploads import Uploads
from bot.conversation import ConversationRules, ConversationService
from bot.metrics import Metrics
from bot.ports import Adapter
from bot.running.supervision import LateConversations
from bot.settings.kinds import DEFAULT_STOP_REACTIONS
from bot.stored import Turn
from bot.stores import ThreadStore
from bot.types import Place
from tests.adapters.slack.conftest import bound_socket, serving
from tests.bot.talk import StageClock, book, open_test_store
from tests.contracts.adapter import listening
from tests.fakes.generator import ScriptedGeneration, ScriptedGenerator
from tests.fakes.slack import SECRET, TOKEN, FakeSlack, envelope
from tests.fakes.slack_api import ADA, BOSS, BOT, CHANNEL, TEAM, Json

STEP_SECONDS = 0.1
CALL_TIMEOUT = 3.0
"""Real seconds: the one time that the SDK keeps by itself. A busy machine may stall for one."""

_CALLS = (
    "post",
    "edit",
    "delete",
    "react",
    "unreact",
    "whisper",
    "find_posts",
    "earlier",
    "fetch",
    "typing",
    "begin",
    "grow",
    "finish",
    "post_question",
    "lately",
    "open_private",
)


class Stage:
    """What people in Slack do and see while the test leads the model."""

    def __init__(
        self,
        slack: FakeSlack,
        generator: ScriptedGenerator,
        store: ThreadStore,
        clock: StageClock,
        adapter: SlackAdapter,
    ) -> None:
        self.slack = slack
        self.adapter = adapter
        self.generator = generator
        self.store = store
        self.clock = clock

    async def ask(
        self, text: str, *, user: str = ADA, channel: str = CHANNEL, thread_ts: str | None = None
    ) -> str:
        """Mention Parley; the question's ts, once it was acknowledged."""
        text = f"<@{BOT}> {text}"
        return await self.slack.say(text, user=user, channel=channel, thread_ts=thread_ts)

    async def generation(self) -> ScriptedGeneration:
        """The next one that the test leads."""
        task = asyncio.ensure_future(self.generator.started())
        await self.until(task.done)
        return task.result()

    def replies(self, ts: str, channel: str = CHANNEL) -> list[str]:
        """What stands of Parley's in the question's thread."""
        return [m["text"] for m in self.slack.thread(ts, channel) if m.get("user") == BOT]

    async def turn(self, ts: str, channel: str = CHANNEL) -> Turn:
        turn = await self.store.turn_of_message(Place("slack", TEAM, channel, ts), ts)
        assert turn is not None
        return turn

    async def ended(self, ts: str) -> Turn:
        """Until the turn is finished on disk."""
        for _ in range(3000):
            turn = await self.turn(ts)
            if turn.state.is_finished:
                return turn
            await self.clock.advance(STEP_SECONDS)
        raise AssertionError(f"the turn is still {turn}; people see {self.slack.shown}")

    async def until(self, condition: Callable[[], bool]) -> None:
        """Time passes until ``condition`` holds; five minutes of it are too long."""
        for _ in range(3000):
            await self.clock.settle()
            if condition():
                return
            await self.clock.advance(STEP_SECONDS)
        raise AssertionError(f"it did not come to that; people see {self.slack.shown}")

    async def deliver_again(self, event: Json, event_id: str, *, retry: int) -> int:
        """Slack's repetition number ``retry`` of one event; 0 is the first delivery."""
        headers = {"X-Slack-Retry-Num": str(retry), "X-Slack-Retry-Reason": "http_timeout"}
        return await self.slack.send(
            json.dumps(envelope(event, event_id)), headers=headers if retry else None
        )


@asynccontextmanager
async def staged(
    folder: Path, *, update_limit: int = 50, call_timeout: float = CALL_TIMEOUT, **access: Any
) -> AsyncIterator[Stage]:
    """A Parley that runs from start to close. ``access``: rules, as ``deny=["slack:T01/U02"]``."""
    clock, generator = StageClock(), ScriptedGenerator()
    async with AsyncExitStack() as stack:
        slack = await stack.enter_async_context(FakeSlack(clock, update_limit=update_limit))
        slack.be_strict()
        listener, slack.events_url = bound_socket()
        conversations = LateConversations()
        adapter = _adapter(slack.api_url, clock, conversations, call_timeout)
        await stack.enter_async_context(serving(adapter, listener))
        await stack.enter_async_context(adapter)
        clock.watch(adapter, *_CALLS)
        store = await open_test_store(folder, clock)
        stack.push_async_callback(store.close)
        rules = Access(admins=[f"slack:{TEAM}/{BOSS}"], clock=clock, **access)
        service = await _service(folder, store, generator, adapter, clock, rules)
        conversations.arrive(service)
        stage = Stage(slack, generator, store, clock, adapter)
        stack.push_async_callback(_close, stage, service)
        await stack.enter_async_context(listening(adapter, service.handle))
        await service.start()
        yield stage
    assert slack.violations == [], slack.violations


def _adapter(
    api_url: str, clock: StageClock, conversations: LateConversations, call_timeout: float
) -> SlackAdapter:
    limits = replace(LIMITS, call_timeout=call_timeout)
    settings = SlackSettings(TOKEN, SECRET, api_url)
    return SlackAdapter(
        settings,
        clock,
        Metrics().platform_observer("slack"),
        limits,
        find_standing=conversations.standing,
        listens=conversations.listens,
        refusal=conversations.refusal_of,
    )


async def _service(
    folder: Path,
    store: ThreadStore,
    generator: ScriptedGenerator,
    adapter: Adapter,
    clock: StageClock,
    access: Access,
) -> ConversationService:
    return ConversationService(
        store=store,
        generator=generator,
        personalities=await asyncio.to_thread(book, folder / "personalities"),
        access=access,
        adapters={adapter.name: adapter},
        clock=clock,
        metrics=Metrics(),
        rules=ConversationRules(max_tokens=100, stop_reactions=DEFAULT_STOP_REACTIONS),
        uploads=Uploads(folder / "uploads"),
    )


async def _close(stage: Stage, service: ConversationService) -> None:
    closing = asyncio.ensure_future(service.close())
    await stage.until(closing.done)
    closing.result()

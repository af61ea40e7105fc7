"""The adapter in simcord: somebody else's idea of how Discord behaves, in process.

It has no wire; what counts runs on ``tests.fakes.discord``. This guards against a fake that
shares our mistakes. Parley's part is played by an echo.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import simcord

from adapters.discord.adapter import ConnectedBot, DiscordAdapter
from adapters.discord.api.client import ParleyClient
from adapters.discord.interactions.commands import Registration
from adapters.discord.settings import DiscordSettings
from bot.clock import SystemClock
from bot.types import Incoming, Label, Question
from tests.adapters.discord.conftest import PERSONALITIES, SHORT

SETTINGS = DiscordSettings("token")


class Echo:
    """What Parley would be told, and an answer that shows it."""

    def __init__(self) -> None:
        self.adapter = DiscordAdapter(
            SETTINGS, SystemClock(), _ignore, lambda: PERSONALITIES, SHORT
        )
        self.client = ParleyClient(SETTINGS.gateway_url, self._on_payload, 5.0)
        self.client.shard_count = 1
        self.taken: list[Incoming] = []

    async def set_up(self) -> None:
        self.bot = ConnectedBot(self.client, SETTINGS, SystemClock(), _ignore, 5.0)
        self.bot.set_up(lambda: PERSONALITIES, self.adapter._apologise, 870.0)
        self.adapter._connection = self.bot
        await Registration(self.bot.rest, ()).renew()

    async def handle(self, incoming: Incoming) -> None:
        self.taken.append(incoming)
        if isinstance(incoming, Question):
            label = Label("0123456789abcdef", 0, incoming.message_id)
            text = self.adapter.render(f"You said: {incoming.text}")
            self.client.loop.create_task(self._post(incoming, text, label))

    async def _post(self, question: Question, text: Any, label: Label) -> None:
        await self.adapter.post(question.place, text, label)

    def _on_payload(self, event: str, payload: dict[str, Any]) -> None:
        if self.adapter._connection is not None:
            self.adapter._connection.take(event, payload, self.handle)


def _ignore(*_: str) -> None:
    return


@asynccontextmanager
async def echoing() -> AsyncIterator[tuple[Echo, Any]]:
    """The echo in a Discord of one server, with its commands registered."""
    echo = Echo()
    async with simcord.run(echo.client) as env:
        await echo.set_up()
        try:
            yield echo, env
        finally:
            await echo.bot.rest.close()


def somebody(env: Any) -> tuple[Any, Any]:
    """A person in a channel."""
    guild = env.create_guild()
    return guild.add_member(env.create_user("ada")), guild.create_text_channel("general")


def paths(env: Any, method: str) -> list[str]:
    return [entry.path for entry in env.http_requests if entry.method == method]


async def test_a_mention_opens_a_thread_and_is_answered_there() -> None:
    async with echoing() as (echo, env):
        ada, channel = somebody(env)
        message = await ada.send(channel, f"<@{echo.client.user.id}> hello there")  # type: ignore[union-attr]
        await env.settle()
        (question,) = echo.taken
        assert isinstance(question, Question)
        assert (question.text, question.place.thread) == ("hello there", str(message.id))
        assert paths(env, "POST")[-2:] == [
            f"/channels/{channel.id}/messages/{message.id}/threads",
            f"/channels/{message.id}/messages",
        ]


async def test_a_slash_question_is_deferred_and_filled() -> None:
    async with echoing() as (_, env):
        ada, channel = somebody(env)
        result = await ada.slash(channel, "ask", question="hello there")
        await env.settle()
        assert result.acknowledged
        assert result.response.content == "You said: hello there"


async def test_a_private_answer_is_ephemeral() -> None:
    async with echoing() as (_, env):
        ada, channel = somebody(env)
        result = await ada.slash(channel, "ask", question="hello there", private=True)
        await env.settle()
        assert result.ephemeral


async def test_a_direct_message_is_answered_flat() -> None:
    async with echoing() as (echo, env):
        ada, _ = somebody(env)
        await ada.send_dm("hello there")
        await env.settle()
        (question,) = echo.taken
        assert isinstance(question, Question)
        assert question.is_direct
        assert question.place.thread == ""
        assert paths(env, "POST")[-1] == f"/channels/{question.place.channel}/messages"


async def test_an_ordinary_message_in_a_channel_is_none_of_our_business() -> None:
    async with echoing() as (echo, env):
        ada, channel = somebody(env)
        await ada.send(channel, "hello everybody")
        await env.settle()
        assert echo.taken == []

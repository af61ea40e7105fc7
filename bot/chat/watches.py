"""Who watches which chat, and what has changed there since they looked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal, Self
from weakref import WeakSet, finalize

from bot.chat.turn import WatchedTurn
from bot.chats import ChatEvent
from bot.metrics import Metrics
from bot.types import Place

News = tuple[Literal["chat", "turn", "growth"], str]
"""What is not what it was: the chat, turn or growing answer of that id."""

Look = Callable[[News], Awaitable[ChatEvent | None]]
"""How it is now; None: there is nothing to say of it (any more)."""


class Watch:
    """``bot.chats.ChatWatch``. It holds what changed and not how: that is looked up when read.

    So whoever reads slowly gets the newest state of each thing once, however often it changed.
    """

    def __init__(self, chat_id: str | None, look: Look, release: Callable[[], object]) -> None:
        self.chat_id = chat_id
        self._look = look
        self._news: dict[News, None] = {}
        self._woken = asyncio.Event()
        self._is_closed = False
        self._release = finalize(self, release)

    def note(self, news: News) -> None:
        kind, name = news
        if kind == "growth" and ("turn", name) in self._news:
            return  # which tells that, too
        self._news[news] = None
        self._woken.set()

    def close(self) -> None:
        self._is_closed = True
        self._news.clear()
        self._woken.set()
        self._release()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ChatEvent:
        while not self._is_closed:
            if not self._news:
                self._woken.clear()
                await self._woken.wait()
            elif event := await self._next():
                return event
        raise StopAsyncIteration

    async def _next(self) -> ChatEvent | None:
        """Nothing is lost where looking fails, or the reader gives up waiting."""
        news = next(iter(self._news))
        del self._news[news]
        try:
            return await self._look(news)
        except BaseException:
            if not self._is_closed:
                self._news.setdefault(news)
            raise


class Watches:
    """Every watch, and the turns that are watched: those whose end is not on disk yet."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._by_owner: dict[str, WeakSet[Watch]] = {}
        self._live: dict[str, WatchedTurn] = {}

    def begin(self, place: Place, chat_id: str | None, look: Look) -> Watch:
        """``place``: any of the owner's."""
        gauge = self._metrics.chat_watches
        gauge.inc()
        watch = Watch(chat_id, look, gauge.dec)
        self._by_owner = {owner: each for owner, each in self._by_owner.items() if each}
        self._by_owner.setdefault(place.channel_form, WeakSet()).add(watch)
        return watch

    def close(self) -> None:
        for watches in self._by_owner.values():
            for watch in tuple(watches):
                watch.close()

    def live(self, turn_id: str) -> WatchedTurn | None:
        return self._live.get(turn_id)

    def is_busy(self, place: Place) -> bool:
        return any(each.place == place for each in self._live.values())

    def add(self, live: WatchedTurn) -> None:
        self._live[live.id] = live
        self.changed(live.place, live.id)

    def grew(self, live: WatchedTurn) -> None:
        self._tell(live.place, ("growth", live.id))

    def ended(self, live: WatchedTurn) -> None:
        self._live.pop(live.id, None)
        self.changed(live.place, live.id)

    def changed(self, place: Place, turn_id: str) -> None:
        self._tell(place, ("turn", turn_id))
        self.changed_chat(place)

    def changed_chat(self, place: Place) -> None:
        """Also one that is new, or forgotten."""
        for watch in self._of(place):
            watch.note(("chat", place.thread))

    def _tell(self, place: Place, news: News) -> None:
        for watch in self._of(place):
            if watch.chat_id == place.thread:
                watch.note(news)

    def _of(self, place: Place) -> tuple[Watch, ...]:
        return tuple(self._by_owner.get(place.channel_form, ()))

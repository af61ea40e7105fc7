"""Commands that run in the background while somebody asks about them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum

from adapters.http.common.answers import STOPPING
from bot.errors import ParleyError, RequestError
from bot.generation import Delta, Finished, FinishReason, GenerationEvent, Queued
from bot.ports import Clock, Generation

PATIENCE_SECONDS = 120.0
"""Longer than the minute after which browsers wake a page in the background."""
KEPT_SECONDS = 3600.0
MAX_KEPT = 256
_TIDY_SECONDS = 60.0

_FAILED = "Unable to generate text"


class Outcome(StrEnum):
    """``ABANDONED``: cancelled, since nobody asked about it for ``PATIENCE_SECONDS``."""

    COMPLETED = "completed"
    CANCELLED = "cancelled"
    ABANDONED = "abandoned"
    FAILED = "failed"


CommandObserver = Callable[[str], None]
"""Counts the commands that have begun and, by their outcome, those that have ended."""


class CommandNotFound(RequestError):
    """``status`` is what a client is told about such a command."""

    def __init__(self, sentence: str, status: str = "unknown") -> None:
        super().__init__(sentence)
        self.status = status


class LongCommand:
    """A generation that is read whether or not its text is asked for.

    From its end on ``reply`` does not change, though the engine may still say something.
    """

    def __init__(
        self, command_id: str, generation: Generation, clock: Clock, observe: CommandObserver
    ) -> None:
        self.id = command_id
        self.reply = ""
        self.error: str | None = None
        self.outcome: Outcome | None = None
        self._generation = generation
        self._clock = clock
        self._observe = observe
        self._accepted_at = self._begun_at = self._asked_at = clock.monotonic()
        self._ended_at = 0.0
        self._is_queued = False
        observe("begun")
        self._task = asyncio.create_task(self._run())

    @property
    def is_expired(self) -> bool:
        return self.outcome is not None and self._now - self._ended_at >= KEPT_SECONDS

    @property
    def process_seconds(self) -> float:
        """From its acceptance to its end."""
        return self._ended_at - self._accepted_at

    @property
    def inference_seconds(self) -> float:
        """The part of that after the last news of a place in the queue; none if it stayed there."""
        return 0.0 if self._is_queued else self._ended_at - self._begun_at

    def asked(self) -> None:
        """Somebody still wants it."""
        self._asked_at = self._now

    def cancel(self) -> None:
        self._end(Outcome.CANCELLED)

    async def _run(self) -> None:
        watcher = asyncio.create_task(self._watch())
        try:
            with suppress(ParleyError):
                async for event in self._generation:
                    self._take(event)
        finally:
            watcher.cancel()
            self._end(Outcome.FAILED, _FAILED)

    def _take(self, event: GenerationEvent) -> None:
        if self.outcome is not None:
            return
        self._is_queued = isinstance(event, Queued) and event.place > 0
        match event:
            case Queued():
                self._begun_at = self._now
            case Delta():
                self.reply += event.text
            case Finished():
                self._finish(event.reason)

    async def _watch(self) -> None:
        """Ends the command once nobody has asked about it for too long."""
        while (left := self._asked_at + PATIENCE_SECONDS - self._now) > 0:
            await self._clock.sleep(left)
        self._end(Outcome.ABANDONED)

    def _finish(self, reason: FinishReason) -> None:
        match reason:
            case FinishReason.ERROR:
                self._end(Outcome.FAILED, _FAILED)
            case FinishReason.CANCELLED:  # not by the client, or it had ended before
                self._end(Outcome.FAILED, STOPPING)
            case _:
                self._end(Outcome.COMPLETED)

    def _end(self, outcome: Outcome, error: str | None = None) -> None:
        """Only the first counts."""
        if self.outcome is not None:
            return
        self.outcome, self.error = outcome, error
        self._ended_at = self._now
        self._generation.cancel()
        self._observe(outcome)

    @property
    def _now(self) -> float:
        return self._clock.monotonic()


class LongCommands:
    """The commands of one account.

    Those that have ended are kept for an hour, the latest ``max_kept`` of them; of others only
    the ids are known for a while, as of commands that were lost.
    """

    def __init__(self, clock: Clock, observe: CommandObserver, max_kept: int = MAX_KEPT) -> None:
        self._clock = clock
        self._observe = observe
        self._max_kept = max_kept
        self._known: OrderedDict[str, LongCommand | None] = OrderedDict()

    def begin(self, command_id: str, generation: Generation) -> LongCommand:
        command = LongCommand(command_id, generation, self._clock, self._observe)
        self._known[command_id] = command
        self.forget()
        return command

    def find(self, command_id: str) -> LongCommand:
        """Counts as asking about it."""
        if not command_id:
            raise CommandNotFound("No command ID provided")
        if not self._known:
            raise CommandNotFound("No long running command is currently in progress", "not started")
        if command_id not in self._known:
            raise CommandNotFound(
                "The command ID provided does not match the current long running command"
            )
        command = self._known[command_id]
        if command is None or command.is_expired:
            raise CommandNotFound("The long running command task has been lost")
        command.asked()
        return command

    def forget(self) -> bool:
        """What is too old or too much; whether nothing but ids is left."""
        ended = [each for each in self._known.values() if each is not None and each.outcome]
        kept = {each.id for each in ended[-self._max_kept :] if not each.is_expired}
        for each in ended:
            if each.id not in kept:
                self._known[each.id] = None
        lost = [command_id for command_id, each in self._known.items() if each is None]
        for command_id in lost[: max(0, len(self._known) - 4 * self._max_kept)]:
            del self._known[command_id]
        return not any(self._known.values())


class CommandsByAccount:
    """Each account sees its own. Every minute in which anybody asks, old ones are forgotten."""

    def __init__(self, clock: Clock, observe: CommandObserver) -> None:
        self._clock = clock
        self._observe = observe
        self._of: dict[str, LongCommands] = {}
        self._tidied_at = clock.monotonic()

    def __getitem__(self, account: str) -> LongCommands:
        self._tidy()
        if account not in self._of:
            self._of[account] = LongCommands(self._clock, self._observe)
        return self._of[account]

    def __len__(self) -> int:
        return len(self._of)

    def _tidy(self) -> None:
        now = self._clock.monotonic()
        if now - self._tidied_at < _TIDY_SECONDS:
            return
        self._tidied_at = now
        for account, commands in tuple(self._of.items()):
            if commands.forget():
                del self._of[account]

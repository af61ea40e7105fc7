"""The desk: takes interactions, acknowledges each in time, and shows what it must by itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from adapters.discord.answers import (
    CHOICES,
    DEFERRED,
    EPHEMERAL,
    FORM,
    MESSAGE,
    UPDATE,
    UPDATE_LATER,
    Answer,
    Answers,
)
from adapters.discord.controls import MAX_CHOICES, Json, picker, question_form
from adapters.discord.interactions import Invoked, read_interaction
from adapters.discord.posting import body_of
from adapters.discord.text import Identity, Payload
from bot.errors import PlatformError, sentence_for_people
from bot.ports import Clock, Handler
from bot.types import Incoming, Personality, Rendered

logger = logging.getLogger(__name__)

ACK_SECONDS = 1.5
"""How long storing may take before Discord is told without waiting for it."""

_SHOWN_TO_ALL = ("personality", "forget")


class Desk:
    def __init__(
        self,
        answers: Answers,
        personalities: Callable[[], tuple[Personality, ...]],
        clock: Clock,
    ) -> None:
        self._answers = answers
        self._personalities = personalities
        self._clock = clock

    async def take(
        self, payload: Payload, me: Identity, handler: Handler, barred: str = ""
    ) -> None:
        """``barred``: why no question is answered where this comes from."""
        invoked = read_interaction(payload, me)
        if invoked is None:
            logger.info("an interaction was not understood")
            return
        answer = self._answers.begin(invoked.ref, invoked.person.id, invoked.place.channel_form)
        match invoked.verb:
            case "complete":
                await self._answers.acknowledge(answer, CHOICES, self._choices(invoked.name))
            case "ask" | "form" if barred:
                await self._answers.acknowledge(answer, MESSAGE, _whispered(barred))
            case "form":
                form = question_form(invoked.personality, private=invoked.is_private)
                await self._answers.acknowledge(answer, FORM, form)
            case "pick":
                await self._answers.acknowledge(answer, MESSAGE, self._picker(invoked))
            case "page":
                page = self._picker(invoked, invoked.pressed.part)
                await self._answers.acknowledge(answer, UPDATE, page)
            case _:
                await self._carry_out(invoked, answer, handler)

    async def _carry_out(self, invoked: Invoked, answer: Answer, handler: Handler) -> None:
        kind, data = _acknowledgement(invoked)
        taking = asyncio.ensure_future(handler(_incoming(invoked)))
        await self._within_time(taking)
        if taking.done() and (error := taking.exception()):
            await self._refuse(answer, error)
            return
        await self._answers.acknowledge(answer, kind, data)
        await asyncio.wait((taking,))
        if error := taking.exception():
            await self._take_back(answer, error)

    async def _within_time(self, taking: asyncio.Future[None]) -> None:
        limit = asyncio.ensure_future(self._clock.sleep(ACK_SECONDS))
        await asyncio.wait((taking, limit), return_when=asyncio.FIRST_COMPLETED)
        limit.cancel()

    async def _refuse(self, answer: Answer, error: BaseException) -> None:
        """Nothing was stored; that is said instead of "thinking"."""
        await self._answers.acknowledge(answer, MESSAGE, _whispered(sentence_for_people(error)))
        raise error

    async def _take_back(self, answer: Answer, error: BaseException) -> None:
        """The same, where "thinking" is shown already."""
        try:
            await self._answers.post(answer, _whispered(sentence_for_people(error)), ephemeral=True)
        except PlatformError as failure:
            logger.info("an apology could not be posted: %s", failure)
        raise error

    def _choices(self, typed: str) -> Json:
        """Of all that match what is typed; those that begin so first, since not all may fit."""
        wanted = typed.strip().lower()
        found = [
            each
            for each in self._personalities()
            if wanted in each.name.lower() or wanted in each.title.lower()
        ]
        found.sort(key=lambda each: not each.name.lower().startswith(wanted))
        named = [(f"{each.name}: {each.title}"[:100], each.name[:100]) for each in found]
        return {"choices": [{"name": n, "value": v} for n, v in named[:MAX_CHOICES]]}

    def _picker(self, invoked: Invoked, page: int = 0) -> Json:
        menu = picker(invoked.pressed.thread, self._personalities(), page)
        return {**_whispered("Who is to answer in this thread?"), "components": menu}


def _incoming(invoked: Invoked) -> Incoming:
    if invoked.verb == "ask":
        return invoked.as_question()
    return invoked.as_stop() if invoked.verb == "stop" else invoked.as_command()


def _acknowledgement(invoked: Invoked) -> tuple[int, Json | None]:
    if invoked.verb not in ("ask", "command"):
        return UPDATE_LATER, None
    for_all = invoked.verb == "ask" or invoked.name in _SHOWN_TO_ALL
    is_hidden = invoked.is_private or not for_all
    return DEFERRED, {"flags": EPHEMERAL} if is_hidden else None


def _whispered(text: str) -> Json:
    body = body_of(Rendered(text))
    return {**body, "flags": body["flags"] | EPHEMERAL}

"""Interactions: each is acknowledged in time, then answered or handed to the handler."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from adapters.discord.api.components import MAX_CHOICES, picker, question_form
from adapters.discord.api.messages import BotUser
from adapters.discord.api.posting import body_of
from adapters.discord.interactions.answers import (
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
from adapters.discord.interactions.invocations import Invocation, read_interaction
from bot.adapter_support.payloads import Json, Payload
from bot.errors import PlatformError, sentence_for_people
from bot.ports import Clock, Handler
from bot.types import Incoming, Person, Personality, Place, Rendered

logger = logging.getLogger(__name__)

ACK_SECONDS = 1.5
"""After this time the interaction is acknowledged even if the question is not stored yet."""

_SHOWN_TO_ALL = ("personality", "listen", "forget")


class InteractionHandler:
    """Answers menus, forms and choices by itself; hands questions, commands and stops over.

    ``refusal``: why a person may not use Parley in a place, or empty.
    """

    def __init__(
        self,
        answers: Answers,
        personalities: Callable[[], tuple[Personality, ...]],
        clock: Clock,
        refusal: Callable[[Place, Person], str],
    ) -> None:
        self._answers = answers
        self._personalities = personalities
        self._clock = clock
        self._refusal = refusal

    async def take(self, payload: Payload, me: BotUser, handler: Handler, barred: str = "") -> None:
        """``barred``: why questions are not answered in this channel, or empty."""
        invocation = read_interaction(payload, me)
        if invocation is None:
            logger.info("an interaction was not understood")
            return
        answer = self._answers.begin(
            invocation.ref, invocation.person.id, invocation.place.channel_form
        )
        refused = self._refusal(invocation.place, invocation.person)
        match invocation.verb:
            case "complete":
                choices = {"choices": []} if refused else self._choices(invocation.name)
                await self._answers.acknowledge(answer, CHOICES, choices)
            case "form" | "pick" if refused:
                await self._answers.acknowledge(answer, MESSAGE, _whispered(refused))
            case "page" if refused:
                closed = {**_whispered(refused), "components": []}
                await self._answers.acknowledge(answer, UPDATE, closed)
            case "ask" | "form" if barred:
                await self._answers.acknowledge(answer, MESSAGE, _whispered(barred))
            case "form":
                form = question_form(invocation.personality, private=invocation.is_private)
                await self._answers.acknowledge(answer, FORM, form)
            case "pick":
                await self._answers.acknowledge(answer, MESSAGE, self._picker(invocation))
            case "page":
                page = self._picker(invocation, invocation.custom_id.part)
                await self._answers.acknowledge(answer, UPDATE, page)
            case _:
                await self._carry_out(invocation, answer, handler)

    async def _carry_out(self, invocation: Invocation, answer: Answer, handler: Handler) -> None:
        kind, data = _acknowledgement(invocation)
        taking = asyncio.ensure_future(handler(_incoming(invocation)))
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
        """Nothing was stored: acknowledge with an error message, only for this person."""
        await self._answers.acknowledge(answer, MESSAGE, _whispered(sentence_for_people(error)))
        raise error

    async def _take_back(self, answer: Answer, error: BaseException) -> None:
        """The same, after the interaction was acknowledged."""
        try:
            await self._answers.post(answer, _whispered(sentence_for_people(error)), ephemeral=True)
        except PlatformError as failure:
            logger.info("an apology could not be posted: %s", failure)
        raise error

    def _choices(self, typed: str) -> Json:
        """Personalities that match what is typed; those that begin with it come first."""
        wanted = typed.strip().lower()
        found = [
            each
            for each in self._personalities()
            if wanted in each.name.lower() or wanted in each.title.lower()
        ]
        found.sort(key=lambda each: not each.name.lower().startswith(wanted))
        named = [(f"{each.name}: {each.title}"[:100], each.name[:100]) for each in found]
        return {"choices": [{"name": n, "value": v} for n, v in named[:MAX_CHOICES]]}

    def _picker(self, invocation: Invocation, page: int = 0) -> Json:
        menu = picker(invocation.custom_id.thread, self._personalities(), page)
        return {**_whispered("Who is to answer in this thread?"), "components": menu}


def _incoming(invocation: Invocation) -> Incoming:
    if invocation.verb == "ask":
        return invocation.as_question()
    if invocation.verb in ("up", "down"):
        return invocation.as_feedback()
    return invocation.as_stop() if invocation.verb == "stop" else invocation.as_command()


def _acknowledgement(invocation: Invocation) -> tuple[int, Json | None]:
    if invocation.verb not in ("ask", "command"):
        return UPDATE_LATER, None
    for_all = invocation.verb == "ask" or invocation.name in _SHOWN_TO_ALL
    is_hidden = invocation.is_private or not for_all
    return DEFERRED, {"flags": EPHEMERAL} if is_hidden else None


def _whispered(text: str) -> Json:
    body = body_of(Rendered(text))
    return {**body, "flags": body["flags"] | EPHEMERAL}

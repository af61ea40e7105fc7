"""Answers to interactions: acknowledgements, replies that grow in place, follow-ups.

Discord wants an acknowledgement within 3 seconds, and an interaction's token is valid for 15
minutes. Shortly before it expires its messages count as too old to be edited, and the reply
continues in an ordinary message.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Any

from adapters.discord.api.ids import InteractionRef, MessageRef, created_at
from adapters.discord.api.recent import Recent
from adapters.discord.api.rest import ALREADY_ACKNOWLEDGED, Rest, id_of
from bot.adapter_support.payloads import Json
from bot.errors import (
    MessageGone,
    NotPermitted,
    PlatformError,
    PlatformRefused,
    TextRefused,
    Unavailable,
)
from bot.ports import Clock

logger = logging.getLogger(__name__)

TOKEN_SECONDS = 14.5 * 60
"""Of the 15 minutes that Discord gives."""

MESSAGE, DEFERRED, UPDATE_LATER, UPDATE, CHOICES, FORM = 4, 5, 6, 7, 8, 9
EPHEMERAL = 64

_MAX_ANSWERS = 2_000
_WEBHOOK = "/webhooks/{webhook_id}/{webhook_token}"


class Answer:
    """One interaction and what was posted to it; ``expires_at`` is monotonic.

    ``message``: the id of the original response once known. ``is_lost``: nothing more can be
    posted. ``is_given``: something was posted, or is about to be. ``is_original_free``: the
    deferred response ("thinking") is still to be filled.
    """

    def __init__(self, ref: InteractionRef, person: str, channel: str, expires_at: float) -> None:
        self.ref = ref
        self.person = person
        self.channel = channel
        self.expires_at = expires_at
        self.acknowledged = asyncio.Event()
        self.is_lost = False
        self.is_given = False
        self.is_original_free = False
        self.message = ""


class Answers:
    """The latest interactions; each is answered as long as its token is valid."""

    def __init__(self, rest: Rest, clock: Clock, token_seconds: float = TOKEN_SECONDS) -> None:
        self._rest = rest
        self._clock = clock
        self._token_seconds = token_seconds
        self._by_id: Recent[str, Answer] = Recent(_MAX_ANSWERS)
        self._of_message: Recent[str, tuple[Answer, str, float]] = Recent(_MAX_ANSWERS)

    def begin(self, ref: InteractionRef, person: str, channel: str) -> Answer:
        answer = Answer(ref, person, channel, self._clock.monotonic() + self._token_seconds)
        self._by_id[ref.id] = answer
        return answer

    def find(self, interaction: str) -> Answer | None:
        answer = self._by_id.get(interaction)
        return answer if answer and self._is_good(answer) else None

    def resume(self, ref: InteractionRef, channel: str) -> Answer | None:
        """The answer that this or an earlier process began, if it can still be used."""
        if ref.id in self._by_id:
            return self.find(ref.id)
        age = self._clock.now() - created_at(ref.id)
        left = self._token_seconds - age / timedelta(seconds=1)
        answer = Answer(ref, "", channel, self._clock.monotonic() + left)
        answer.acknowledged.set()
        answer.is_original_free = True
        self._by_id[ref.id] = answer
        return self.find(ref.id)

    def of_person(self, person: str, channel: str) -> Answer | None:
        """This person's newest answer in a channel that nothing was posted to; else the newest."""
        whose = (person, channel)
        theirs = [
            each
            for each in reversed(self._by_id.values())
            if (each.person, each.channel) == whose and self._is_good(each)
        ]
        waiting = (each for each in theirs if not each.is_given)
        return next(waiting, None) or next(iter(theirs), None)

    async def acknowledge(self, answer: Answer, kind: int, data: Json | None = None) -> None:
        """Never fails: an interaction that could not be acknowledged gets ordinary messages."""
        try:
            found = await self._callback(answer.ref, kind, data)
            message = _message_id(found)
            answer.message = message
            answer.is_original_free = kind == DEFERRED
            answer.is_given = answer.is_given or kind != DEFERRED
            answer.is_lost = kind in (CHOICES, FORM)
        except PlatformError as error:
            answer.is_lost = True
            logger.warning("an interaction was not acknowledged: %s", error)
        finally:
            answer.acknowledged.set()

    async def post(self, answer: Answer, body: Json, *, ephemeral: bool = False) -> str | None:
        """The id of the message; None if it has to be an ordinary message."""
        answer.is_given = True
        await answer.acknowledged.wait()
        if answer.is_lost:
            return None
        wants_original = answer.is_original_free and not (ephemeral and not answer.ref.private)
        try:
            if wants_original:
                message = await self._fill_original(answer, body)
            else:
                message = await self._follow_up(answer, body, ephemeral=ephemeral)
        except TextRefused:
            raise
        except (MessageGone, NotPermitted, PlatformRefused) as error:
            logger.info("an interaction can no longer be answered: %s", error)
            answer.is_lost = True
            return None
        name = "@original" if wants_original else message
        self._of_message[message] = (answer, name, self._clock.monotonic())
        return message

    async def edit(self, message: MessageRef, body: Json) -> bool:
        """False if no valid token can edit this message."""
        found = self._of_message.get(message.message)
        if found is None or not self._is_good(found[0]):
            return False
        answer, name, _ = found
        path = f"{_WEBHOOK}/messages/" + ("@original" if name == "@original" else "{message_id}")
        ids: Json = {} if name == "@original" else {"message_id": name}
        try:
            await self._rest.answer("PATCH", path, body=body, **self._ids(answer.ref), **ids)
        except TextRefused:
            raise
        except (NotPermitted, PlatformRefused) as error:
            logger.info("an interaction's message can no longer be edited: %s", error)
            answer.is_lost = True
            return False
        return True

    async def delete(self, message: MessageRef) -> bool:
        found = self._of_message.pop(message.message, None)
        if found is None or not self._is_good(found[0]):
            return False
        await self._delete(found[0], found[1])
        return True

    async def discard_original(self, answer: Answer) -> None:
        """Delete a deferred response ("thinking") that nothing will fill."""
        if not answer.is_original_free:
            return
        answer.is_original_free = False
        try:
            await self._delete(answer, "@original")
        except PlatformError as error:
            logger.info("an answer could not be taken back: %s", error)

    def edit_deadline(self, message: MessageRef) -> float | None:
        """Seconds between the post of a message and the end of its token."""
        found = self._of_message.get(message.message)
        return max(0.0, found[0].expires_at - found[2]) if found else None

    async def _callback(self, ref: InteractionRef, kind: int, data: Json | None) -> Any:
        """Tried again if the connection was dropped; acknowledged already is fine."""
        body: Json = {"type": kind} | ({"data": data} if data else {})
        for attempt in (1, 2):
            try:
                return await self._rest.answer(
                    "POST",
                    "/interactions/{webhook_id}/{webhook_token}/callback",
                    body=body,
                    query={"with_response": "true"},
                    webhook_id=ref.id,
                    webhook_token=ref.token,
                )
            except Unavailable:
                if attempt == 2:
                    raise
            except PlatformRefused as error:
                if error.code == str(ALREADY_ACKNOWLEDGED):
                    return None
                raise
        return None

    async def _fill_original(self, answer: Answer, body: Json) -> str:
        path = f"{_WEBHOOK}/messages/@original"
        found = await self._rest.answer("PATCH", path, body=body, **self._ids(answer.ref))
        answer.is_original_free = False
        return answer.message or id_of(found)

    async def _follow_up(self, answer: Answer, body: Json, *, ephemeral: bool) -> str:
        """Discord would fill a deferred response with a follow-up, so that is deleted first."""
        await self.discard_original(answer)
        hidden = EPHEMERAL if ephemeral or answer.ref.private else 0
        body = {**body, "flags": body.get("flags", 0) | hidden}
        found = await self._rest.answer(
            "POST", _WEBHOOK, body=body, query={"wait": "true"}, **self._ids(answer.ref)
        )
        return id_of(found)

    async def _delete(self, answer: Answer, name: str) -> None:
        path = f"{_WEBHOOK}/messages/" + ("@original" if name == "@original" else "{message_id}")
        ids: Json = {} if name == "@original" else {"message_id": name}
        await self._rest.answer("DELETE", path, **self._ids(answer.ref), **ids)

    def _ids(self, ref: InteractionRef) -> Json:
        return {"webhook_id": self._rest.application_id, "webhook_token": ref.token}

    def _is_good(self, answer: Answer) -> bool:
        return not answer.is_lost and self._clock.monotonic() < answer.expires_at


def _message_id(found: object) -> str:
    """The message id in a callback's response; empty where there is none."""
    interaction = found.get("interaction") if isinstance(found, dict) else None
    message = interaction.get("response_message_id") if isinstance(interaction, dict) else None
    return message if isinstance(message, str) else ""

"""Discord: posts, edits, buttons and reactions out; messages and interactions in."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from adapters.discord import markup
from adapters.discord.answers import TOKEN_SECONDS
from adapters.discord.buttons import Buttons
from adapters.discord.client import ParleyClient, point_at
from adapters.discord.connection import Connection
from adapters.discord.errors import ARCHIVED, line_error
from adapters.discord.ids import (
    NAME,
    InteractionRef,
    MessageRef,
    created_at,
    is_direct,
    parse_ref,
    private_reader,
)
from adapters.discord.posting import MESSAGES, body_of, controls_of
from adapters.discord.settings import DiscordSettings
from bot.adapter_support.connection import Observe
from bot.errors import MessageGone, PlatformError, PlatformRefused, Unavailable
from bot.ports import Clock, Handler
from bot.types import (
    NOTICE,
    Attachment,
    Label,
    Limits,
    Person,
    Personality,
    Place,
    RateRule,
    Rendered,
)

logger = logging.getLogger(__name__)

LIMITS = Limits(max_size=2000, edit_interval=1.0, edit_deadline=3600.0, call_timeout=10.0)
"""discord.py waits as Discord's headers say; calls to one channel are made one by one."""

ONE_AT_A_TIME = RateRule(frozenset({"post", "edit", "delete"}), "channel", 1, 0.0)
"""For answers in place, which share a channel: the ends of replies go before their growth."""

_EYES = "👀"
_MESSAGE = MESSAGES + "/{message_id}"
_REACTION = _MESSAGE + "/reactions/{emoji}/@me"
_MAX_EARLY = 1_000


class DiscordAdapter:
    """Usable between enter and leave, and again after; entering twice is entering once."""

    def __init__(
        self,
        settings: DiscordSettings,
        clock: Clock,
        observe: Observe,
        personalities: Callable[[], tuple[Personality, ...]],
        limits: Limits = LIMITS,
        token_seconds: float = TOKEN_SECONDS,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._observe = observe
        self._personalities = personalities
        self._limits = limits if settings.threads else replace(limits, rules=(ONE_AT_A_TIME,))
        self._token_seconds = token_seconds
        self._connection: Connection | None = None
        self._early: deque[tuple[str, dict[str, Any]]] = deque(maxlen=_MAX_EARLY)
        self._handler: Handler | None = None
        self._buttons = Buttons()

    @property
    def name(self) -> str:
        return NAME

    @property
    def limits(self) -> Limits:
        return self._limits

    def render(self, markdown: str) -> Rendered:
        return markup.render(markdown)

    async def __aenter__(self) -> Self:
        if self._connection is None:
            point_at(self._settings)
            client = ParleyClient(self._settings, self._on_payload, self._limits.call_timeout)
            self._connection = Connection(
                client, self._settings, self._clock, self._observe, self._limits.call_timeout
            )
            try:
                await self._connection.open(
                    self._personalities, self._apologise, self._token_seconds
                )
            except BaseException:
                await self.__aexit__(None, None, None)
                raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    @property
    def _there(self) -> Connection:
        if self._connection is None or not self._connection.is_open:
            raise Unavailable("Discord is not connected.", ambiguous=False)
        return self._connection

    async def listen(self, handler: Handler) -> None:
        there = self._there
        self._handler = handler
        while self._early:
            there.take(*self._early.popleft(), handler)
        try:
            raise line_error(await there.lost())
        finally:
            self._handler = None

    def _on_payload(self, event: str, payload: dict[str, Any]) -> None:
        """What comes before anybody listens waits."""
        if self._handler is None or self._connection is None or not self._connection.is_open:
            self._early.append((event, payload))
        else:
            self._connection.take(event, payload, self._handler)

    async def post(self, place: Place, text: Rendered, label: Label) -> str:
        message_id = str(await self._post(place, text, label))
        self._buttons.posted(message_id, label)
        return message_id

    async def _post(self, place: Place, text: Rendered, label: Label) -> MessageRef:
        there = self._there
        answer = self._answer_for(place, label)
        if answer is not None:
            body = body_of(text, controls_of(place, label))
            if message := await there.answers.post(answer, body):
                there.chains.remember(message, place.thread)
                return MessageRef(_channel_of(place, there.channels.is_thread), message)
        posted = await there.posting.post(place, text, label)
        if posted.channel == place.channel:
            there.chains.remember(posted.message, place.thread)
        return posted

    def _answer_for(self, place: Place, label: Label) -> Any:
        """The interaction that this post answers, if it still can be answered."""
        answers, question = self._there.answers, parse_ref(label.question_id)
        if isinstance(question, InteractionRef):
            return answers.resume(question, place.channel_form)
        if not label.is_notice:
            return None
        event = label.turn_id.removeprefix(NOTICE)
        return answers.find(event) or answers.find(place.thread.rpartition("-")[2])

    @property
    def file_above(self) -> int:
        return self._settings.file_above

    async def post_file(self, place: Place, name: str, data: bytes, label: Label) -> str:
        return str(await self._there.posting.post_file(place, name, data, label))

    async def edit(self, place: Place, message_id: str, text: Rendered) -> None:
        buttons = self._buttons.for_edit(place, message_id)
        await self._edit(place, _ref(message_id), body_of(text, buttons))

    async def _edit(self, place: Place, message: MessageRef, body: dict[str, Any]) -> None:
        if await self._there.answers.edit(message, body):
            return
        if private_reader(place) and message.channel == place.channel:
            raise PlatformRefused("edit", "only its reader's token could edit it")
        try:
            await self._patch(message, body)
        except PlatformRefused as error:
            if error.code != str(ARCHIVED):
                raise
            await self._unarchive(message.channel)
            await self._patch(message, body)

    async def _patch(self, message: MessageRef, body: dict[str, Any]) -> None:
        await self._there.rest.call(
            "PATCH", _MESSAGE, channel_id=message.channel, message_id=message.message, body=body
        )

    async def _unarchive(self, thread: str) -> None:
        """A thread that was put away takes no edits."""
        await self._there.rest.call(
            "PATCH", "/channels/{channel_id}", channel_id=thread, body={"archived": False}
        )

    async def delete(self, place: Place, message_id: str) -> None:
        message = _ref(message_id)
        if not await self._there.answers.delete(message):
            await self._there.rest.call(
                "DELETE", _MESSAGE, channel_id=message.channel, message_id=message.message
            )

    async def typing(self, place: Place) -> None:
        there = self._there
        if private_reader(place) is None:
            channel = await there.posting.channel_of(place)
            await there.rest.call("POST", "/channels/{channel_id}/typing", channel_id=channel)

    async def conclude(self, place: Place, turn_id: str, message_ids: Sequence[str]) -> None:
        """The newest message gets the buttons; the others lose theirs."""
        for part, message_id in enumerate(message_ids):
            label, is_last = Label(turn_id, part), part == len(message_ids) - 1
            buttons = self._buttons.for_end(place, message_id, label, is_last=is_last)
            with suppress(MessageGone):
                await self._edit(place, _ref(message_id), body_of(None, buttons))

    def edit_deadline(self, message_id: str) -> float | None:
        message = parse_ref(message_id)
        if self._connection is None or not isinstance(message, MessageRef):
            return None
        age, deadline = self._clock.now() - created_at(message.message), self._limits.edit_deadline
        if deadline is not None and age > timedelta(seconds=deadline):
            return 0.0
        return self._there.answers.edit_deadline(message)

    async def whisper(self, place: Place, person: Person, text: Rendered) -> None:
        """To one person if they wait for an interaction; Discord can do so at no other time."""
        there = self._there
        answer = there.answers.of_person(person.id, place.channel_form)
        if answer and await there.answers.post(answer, body_of(text), ephemeral=True):
            return
        await there.posting.post(place, text, Label(NOTICE, 0))

    async def react(self, place: Place, message_id: str) -> None:
        await self._react("PUT", message_id)

    async def unreact(self, place: Place, message_id: str) -> None:
        with suppress(MessageGone, PlatformRefused):
            await self._react("DELETE", message_id)

    async def _react(self, verb: str, message_id: str) -> None:
        message = parse_ref(message_id)
        if isinstance(message, MessageRef):
            await self._there.rest.call(
                verb,
                _REACTION,
                channel_id=message.channel,
                message_id=message.message,
                emoji=_EYES,
            )

    async def find_posts(self, place: Place, turn_id: str) -> Mapping[int, str]:
        return await self._there.posting.find(place, turn_id)

    def may_have_earlier(self, place: Place, message_id: str) -> bool:
        message = parse_ref(message_id)
        is_message = isinstance(message, MessageRef) and not is_direct(place)
        return is_message and message != MessageRef(place.channel, place.thread)

    async def earlier(self, place: Place, message_id: str) -> Sequence[tuple[str, str]]:
        return await self._there.earlier(place, parse_ref(message_id))

    async def fetch(self, attachment: Attachment, max_size: int) -> bytes:
        return await self._there.fetch(attachment.url, max_size)

    async def _apologise(self, place: Place, why: str) -> None:
        """Best effort: nothing could be stored, so nothing can be kept of it."""
        label = Label(NOTICE, 0)
        try:
            await self._there.posting.post(place, self.render(why), label)
        except PlatformError as error:
            logger.info("an apology could not be posted: %s", error)


def _ref(message_id: str) -> MessageRef:
    ref = parse_ref(message_id)
    if not isinstance(ref, MessageRef):
        raise MessageGone(f"There is no message {message_id[:40]}.")
    return ref


def _channel_of(place: Place, is_thread: Callable[[str], bool]) -> str:
    return place.thread if is_thread(place.thread) else place.channel

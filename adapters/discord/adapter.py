"""Discord: posts, edits, buttons and reactions out; messages and interactions in."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import discord

from adapters.discord import markup
from adapters.discord.api.chains import ReplyChains
from adapters.discord.api.channels import Channels
from adapters.discord.api.client import ParleyClient, point_at
from adapters.discord.api.components import Buttons, when_ended, while_growing
from adapters.discord.api.ids import (
    NAME,
    InteractionRef,
    MessageRef,
    created_at,
    is_direct,
    parse_ref,
    private_reader,
)
from adapters.discord.api.messages import BotUser
from adapters.discord.api.posting import Posting, body_of
from adapters.discord.api.rest import Rest
from adapters.discord.errors import gateway_error, translated
from adapters.discord.events import Apologise, Inbox
from adapters.discord.gateway.connection import Connection
from adapters.discord.gateway.deliveries import Deliveries
from adapters.discord.interactions.answers import TOKEN_SECONDS, Answer, Answers
from adapters.discord.interactions.catching_up import DEAF, CatchingUp
from adapters.discord.interactions.commands import Registration
from adapters.discord.interactions.handler import InteractionHandler
from adapters.discord.settings import DiscordSettings
from bot.adapter_support.connection import ConnectedAdapter, Observe
from bot.adapter_support.payloads import Json
from bot.errors import AccessDenied, MessageGone, PlatformError, PlatformRefused, SettingsError
from bot.limits import Limits, RateRule
from bot.ports import Clock, Handler, never, nowhere
from bot.types import (
    NOTICE,
    Attachment,
    Choice,
    Label,
    Person,
    Personality,
    Place,
    Rendered,
    ReplyEnd,
)

logger = logging.getLogger(__name__)

LIMITS = Limits(max_size=2000, edit_interval=1.0, edit_deadline=3600.0, call_timeout=10.0)
"""No rate rules: discord.py waits as Discord's headers say, one call per channel at a time."""

ONE_AT_A_TIME = RateRule(frozenset({"post", "edit", "delete"}), "channel", 1, 0.0)
"""Without threads replies share a channel: final edits go before those of growing replies."""

_MAX_EARLY = 1_000


class ConnectedBot:
    """The parts that work on one connection, from login to its end."""

    def __init__(
        self,
        client: ParleyClient,
        settings: DiscordSettings,
        clock: Clock,
        observe: Observe,
        call_timeout: float,
    ) -> None:
        self._client = client
        self._settings = settings
        self._clock = clock
        self._observe = observe
        counting = partial(translated, observe=observe)
        self.rest = Rest(client, counting, call_timeout, settings.api_url)
        self.channels = Channels(client, self.rest)
        self.chains = ReplyChains(self.rest)
        self.posting = Posting(self.rest, self.channels, opens_threads=settings.threads)
        self.gateway = Connection(client)
        self._deliveries = Deliveries()

    async def open(
        self,
        personalities: Callable[[], tuple[Personality, ...]],
        apologise: Apologise,
        token_seconds: float,
        listens: Callable[[Place], bool],
        refusal: Callable[[Place, Person], str],
    ) -> None:
        """Returns once Discord sends READY. Raises ``SettingsError`` or ``PlatformError``."""
        await self._log_in()
        self.set_up(personalities, apologise, token_seconds, listens, refusal)
        if not await self.gateway.open():
            raise gateway_error(await self.gateway.lost())
        self._deliveries.start(Registration(self.rest, self._settings.guild_ids).renew())

    def set_up(
        self,
        personalities: Callable[[], tuple[Personality, ...]],
        apologise: Apologise,
        token_seconds: float,
        listens: Callable[[Place], bool] = nowhere,
        refusal: Callable[[Place, Person], str] = never,
    ) -> None:
        """Make the parts that need the bot's user, which is known after login."""
        self.answers = Answers(self.rest, self._clock, token_seconds)
        self.catching_up = CatchingUp(self.channels, self.chains, self.posting, self.answers)
        self._inbox = Inbox(
            self.channels,
            self.chains,
            self.posting,
            InteractionHandler(self.answers, personalities, self._clock, refusal),
            self.user,
            age_restricted=self._settings.age_restricted,
            apologise=apologise,
            listens=listens,
        )

    @property
    def hears_all(self) -> bool:
        """Whether Discord hands over messages that do not mention the bot."""
        return self._client.may_read_content

    @property
    def user(self) -> BotUser:
        user = self._client.user
        return BotUser(str(user.id), user.display_name) if user else BotUser("0")

    def take(self, event: str, payload: dict[str, Any], handler: Handler) -> None:
        self._inbox.put(event, payload, handler, self._deliveries)

    async def close(self) -> None:
        await self._deliveries.close()
        await self.rest.close()
        await self.gateway.close()

    async def _log_in(self) -> None:
        try:
            with translated("login", self._observe):
                try:
                    await self._client.login(self._settings.token)
                except discord.LoginFailure as error:
                    raise gateway_error(error) from None
        except SettingsError:
            self._observe("login", "401")
            raise


class DiscordAdapter(ConnectedAdapter[ConnectedBot]):
    name = NAME
    can_whisper_unasked = False

    def __init__(
        self,
        settings: DiscordSettings,
        clock: Clock,
        observe: Observe,
        personalities: Callable[[], tuple[Personality, ...]],
        limits: Limits = LIMITS,
        token_seconds: float = TOKEN_SECONDS,
        listens: Callable[[Place], bool] = nowhere,
        refusal: Callable[[Place, Person], str] = never,
    ) -> None:
        super().__init__()
        self._settings = settings
        self._clock = clock
        self._observe = observe
        self._personalities = personalities
        self._listens = listens
        self._refusal = refusal
        self._limits = limits if settings.threads else replace(limits, rules=(ONE_AT_A_TIME,))
        self._token_seconds = token_seconds
        self._early: deque[tuple[str, dict[str, Any]]] = deque(maxlen=_MAX_EARLY)
        self._handler: Handler | None = None
        self._buttons = Buttons()

    @property
    def limits(self) -> Limits:
        return self._limits

    drawing = markup.drawing
    render = staticmethod(markup.render)

    async def _connect(self, opened: AsyncExitStack) -> ConnectedBot:
        settings, timeout = self._settings, self._limits.call_timeout
        point_at(settings.api_url, settings.gateway_url)
        client = ParleyClient(settings.gateway_url, self._on_payload, timeout)
        bot = ConnectedBot(client, settings, self._clock, self._observe, timeout)
        opened.push_async_callback(bot.close)
        await bot.open(
            self._personalities,
            self._apologise,
            self._token_seconds,
            self._listens,
            self._refusal,
        )
        return bot

    async def listen(self, handler: Handler) -> None:
        bot = self._connected
        self._handler = handler
        while self._early:
            bot.take(*self._early.popleft(), handler)
        try:
            raise gateway_error(await bot.gateway.lost())
        finally:
            self._handler = None

    def _on_payload(self, event: str, payload: dict[str, Any]) -> None:
        """Events from before ``listen`` wait for it."""
        if self._handler is None or self._connection is None:
            self._early.append((event, payload))
        else:
            self._connection.take(event, payload, self._handler)

    async def post(self, place: Place, text: Rendered, label: Label) -> str:
        return str(await self._post(place, body_of(text), label))

    async def _post(self, place: Place, body: Json, label: Label) -> MessageRef:
        bot = self._connected
        answer = self._answer_for(place, label)
        if answer is not None and (message := await bot.answers.post(answer, body)):
            bot.chains.remember(message, place.thread)
            return MessageRef(_channel_of(place, bot.channels.is_thread), message)
        posted = await bot.posting.post(place, body, label)
        if posted.channel == place.channel:
            bot.chains.remember(posted.message, place.thread)
        return posted

    def _answer_for(self, place: Place, label: Label) -> Answer | None:
        """The interaction that this post answers, while its token is valid."""
        answers, question = self._connected.answers, parse_ref(label.question_id)
        if isinstance(question, InteractionRef):
            return answers.resume(question, place.channel_form)
        if not label.is_notice:
            return None
        event = label.turn_id.removeprefix(NOTICE)
        return answers.find(event) or answers.find(place.thread.rpartition("-")[2])

    @property
    def file_above(self) -> int:
        return self._settings.file_above

    async def post_file(
        self, place: Place, name: str, data: bytes, label: Label, end: ReplyEnd
    ) -> str:
        body = body_of(None, when_ended(place.thread, label, end))
        message_id = str(await self._connected.posting.post_file(place, name, data, body, label))
        self._buttons.ended(message_id, label)
        return message_id

    def growth_interval(self, place: Place) -> float:
        return self._limits.edit_interval

    async def begin(self, place: Place, text: Rendered, label: Label, *, is_text: bool) -> str:
        body = body_of(text, while_growing(place.thread, label))
        message_id = str(await self._post(place, body, label))
        self._buttons.begun(message_id, label)
        return message_id

    async def grow(self, place: Place, message_id: str, text: Rendered, *, is_text: bool) -> None:
        buttons = self._buttons.for_growth(place, message_id)
        await self._edit(place, _ref(message_id), body_of(text, buttons))
        self._buttons.grown(message_id)

    async def finish(
        self,
        place: Place,
        message_id: str | None,
        text: Rendered,
        label: Label,
        end: ReplyEnd | None = None,
    ) -> str:
        body = body_of(text, when_ended(place.thread, label, end))
        if message_id is None:
            message_id = str(await self._post(place, body, label))
        else:
            await self._edit(place, _ref(message_id), body)
        self._buttons.ended(message_id, label)
        return message_id

    async def edit(self, place: Place, message_id: str, text: Rendered) -> None:
        await self._edit(place, _ref(message_id), body_of(text))

    async def _edit(self, place: Place, message: MessageRef, body: Json) -> None:
        if await self._connected.answers.edit(message, body):
            return
        if private_reader(place) and message.channel == place.channel:
            raise PlatformRefused("edit", "only its reader's token could edit it")
        await self._connected.posting.edit(message, body)

    async def delete(self, place: Place, message_id: str) -> None:
        message = _ref(message_id)
        if not await self._connected.answers.delete(message):
            await self._connected.posting.delete(message)

    async def typing(self, place: Place) -> None:
        bot = self._connected
        if private_reader(place) is None:
            channel = await bot.posting.channel_of(place)
            await bot.rest.call("POST", "/channels/{channel_id}/typing", channel_id=channel)

    def edit_deadline(self, message_id: str) -> float | None:
        message = parse_ref(message_id)
        if self._connection is None or not isinstance(message, MessageRef):
            return None
        age, deadline = self._clock.now() - created_at(message.message), self._limits.edit_deadline
        if deadline is not None and age > timedelta(seconds=deadline):
            return 0.0
        return self._connected.answers.edit_deadline(message)

    async def whisper(
        self, place: Place, person: Person, text: Rendered, choices: Sequence[Choice] = ()
    ) -> None:
        """Shown to one person if they await an interaction; Discord offers no other way."""
        bot = self._connected
        answer = bot.answers.of_person(person.id, place.channel_form)
        if answer and await bot.answers.post(answer, body_of(text), ephemeral=True):
            return
        await bot.posting.post(place, body_of(text), Label(NOTICE, 0))

    async def react(self, place: Place, message_id: str) -> None:
        await self._react("PUT", message_id)

    async def unreact(self, place: Place, message_id: str) -> None:
        with suppress(MessageGone, PlatformRefused):
            await self._react("DELETE", message_id)

    async def _react(self, verb: str, message_id: str) -> None:
        if isinstance(message := parse_ref(message_id), MessageRef):
            await self._connected.posting.react(verb, message)

    async def find_posts(self, place: Place, turn_id: str) -> Mapping[int, str]:
        return await self._connected.posting.find(place, turn_id)

    def may_have_earlier(self, place: Place, message_id: str) -> bool:
        message = parse_ref(message_id)
        is_message = isinstance(message, MessageRef) and not is_direct(place)
        return is_message and message != MessageRef(place.channel, place.thread)

    async def earlier(self, place: Place, message_id: str) -> Sequence[tuple[str, str]]:
        ref, bot = parse_ref(message_id), self._connected
        if not isinstance(ref, MessageRef):
            return ()
        return await bot.chains.earlier(
            place, ref, bot.channels.seen_from(place.workspace, bot.user)
        )

    async def lately(self, place: Place, person: Person) -> Sequence[tuple[str, str]]:
        bot, restricted = self._connected, self._settings.age_restricted
        if (why := self.why_deaf()) and not is_direct(place):
            raise AccessDenied(why)
        return await bot.catching_up.lately(
            place, person, bot.user, self._clock, age_restricted=restricted
        )

    async def open_private(self, place: Place, person: Person) -> tuple[Place, str]:
        return await self._connected.catching_up.open_private(place, person)

    def why_deaf(self) -> str:
        return "" if self._connected.hears_all else DEAF

    async def fetch(self, attachment: Attachment, max_size: int) -> bytes:
        return await self._connected.rest.fetch(attachment.url, max_size)

    async def _apologise(self, place: Place, why: str) -> None:
        """Best effort: nothing of the question was stored."""
        label = Label(NOTICE, 0)
        try:
            await self._connected.posting.post(place, body_of(self.render(why)), label)
        except PlatformError as error:
            logger.info("an apology could not be posted: %s", error)


def _ref(message_id: str) -> MessageRef:
    ref = parse_ref(message_id)
    if not isinstance(ref, MessageRef):
        raise MessageGone(f"There is no message {message_id[:40]}.")
    return ref


def _channel_of(place: Place, is_thread: Callable[[str], bool]) -> str:
    return place.thread if is_thread(place.thread) else place.channel

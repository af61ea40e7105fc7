"""Microsoft Teams: posts, edits and streams out, activities in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from aiohttp import web

from adapters.teams import markup, messages
from adapters.teams.connector import Connector, Json
from adapters.teams.conversations import Conversations, id_of, read_conversation
from adapters.teams.credentials import Credentials
from adapters.teams.errors import Refusal, StreamRefused, translated
from adapters.teams.events import read_activity
from adapters.teams.files import Files
from adapters.teams.grants import Grant
from adapters.teams.hosts import is_trusted
from adapters.teams.keys import SigningKeys
from adapters.teams.limits import LIMITS
from adapters.teams.proof import Proof
from adapters.teams.settings import TeamsSettings
from adapters.teams.streams import INTERVAL, ReplyStream
from adapters.teams.webhook import PATH, Webhook
from bot.adapter_support.connection import Observe
from bot.errors import (
    MessageGone,
    MessageTooLong,
    NotPermitted,
    PlatformRefused,
    RateLimited,
    SettingsError,
    Unavailable,
)
from bot.ports import Clock, Handler
from bot.types import Attachment, Choice, Label, Limits, Place, Rendered, Source

T = TypeVar("T")

_MAX_REFUSING = 1000


class TeamsAdapter:
    """Usable between enter and leave, and again after; entering twice is entering once."""

    def __init__(
        self,
        settings: TeamsSettings,
        grant: Grant,
        clock: Clock,
        observe: Observe,
        limits: Limits = LIMITS,
        folder: Path | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._observe = observe
        self._limits = limits
        self._credentials = Credentials(grant, clock)
        self._conversations = Conversations(folder)
        keys = SigningKeys(settings.openid_metadata_url, clock)
        self._webhook = Webhook(settings, Proof(settings.app_id, keys, clock), observe)
        self._connector: Connector | None = None
        self._streams: dict[str, ReplyStream] = {}
        self._refusing: set[str] = set()

    @property
    def name(self) -> str:
        return "teams"

    @property
    def limits(self) -> Limits:
        return self._limits

    def routes(self) -> Sequence[web.RouteDef]:
        return [web.post(PATH, self._webhook.handle)]

    def render(self, markdown: str) -> Rendered:
        return markup.render(markdown)

    async def __aenter__(self) -> Self:
        if self._connector is None:
            await self._conversations.load()
            await self._check_credentials()
            token = None if self._settings.is_anonymous else self._credentials.token
            self._connector = Connector(token, self._settings.app_id, self._limits.call_timeout)
            await self._connector.start()
            self._webhook.connector = self._connector
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        streams, self._streams = self._streams, {}
        await asyncio.gather(*(stream.close() for stream in streams.values()))
        connector, self._connector, self._webhook.connector = self._connector, None, None
        await self._credentials.close()
        if connector is not None:
            await connector.close()

    async def _check_credentials(self) -> None:
        if self._settings.is_anonymous:
            return
        try:
            with translated("token", self._observe):
                await self._credentials.token()
        except NotPermitted as error:
            raise SettingsError(
                [
                    "TEAMS_APP_ID, TEAMS_APP_PASSWORD and TEAMS_TENANT_ID do not belong together, "
                    f"or the secret has expired; copy them again from the app's page. {error}"
                ]
            ) from None

    async def listen(self, handler: Handler) -> None:
        async def deliver(activity: Json) -> None:
            await self._deliver(activity, handler)

        self._webhook.deliver = deliver
        try:
            await asyncio.Event().wait()
        finally:
            if self._webhook.deliver is deliver:
                self._webhook.deliver = None

    async def _deliver(self, activity: Json, handler: Handler) -> None:
        incoming = read_activity(activity)
        conversation = read_conversation(activity)
        if incoming and conversation is not None:
            await self._conversations.meet(conversation)
        for each in incoming:
            await handler(each)

    async def post(self, place: Place, text: Rendered, label: Label) -> str:
        return await self._post(place, messages.message(text))

    async def edit(self, place: Place, message_id: str, text: Rendered) -> None:
        await self._edit(place, message_id, messages.message(text))

    async def delete(self, place: Place, message_id: str) -> None:
        if stream := self._streams.pop(message_id, None):
            await stream.close()  # what still streams cannot be deleted
        await self._call(
            "delete", lambda to: to.delete(self._service(place), id_of(place), message_id)
        )

    async def typing(self, place: Place) -> None:
        await self._send("typing", place, messages.typing())

    async def offer(
        self, place: Place, text: Rendered, choices: Sequence[Choice], label: Label
    ) -> str:
        return await self._post(place, messages.offering(text, choices))

    async def fetch(self, attachment: Attachment, max_size: int) -> bytes:
        """The file; ``PlatformError`` if it cannot be had or is larger than ``max_size``."""
        settings = self._settings
        token = None if settings.is_anonymous else self._credentials.token
        files = Files(settings.service_hosts, token, self._limits.call_timeout)
        with translated("fetch", self._observe):
            return await files.fetch(attachment.url, max_size)

    def growth_interval(self, place: Place) -> float:
        return INTERVAL if self._can_stream(place) else self._limits.edit_interval

    async def begin(self, place: Place, text: Rendered, label: Label, *, is_text: bool) -> str:
        if label.part == 0 and self._can_stream(place):
            try:
                return await self._open_stream(place, text, is_text=is_text)
            except StreamRefused:
                self._refuse_streams(place)
        return await self._post(place, messages.growing(text))

    async def grow(self, place: Place, message_id: str, text: Rendered, *, is_text: bool) -> None:
        if stream := self._streams.get(message_id):
            await stream.grow(text, is_text=is_text)
        else:
            await self._edit(place, message_id, messages.growing(text))

    async def finish(
        self, place: Place, message_id: str | None, text: Rendered, label: Label
    ) -> str:
        return await self._finish(place, message_id, messages.ended(text))

    async def finish_citing(
        self,
        place: Place,
        message_id: str | None,
        text: Rendered,
        label: Label,
        sources: Sequence[Source],
    ) -> str:
        return await self._finish(place, message_id, messages.ended(text, sources))

    async def _finish(self, place: Place, message_id: str | None, body: Json) -> str:
        if message_id is None:
            return await self._post_once(place, body)
        try:
            if stream := self._streams.get(message_id):
                await self._finish_stream(stream, body)
            else:
                await self._edit(place, message_id, body)
        except MessageGone:
            if not self._conversations.is_personal(place):
                raise
            return await self._post_once(place, body)  # a stream that never had a text
        return message_id

    async def _post_once(self, place: Place, body: Json) -> str:
        """Nobody can ask Teams whether a post arrived, so it is not made a second time."""
        try:
            return await self._post(place, body)
        except Unavailable as error:
            if error.ambiguous:
                raise PlatformRefused("post", "no_answer") from None
            raise

    async def _open_stream(self, place: Place, text: Rendered, *, is_text: bool) -> str:
        stream = ReplyStream(
            partial(self._send, "stream", place), partial(self._edit, place), self._clock
        )
        message_id = await stream.open(text, is_text=is_text)
        self._streams[message_id] = stream
        return message_id

    async def _finish_stream(self, stream: ReplyStream, body: Json) -> None:
        """A stream whose end may be tried again is kept until then."""
        try:
            await stream.finish(body)
        except (RateLimited, MessageTooLong, Unavailable):
            raise
        except BaseException:
            self._streams.pop(stream.id, None)
            raise
        self._streams.pop(stream.id, None)

    def _can_stream(self, place: Place) -> bool:
        return self._conversations.is_personal(place) and place.channel not in self._refusing

    def _refuse_streams(self, place: Place) -> None:
        if len(self._refusing) >= _MAX_REFUSING:
            self._refusing.clear()
        self._refusing.add(place.channel)

    async def _post(self, place: Place, body: Json) -> str:
        message_id = await self._send("post", place, body)
        if not message_id:
            raise Unavailable("Teams does not name the message.", ambiguous=True)
        return message_id

    async def _send(self, method: str, place: Place, body: Json) -> str:
        return await self._call(
            method, lambda to: to.send(self._service(place), id_of(place), body)
        )

    async def _edit(self, place: Place, message_id: str, body: Json) -> None:
        url = self._service(place)
        await self._call("edit", lambda to: to.update(url, id_of(place), message_id, body))

    async def _call(self, method: str, call: Callable[[Connector], Awaitable[T]]) -> T:
        """A token that the service does not take is replaced once: nothing has happened."""
        connector = self._connector
        if connector is None:
            raise Unavailable("Teams is not connected.", ambiguous=False)
        with translated(method, self._observe):
            try:
                return await call(connector)
            except Refusal as error:
                if error.status != 401 or self._settings.is_anonymous:
                    raise
                self._credentials.discard()
                return await call(connector)

    def _service(self, place: Place) -> str:
        """What was remembered is looked at again: the settings may have changed since."""
        url = self._conversations.service_url(place)
        settings = self._settings
        if not is_trusted(url, settings.service_hosts, loopback=settings.is_anonymous):
            raise Unavailable("No trusted address of Teams is known here.", ambiguous=False)
        return url

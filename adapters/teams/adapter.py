"""Microsoft Teams: posts, edits and streams out, activities in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from aiohttp import web

from adapters.teams import markup
from adapters.teams.activities import messages
from adapters.teams.activities.streams import INTERVAL, ReplyStream, StreamRefused
from adapters.teams.auth.credentials import Credentials, TokenSource
from adapters.teams.auth.verifier import SigningKeys, TokenVerifier
from adapters.teams.connector import Connector
from adapters.teams.conversations import ConversationReferences, id_of, read_conversation
from adapters.teams.errors import Refusal, translated
from adapters.teams.events import read_activity
from adapters.teams.files import Files
from adapters.teams.settings import TeamsSettings
from adapters.teams.webhook import PATH, TeamsWebhook
from bot.adapter_support.connection import ConnectedAdapter, Observe
from bot.adapter_support.payloads import Json
from bot.errors import (
    MessageGone,
    MessageTooLong,
    NotPermitted,
    PlatformRefused,
    RateLimited,
    SettingsError,
    Unavailable,
)
from bot.limits import Limits, RateRule
from bot.ports import Clock, Handler
from bot.types import (
    PLAIN_END,
    Attachment,
    Choice,
    Label,
    Place,
    Rendered,
    ReplyEnd,
)

T = TypeVar("T")

_CALLS = frozenset({"post", "edit", "delete", "typing"})
LIMITS = Limits(
    max_size=20_000,
    rules=(
        RateRule(_CALLS, "channel", 7, 1.0),
        RateRule(_CALLS, "channel", 8, 2.0),
        RateRule(_CALLS, "channel", 60, 30.0),
        RateRule(_CALLS, "channel", 1800, 3600.0),
        RateRule(_CALLS, "workspace", 50, 1.0),
    ),
    edit_interval=2.0,
    ack_deadline=15.0,
)
"""Teams counts a channel, with all of its threads, as one conversation."""

UNSEEN = (
    "(What others wrote here before is not visible to you, for Teams passes on only messages that "
    "mention you. If it is asked for, say so, and ask for it to be forwarded or pasted.)"
)
"""What the model is told in a thread or group chat that it may have joined late."""

_MAX_REFUSING = 1000


class TeamsAdapter(ConnectedAdapter[Connector]):
    """Calls the connector of Teams, and receives activities."""

    name = "teams"
    drawing = markup.drawing
    render = staticmethod(markup.render)

    def __init__(
        self,
        settings: TeamsSettings,
        source: TokenSource,
        clock: Clock,
        observe: Observe,
        limits: Limits = LIMITS,
        folder: Path | None = None,
    ) -> None:
        super().__init__()
        self.limits = limits
        self._settings = settings
        self._clock = clock
        self._observe = observe
        self._credentials = Credentials(source, clock)
        self._conversations = ConversationReferences(folder)
        keys = SigningKeys(settings.openid_metadata_url, clock)
        verifier = TokenVerifier(settings.app_id, keys, clock)
        self._webhook = TeamsWebhook(settings, verifier, observe)
        self._streams: dict[str, ReplyStream] = {}
        self._newest: dict[str, ReplyStream] = {}  # of each chat in which one runs
        self._refusing: set[str] = set()

    async def _connect(self, opened: AsyncExitStack) -> Connector:
        await self._conversations.load()
        opened.push_async_callback(self._credentials.close)
        await self._check_credentials()
        connector = Connector(self._token, self._settings.app_id, self.limits.call_timeout)
        opened.push_async_callback(connector.close)
        await connector.start()
        self._webhook.connector = connector
        return connector

    @property
    def _token(self) -> Callable[[], Awaitable[str]] | None:
        return None if self._settings.is_anonymous else self._credentials.token

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Streams are ended while there still is a connection."""
        streams, self._streams = self._streams, {}
        await asyncio.gather(*(stream.close() for stream in streams.values()))
        self._webhook.connector = None
        await super().__aexit__(kind, error, traceback)

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

    def routes(self) -> Sequence[web.RouteDef]:
        return [web.post(PATH, self._webhook.handle)]

    async def listen(self, handler: Handler) -> None:
        deliver = partial(self._deliver, handler)
        self._webhook.deliver = deliver
        try:
            await asyncio.Event().wait()
        finally:
            if self._webhook.deliver is deliver:
                self._webhook.deliver = None

    async def _deliver(self, handler: Handler, delivery: Json) -> None:
        incoming = read_activity(delivery)
        conversation = read_conversation(delivery)
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
        files = Files(self._settings.service_hosts, self._token, self.limits.call_timeout)
        with translated("fetch", self._observe):
            return await files.fetch(attachment.url, max_size)

    def may_have_earlier(self, place: Place, message_id: str) -> bool:
        return not self._conversations.is_personal(place) and place.thread != message_id

    async def earlier(self, place: Place, message_id: str) -> Sequence[tuple[str, str]]:
        """Teams gives a bot none of them, so the model is told that it does not know them."""
        return (("", UNSEEN),)

    def growth_interval(self, place: Place) -> float:
        return INTERVAL if self._can_stream(place) else self.limits.edit_interval

    async def begin(self, place: Place, text: Rendered, label: Label, *, is_text: bool) -> str:
        if label.part == 0 and self._can_stream(place) and not self._is_streaming(place):
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
        self,
        place: Place,
        message_id: str | None,
        text: Rendered,
        label: Label,
        end: ReplyEnd | None = None,
    ) -> str:
        body = messages.ended(text, end or PLAIN_END, label.turn_id)
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
                raise NotPermitted("post: Teams did not answer, and may have posted it.") from None
            raise

    async def _open_stream(self, place: Place, text: Rendered, *, is_text: bool) -> str:
        stream = ReplyStream(
            partial(self._send, "stream", place), partial(self._edit, place), self._clock
        )
        self._newest[place.channel] = stream
        try:
            message_id = await stream.open(text, is_text=is_text)
        except BaseException:
            self._newest.pop(place.channel, None)
            raise
        self._streams[message_id] = stream
        return message_id

    def _is_streaming(self, place: Place) -> bool:
        """A chat has one stream at a time: who waits for its end is shown in a plain message."""
        stream = self._newest.get(place.channel)
        if stream is None or not stream.is_over:
            return stream is not None
        del self._newest[place.channel]
        return False

    async def _finish_stream(self, stream: ReplyStream, body: Json) -> None:
        """A stream whose end may be tried again, or with another text, is kept."""
        try:
            await stream.finish(body)
        except (RateLimited, MessageTooLong, Unavailable, PlatformRefused):
            raise
        except BaseException:
            stream.is_over = True
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
        """A refused token is replaced once, and the call repeated: nothing has happened."""
        connector = self._connected
        with translated(method, self._observe):
            try:
                return await call(connector)
            except Refusal as error:
                if error.status != 401 or self._settings.is_anonymous:
                    raise
                self._credentials.discard()
                return await call(connector)

    def _service(self, place: Place) -> str:
        """A remembered address is checked again: the settings may have changed since."""
        url = self._conversations.service_url(place)
        if not self._settings.trusts(url):
            raise Unavailable("No trusted address of Teams is known here.", ambiguous=False)
        return url

"""Posts: into a thread (opened if need be), as a reply to a question, or to one person.

And what is done to messages: edits, deletions, 👀.
"""

from __future__ import annotations

import json
import logging
from typing import Any

from adapters.discord.api.channels import Channels
from adapters.discord.api.components import label_in
from adapters.discord.api.ids import DIRECT, MessageRef, parse_ref, private_reader
from adapters.discord.api.recent import Recent
from adapters.discord.api.rest import ARCHIVED, NO_HISTORY, THREAD_EXISTS, Rest, id_of
from bot.adapter_support.payloads import Json
from bot.errors import MessageGone, NotPermitted, PlatformRefused
from bot.markdown.graphemes import is_between_graphemes
from bot.types import Label, Place, Rendered

logger = logging.getLogger(__name__)

SUPPRESS_EMBEDS = 4
MESSAGES = "/channels/{channel_id}/messages"
_MESSAGE = MESSAGES + "/{message_id}"
_REACTION = _MESSAGE + "/reactions/{emoji}/@me"
_EYES = "👀"
_DAY_MINUTES = 1440
_MAX_NAME = 90
_MAX_NAMES = 2_000
_NUM_LATEST = 100
_MAX_NONCE = 25


def body_of(text: Rendered | None, components: list[Json] | None = None) -> Json:
    """A message body that neither pings nor unfurls, in a post and in an edit alike."""
    silent = {"allowed_mentions": {"parse": [], "replied_user": False}, "flags": SUPPRESS_EMBEDS}
    body: Json = dict(silent) if text is None else {"content": text, **silent}
    return body if components is None else {**body, "components": components}


class Posting:
    """``opens_threads``: a question in a channel gets a thread, where that is permitted."""

    def __init__(self, rest: Rest, channels: Channels, *, opens_threads: bool) -> None:
        self._rest = rest
        self._channels = channels
        self._opens_threads = opens_threads
        self._names: Recent[str, str] = Recent(_MAX_NAMES)
        self._opened: Recent[str, str] = Recent(_MAX_NAMES)
        self._num_posts: Recent[str, int] = Recent(_MAX_NAMES)

    def name_thread(self, message: str, question: str) -> None:
        """Name the thread of this message, should one be opened."""
        self._names[message] = " ".join(question.split())

    async def post(self, place: Place, body: Json, label: Label) -> MessageRef:
        """Post an ordinary message. Raises ``PlatformError``."""
        channel, answered = await self._target(place, label)
        body = body | self._nonce(label)
        try:
            found = await self._reply(channel, body, answered)
        except NotPermitted:
            if channel != place.thread or self._opened.get(channel) != channel:
                raise
            # A thread that may be opened, but not written in.
            channel, answered = place.channel, place.thread
            self._opened[place.thread] = channel
            found = await self._reply(channel, body, answered)
        self._count(label)
        return MessageRef(channel, id_of(found))

    async def _reply(self, channel: str, body: Json, answered: str) -> Any:
        """Without the reference where the bot may not read the history: then it may not reply."""
        reference = {"message_id": answered, "fail_if_not_exists": False}
        if answered:
            try:
                replying = {**body, "message_reference": reference}
                return await self._rest.call("POST", MESSAGES, channel_id=channel, body=replying)
            except PlatformRefused as error:
                if error.code != str(NO_HISTORY):
                    raise
        return await self._rest.call("POST", MESSAGES, channel_id=channel, body=body)

    async def post_file(
        self, place: Place, name: str, data: bytes, body: Json, label: Label
    ) -> MessageRef:
        channel, _ = await self._target(place, label)
        payload = json.dumps({**body, "attachments": [{"id": "0", "filename": name}]})
        file = {
            "name": "files[0]",
            "value": data,
            "filename": name,
            "content_type": "text/markdown",
        }
        form: list[Json] = [{"name": "payload_json", "value": payload}, file]
        found = await self._rest.call("POST", MESSAGES, channel_id=channel, form=form)
        return MessageRef(channel, id_of(found))

    async def edit(self, message: MessageRef, body: Json) -> None:
        """An archived thread takes no edits, so it is opened again."""
        try:
            await self._patch(message, body)
        except PlatformRefused as error:
            if error.code != str(ARCHIVED):
                raise
            opened = {"archived": False}
            path = "/channels/{channel_id}"
            await self._rest.call("PATCH", path, channel_id=message.channel, body=opened)
            await self._patch(message, body)

    async def _patch(self, message: MessageRef, body: Json) -> None:
        channel, message_id = message.channel, message.message
        await self._rest.call(
            "PATCH", _MESSAGE, channel_id=channel, message_id=message_id, body=body
        )

    async def delete(self, message: MessageRef) -> None:
        channel, message_id = message.channel, message.message
        await self._rest.call("DELETE", _MESSAGE, channel_id=channel, message_id=message_id)

    async def react(self, verb: str, message: MessageRef) -> None:
        """``verb``: ``PUT`` or ``DELETE``."""
        channel, message_id = message.channel, message.message
        await self._rest.call(
            verb, _REACTION, channel_id=channel, message_id=message_id, emoji=_EYES
        )

    async def find(self, place: Place, turn_id: str) -> dict[int, str]:
        """Part -> message id, from the newest messages of the thread and of its channel."""
        channels = {place.channel, place.thread if place.thread.isdigit() else place.channel}
        found: dict[int, str] = {}
        for channel in sorted(channels):
            for message in await self._latest(channel):
                label = label_in(message) or _label_in_nonce(message)
                if label and label.turn_id == turn_id and str(message.get("id", "")).isdigit():
                    found.setdefault(label.part, str(MessageRef(channel, message["id"])))
        return found

    async def channel_of(self, place: Place) -> str:
        """The channel that shows this thread; a private thread's is the reader's direct channel."""
        if reader := private_reader(place):
            return await self.direct_channel(reader)
        opened = self._opened.get(place.thread)
        return opened or (place.thread if self._channels.is_thread(place.thread) else place.channel)

    async def _target(self, place: Place, label: Label) -> tuple[str, str]:
        """The channel, and the message to reply to there (empty for none)."""
        question = parse_ref(label.question_id)
        if private_reader(place) or not isinstance(question, MessageRef):
            return await self.channel_of(place), ""
        if place.workspace == DIRECT or question.channel != place.channel:
            return question.channel, ""
        if self._opens_threads and question.message == place.thread:
            opened = await self._thread_of(question, place)
            return opened, "" if opened != question.channel else question.message
        return question.channel, question.message

    async def _thread_of(self, question: MessageRef, place: Place) -> str:
        """The thread of a question; the channel itself where no thread can be opened."""
        if opened := self._opened.get(question.message):
            return opened
        info = self._channels.known(question.channel)
        opened = question.channel
        if info is None or info.can_thread:
            opened = await self._open(question, place)
        self._opened[question.message] = opened
        return opened

    async def _open(self, question: MessageRef, place: Place) -> str:
        name = self._names.pop(question.message, "")
        body = {"name": _cut(name) or "Question", "auto_archive_duration": _DAY_MINUTES}
        try:
            await self._rest.call(
                "POST",
                "/channels/{channel_id}/messages/{message_id}/threads",
                channel_id=question.channel,
                message_id=question.message,
                body=body,
            )
        except PlatformRefused as error:
            if error.code != str(THREAD_EXISTS):
                logger.info("a thread could not be opened: %s", error)
                return question.channel
        except (NotPermitted, MessageGone) as error:
            logger.info("a thread could not be opened: %s", error)
            return question.channel
        self._channels.add_thread(question.message, question.channel, place.workspace)
        return question.message

    async def direct_channel(self, user: str) -> str:
        found = await self._rest.call("POST", "/users/@me/channels", body={"recipient_id": user})
        return id_of(found)

    async def _latest(self, channel: str) -> list[Any]:
        try:
            found = await self._rest.call(
                "GET", MESSAGES, channel_id=channel, query={"limit": _NUM_LATEST}
            )
        except (MessageGone, PlatformRefused, NotPermitted):
            return []
        return [each for each in found if isinstance(each, dict)] if found else []

    def _nonce(self, label: Label) -> Json:
        """For some minutes Discord answers a post whose nonce it knows with the first post."""
        count = self._num_posts.get(f"{label.turn_id}:{label.part}", 0)
        nonce = f"{label.turn_id}:{label.part}" + (f":{count}" if count else "")
        if len(nonce) > _MAX_NONCE or label.is_notice:
            return {}
        return {"nonce": nonce, "enforce_nonce": True}

    def _count(self, label: Label) -> None:
        """A part that is posted again on purpose gets a nonce of its own."""
        key = f"{label.turn_id}:{label.part}"
        self._num_posts[key] = self._num_posts.get(key, 0) + 1


def _label_in_nonce(message: Json) -> Label | None:
    turn_id, _, rest = str(message.get("nonce") or "").partition(":")
    part = rest.partition(":")[0]
    return Label(turn_id, int(part)) if turn_id and part.isdigit() else None


def _cut(name: str) -> str:
    """Cut to what a thread's name may hold: between words, where that leaves half of it.

    Discord may count a character outside the basic plane as two.
    """
    head = name.encode("utf-16-le")[: 2 * _MAX_NAME].decode("utf-16-le", "ignore")
    if head == name:
        return name
    words = head.rpartition(" ")[0].rstrip(",.;:")
    if len(words) > len(head) // 2:
        return f"{words}…"
    ends = range(len(head), 0, -1)
    end = next((end for end in ends if is_between_graphemes(name, end)), len(head))
    return f"{name[:end].rstrip()}…"

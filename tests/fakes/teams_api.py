"""What the conversations API of Teams does with a call, and what it must never get.

``violations`` are calls that a correct bot does not make; a test fails at its end if there are
any. Time is the clock's.
"""

from __future__ import annotations

import itertools
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Any

from bot.ports import Clock
from tests.fakes.teams_activities import PERSONAL
from tests.fakes.teams_entities import wrong_entities

Json = dict[str, Any]
Answer = tuple[int, Json]

RATES = ((7, 1.0), (8, 2.0), (60, 30.0), (1800, 3600.0))
MAX_BYTES = 80 * 1024
MAX_STREAM_SECONDS = 120.0
STREAM_INTERVAL = 1.0
_FIELDS = {"type", "text", "textFormat", "attachments", "entities", "channelData"}
_STREAM_FIELDS = {
    "informative": {"type", "streamType", "streamSequence", "streamId"},
    "streaming": {"type", "streamType", "streamSequence", "streamId"},
    "final": {"type", "streamType", "streamId"},
}
_FINISHED = "Content stream is not allowed on an already completed streamed message."
_EXCEEDED = "Content stream finished due to exceeded streaming time."
CANCELLED = "Content stream was canceled by user."


def refused(status: int, code: str, message: str = "") -> Answer:
    return status, {"error": {"code": code, "message": message}}


@dataclass
class Stream:
    conversation: str
    opened_at: float
    called_at: float
    sequence: int = 1
    text: str = ""
    refusal: str = ""
    is_orphan: bool = False


@dataclass
class Message:
    conversation: str
    body: Json

    @property
    def text(self) -> str:
        return str(self.body["text"])


@dataclass
class FakeTeamsApi:
    """``shown``: (time, message id, text) of whatever a person saw. ``personal``: one-on-one.

    ``filter``: words that a policy blocks, and with which status and code.
    """

    clock: Clock
    violations: list[str] = field(default_factory=list)
    messages: dict[str, Message] = field(default_factory=dict)
    streams: dict[str, Stream] = field(default_factory=dict)
    shown: list[tuple[float, str, str]] = field(default_factory=list)
    lines: list[tuple[float, str]] = field(default_factory=list)
    personal: set[str] = field(default_factory=lambda: {PERSONAL})
    removed_from: set[str] = field(default_factory=set)
    filter: dict[str, tuple[int, str]] = field(default_factory=dict)
    takes_streams: bool = True
    num_rate_limited: int = 0
    num_calls: int = 0
    _calls: defaultdict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def text(self, message_id: str) -> str | None:
        message = self.messages.get(message_id)
        return None if message is None else message.text

    def texts(self, conversation: str) -> list[str]:
        """What stands in a conversation (with its threads), oldest first."""
        here = self.messages.values()
        return [each.text for each in here if each.conversation.startswith(conversation)]

    def most_calls(self, seconds: float) -> int:
        """The most that were made in any conversation within this time."""
        return max(
            sum(since <= at < since + seconds for at in calls)
            for calls in self._calls.values()
            for since in calls
        )

    def cancel(self) -> None:
        """The person presses Teams' own Stop."""
        for stream in self.streams.values():
            stream.refusal = stream.refusal or CANCELLED

    def orphan(self) -> None:
        """The bot was killed: nobody knows any more which streams it had."""
        for stream in self.streams.values():
            stream.is_orphan = True

    def call(self, method: str, conversation: str, message_id: str, body: Json) -> Answer:
        self.num_calls += 1
        base = conversation.partition(";")[0]
        if base in self.removed_from:
            return refused(403, "BotNotInConversationRoster", "The bot is no member.")
        if not self._charge(base):
            self.num_rate_limited += 1
            return refused(429, "TooManyRequests")
        for word, (status, code) in self.filter.items():
            if word in str(body.get("text", "")):
                return refused(status, code)
        match method:
            case "POST":
                return self._post(conversation, body)
            case "PUT":
                return self._put(message_id, body)
        return self._delete(message_id)

    def _charge(self, base: str) -> bool:
        now, calls = self.clock.monotonic(), self._calls[base]
        for max_calls, seconds in RATES:
            if sum(at > now - seconds for at in calls) >= max_calls:
                self.violations.append(f"more than {max_calls} calls in {seconds:g} s in {base}")
                return False
        calls.append(now)
        return True

    def _post(self, conversation: str, body: Json) -> Answer:
        self._check_fields(body)
        info = _stream_info(body)
        if info is not None:
            return self._stream(conversation, body, info)
        if body["type"] == "typing":
            return 202, {}
        if refusal := self._check_text(body):
            return refusal
        message_id = f"17100001{next(self._ids):05}"
        self._show(message_id, conversation, body)
        return 201, {"id": message_id}

    def _put(self, message_id: str, body: Json) -> Answer:
        self._check_fields(body)
        stream = self.streams.get(message_id)
        if stream is not None and not self._refusal(stream):
            if not stream.is_orphan:
                self.violations.append("an edit of a stream that still runs")
            return refused(403, "ContentStreamNotAllowed", "The message is being streamed.")
        if message_id not in self.messages:
            return refused(404, "ActivityNotFoundInConversation")
        if refusal := self._check_text(body):
            return refusal
        self._show(message_id, self.messages[message_id].conversation, body)
        return 200, {"id": message_id}

    def _delete(self, message_id: str) -> Answer:
        if self.messages.pop(message_id, None) is None:
            return refused(404, "ActivityNotFoundInConversation")
        return 200, {}

    def _stream(self, conversation: str, body: Json, info: Json) -> Answer:
        kind = str(info.get("streamType"))
        if set(info) - _STREAM_FIELDS.get(kind, set()):
            self.violations.append(f"unknown fields in {info}")
        if conversation not in self.personal:
            return refused(405, "MethodNotAllowed", "Streaming is for one-on-one chats.")
        if not self.takes_streams:
            return refused(403, "ContentStreamNotAllowed", "Content stream is not allowed.")
        if kind == "final":
            return self._end_stream(body, info)
        if "streamId" not in info:
            return self._open_stream(conversation, body, info)
        return self._grow_stream(body, info)

    def _open_stream(self, conversation: str, body: Json, info: Json) -> Answer:
        running = [s for s in self.streams.values() if s.conversation == conversation]
        if any(not (self._refusal(stream) or stream.is_orphan) for stream in running):
            self.violations.append("a second stream while the first still runs")
        if info.get("streamSequence") != 1:
            self.violations.append("a stream that does not begin with 1")
        stream_id, now = f"stream-{next(self._ids)}", self.clock.monotonic()
        self.streams[stream_id] = Stream(conversation, now, now)
        self._grow_text(stream_id, body, info)
        return 201, {"id": stream_id}

    def _grow_stream(self, body: Json, info: Json) -> Answer:
        stream = self.streams.get(str(info["streamId"]))
        if stream is None:
            return refused(404, "ActivityNotFoundInConversation")
        if refusal := self._refusal(stream):
            return refused(403, "ContentStreamNotAllowed", refusal)
        sequence = info.get("streamSequence")
        if not isinstance(sequence, int) or sequence <= stream.sequence:
            self.violations.append(f"sequence {sequence} after {stream.sequence}")
            return refused(400, "ContentStreamSequenceOrderPreConditionFailed")
        self._check_pace(stream)
        stream.sequence = sequence
        self._grow_text(str(info["streamId"]), body, info)
        return 202, {}

    def _grow_text(self, stream_id: str, body: Json, info: Json) -> None:
        stream, text = self.streams[stream_id], str(body["text"])
        if not text.strip():
            self.violations.append("a stream without text")
        if info["streamType"] == "informative":
            if stream.text:
                self.violations.append("an informative line after the text")
            self.lines.append((self.clock.monotonic(), text))
            return
        if not text.startswith(stream.text):
            self.violations.append(f"{text!r} does not begin with {stream.text!r}")
        stream.text = text
        self._show(stream_id, stream.conversation, {**body, "type": "message"})

    def _end_stream(self, body: Json, info: Json) -> Answer:
        stream = self.streams.get(str(info.get("streamId")))
        if stream is None:
            return refused(404, "ActivityNotFoundInConversation")
        if refusal := self._refusal(stream):
            return refused(403, "ContentStreamNotAllowed", refusal)
        if not str(body["text"]).startswith(stream.text):
            self.violations.append("an end that does not begin with what was streamed")
        self._check_pace(stream)
        stream.refusal = _FINISHED
        self._show(str(info["streamId"]), stream.conversation, body)
        return 201, {"id": info["streamId"]}

    def _refusal(self, stream: Stream) -> str:
        if stream.refusal:
            return stream.refusal
        is_old = self.clock.monotonic() - stream.opened_at > MAX_STREAM_SECONDS
        return _EXCEEDED if is_old else ""

    def _check_pace(self, stream: Stream) -> None:
        now = self.clock.monotonic()
        if now - stream.called_at < STREAM_INTERVAL:
            self.violations.append("two requests of a stream within a second")
        stream.called_at = now

    def _check_fields(self, body: Json) -> None:
        if unknown := set(body) - _FIELDS:
            self.violations.append(f"unknown fields {sorted(unknown)}")
        self.violations += wrong_entities(body)

    def _check_text(self, body: Json) -> Answer | None:
        if not str(body.get("text", "")).strip():
            return refused(400, "BadSyntax", "Activity must include text.")
        if len(str(body).encode()) > MAX_BYTES:
            return refused(413, "MessageSizeTooBig")
        return None

    def _show(self, message_id: str, conversation: str, body: Json) -> None:
        self.messages[message_id] = Message(conversation, body)
        self.shown.append((self.clock.monotonic(), message_id, str(body["text"])))


def _stream_info(body: Json) -> Json | None:
    entities = body.get("entities") or ()
    return next((each for each in entities if each.get("type") == "streaminfo"), None)

"""A delivery of Slack's Events API -> what Parley takes, or None. Pure and total.

One mention arrives twice, as ``app_mention`` and as ``message``: both become a question with
the same ``message_id`` (the ``ts``) and their own ``event_id``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from adapters.slack.text import PlainText, read_text
from bot.types import (
    Attachment,
    Incoming,
    Person,
    Place,
    Question,
    QuestionDeleted,
    QuestionEdited,
    StopRequest,
)

Payload = Mapping[str, Any]

EVENTS: Mapping[str, frozenset[str]] = {
    "app_mention": frozenset({"app_mentions:read"}),
    "message.channels": frozenset({"channels:history"}),
    "message.groups": frozenset({"groups:history"}),
    "message.im": frozenset({"im:history"}),
    "message.mpim": frozenset({"mpim:history"}),
    "reaction_added": frozenset({"reactions:read"}),
}
"""What the app subscribes to, and what it must be granted for it."""

_QUESTION_SUBTYPES = frozenset({"", "file_share", "me_message", "thread_broadcast"})
_TIMESTAMP = re.compile(r"[0-9]{1,11}\.[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the bot is, as ``auth.test`` told."""

    team_id: str
    user_id: str


def read_event(payload: Payload, me: Identity, names: Mapping[str, str]) -> Incoming | None:
    """``names``: user id -> name, as far as they are known."""
    event = _table(payload, "event")
    reader = _Reader(_text(payload, "event_id"), me, names)
    if not reader.event_id:
        return None
    match _text(event, "type"), _text(event, "subtype"):
        case "app_mention", _:
            return reader.question(event)
        case "message", "message_changed":
            return reader.edited(event)
        case "message", "message_deleted":
            return reader.deleted(event)
        case "message", subtype if subtype in _QUESTION_SUBTYPES:
            return reader.question(event)
        case "reaction_added", _:
            return reader.reaction(event)
    return None


@dataclass(frozen=True, slots=True)
class _Reader:
    event_id: str
    me: Identity
    names: Mapping[str, str]

    def question(self, event: Payload) -> Question | None:
        channel, ts = _text(event, "channel"), _text(event, "ts")
        if not (channel and _is_timestamp(ts) and self._is_from_a_person(event)):
            return None
        said = read_text(_text(event, "text"), self.me.user_id, self.names)
        is_mention = said.mentions_bot or event["type"] == "app_mention"
        is_direct = _is_direct(event)
        if not (is_mention or is_direct or _is_in_thread(event)):
            return None
        place = self._place(channel, event)
        return Question(
            event_id=self.event_id,
            place=place,
            person=self._person(place, _text(event, "user")),
            text=said.text,
            message_id=ts,
            sent_at=datetime.fromtimestamp(float(ts), UTC),
            is_direct=is_direct,
            is_mention=is_mention,
            mentions_others=said.mentions_others,
            attachments=_attachments(event),
        )

    def edited(self, event: Payload) -> QuestionEdited | QuestionDeleted | None:
        """Unfurled links fire this with the text as it was: None."""
        now, before = _table(event, "message"), _table(event, "previous_message")
        channel, ts = _text(event, "channel"), _text(now, "ts")
        if not (channel and _is_timestamp(ts) and self._is_from_a_person(now, before)):
            return None
        if _text(now, "subtype") == "tombstone":  # a deleted root that has replies
            return self._gone(channel, ts, before)
        if _text(now, "text") == _text(before, "text"):
            return None
        place = self._place(channel, now)
        return QuestionEdited(
            event_id=self.event_id,
            place=place,
            person=self._person(place, _text(now, "user")),
            message_id=ts,
            text=self._plain(now).text,
        )

    def deleted(self, event: Payload) -> QuestionDeleted | None:
        channel, ts = _text(event, "channel"), _text(event, "deleted_ts")
        before = _table(event, "previous_message")
        if not (channel and _is_timestamp(ts)) or self._is_from_a_bot(before):
            return None
        return self._gone(channel, ts, before)

    def reaction(self, event: Payload) -> StopRequest | None:
        """Slack does not say in which thread the item is: ``place.thread`` is empty."""
        item, user = _table(event, "item"), _text(event, "user")
        channel, ts = _text(item, "channel"), _text(item, "ts")
        name = _text(event, "reaction").partition("::")[0]  # the rest is a skin tone
        if not (channel and ts and name and user) or user == self.me.user_id:
            return None
        place = Place("slack", self.me.team_id, channel, "")
        return StopRequest(
            event_id=self.event_id,
            place=place,
            person=self._person(place, user),
            message_id=ts,
            reaction=name,
        )

    def _gone(self, channel: str, ts: str, before: Payload) -> QuestionDeleted:
        place = self._place(channel, {"ts": ts, **before})
        person = self._person(place, _text(before, "user"))
        return QuestionDeleted(event_id=self.event_id, place=place, person=person, message_id=ts)

    def _place(self, channel: str, message: Payload) -> Place:
        """Direct messages are answered flat, unless the message itself is in a thread."""
        root = "" if channel.startswith("D") else _text(message, "ts")
        return Place("slack", self.me.team_id, channel, _text(message, "thread_ts") or root)

    def _person(self, place: Place, user: str) -> Person:
        return Person.at(place, user, self.names.get(user, ""))

    def _plain(self, message: Payload) -> PlainText:
        return read_text(_text(message, "text"), self.me.user_id, self.names)

    def _is_from_a_bot(self, message: Payload) -> bool:
        own = (self.me.user_id, "USLACKBOT")
        return bool(message.get("bot_id")) or _text(message, "user") in own

    def _is_from_a_person(self, *versions: Payload) -> bool:
        has_user = any(_text(message, "user") for message in versions)
        return has_user and not any(map(self._is_from_a_bot, versions))


def _is_direct(event: Payload) -> bool:
    return _text(event, "channel_type") == "im" or _text(event, "channel").startswith("D")


def _is_in_thread(event: Payload) -> bool:
    return _text(event, "thread_ts") not in ("", _text(event, "ts"))


def _attachments(event: Payload) -> tuple[Attachment, ...]:
    files = event.get("files")
    found = [_attachment(file) for file in files] if isinstance(files, list) else []
    return tuple(file for file in found if file is not None)


def _attachment(file: object) -> Attachment | None:
    if not isinstance(file, Mapping) or not (url := _text(file, "url_private")):
        return None
    size = file.get("size")
    return Attachment(
        name=_text(file, "name") or "file",
        media_type=_text(file, "mimetype") or "application/octet-stream",
        size=size if isinstance(size, int) and size > 0 else 0,
        url=url,
    )


def _is_timestamp(text: str) -> bool:
    return _TIMESTAMP.fullmatch(text) is not None


def _text(table: Payload, key: str) -> str:
    value = table.get(key)
    return value if isinstance(value, str) else ""


def _table(table: Payload, key: str) -> Payload:
    value = table.get(key)
    return value if isinstance(value, Mapping) else {}

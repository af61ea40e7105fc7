"""A delivery of Slack's Events API -> an ``Incoming``, or None. Pure and total.

One mention arrives twice, as ``app_mention`` and as ``message``: both become a question with
the same ``message_id`` (the ``ts``) and their own ``event_id``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from adapters.slack.reading.content import called, files_of, own_words, read_message
from adapters.slack.reading.earlier import SAID
from adapters.slack.reading.text import SlackIdentity, is_timestamp
from adapters.slack.receivers.deliveries import event_id_of
from bot.adapter_support.payloads import Payload, table_of, text_of
from bot.ports import nowhere
from bot.types import (
    Command,
    Feedback,
    Incoming,
    Person,
    Place,
    Question,
    QuestionDeleted,
    QuestionEdited,
    StopRequest,
)

EVENTS: Mapping[str, frozenset[str]] = {
    "agent_session_stopped": frozenset({"chat:write"}),
    "app_home_opened": frozenset(),
    "app_mention": frozenset({"app_mentions:read"}),
    "message.channels": frozenset({"channels:history"}),
    "message.groups": frozenset({"groups:history"}),
    "message.im": frozenset({"im:history"}),
    "message.mpim": frozenset({"mpim:history"}),
    "reaction_added": frozenset({"reactions:read"}),
    "reaction_removed": frozenset({"reactions:read"}),
}
"""Every event that the app subscribes to, and the scopes that it needs for it."""

_PANEL_ROOT = "assistant_app_thread"
"""The message that stands for a thread of the assistant panel: its words are the title."""


def read_event(
    payload: Payload,
    me: SlackIdentity,
    names: Mapping[str, str],
    listens: Callable[[Place], bool] = nowhere,
) -> Incoming | None:
    """``names``: user id -> name, as far as they are known.

    ``listens``: whether what begins a thread in this channel needs no mention.
    """
    event = table_of(payload, "event")
    reader = _Reader(event_id_of(payload), me, names, listens)
    if not reader.event_id:
        return None
    match text_of(event, "type"), text_of(event, "subtype"):
        case "app_mention", _:
            return reader.question(event)
        case "message", "message_changed":
            return reader.edited(event)
        case "message", "message_deleted":
            return reader.deleted(event)
        case "message", subtype if subtype in SAID:
            return reader.question(event)
        case "reaction_added", _:
            return reader.reaction(event)
        case "reaction_removed", _:
            return reader.reaction_taken(event)
        case "agent_session_stopped", _:
            return reader.stopped(event)
    return None


def is_asking(incoming: Incoming) -> bool:
    edited = incoming.becomes if isinstance(incoming, QuestionEdited) else incoming
    return isinstance(edited, Question)


def message_of(delivery: Payload) -> Payload:
    event = table_of(delivery, "event")
    return table_of(event, "message") or event


@dataclass(frozen=True, slots=True)
class _Reader:
    event_id: str
    me: SlackIdentity
    names: Mapping[str, str]
    listens: Callable[[Place], bool]

    def question(self, event: Payload) -> Question | None:
        """What a bot says (a workflow's step, too) is one where it mentions Parley."""
        channel, ts = text_of(event, "channel"), text_of(event, "ts")
        if not (channel and is_timestamp(ts)) or self._is_own(event):
            return None
        said = read_message(event, self.me, self.names)
        is_mention = said.mentions_bot or self._is_mention_unseen(event)
        is_direct = text_of(event, "channel_type") == "im" or channel.startswith("D")
        place = self._place(channel, event)
        begins_thread = not (is_direct or _is_in_thread(event))
        person = self._sender(place, event)
        if begins_thread and not (is_mention or self.listens(place)):
            return None
        if person is None or (person.is_bot and not is_mention):
            return None
        return Question(
            event_id=self.event_id,
            place=place,
            person=person,
            text=said.text,
            message_id=ts,
            sent_at=datetime.fromtimestamp(float(ts), UTC),
            is_direct=is_direct,
            is_mention=is_mention,
            mentions_others=said.mentions_others,
            begins_thread=begins_thread,
            attachments=files_of(event),
        )

    def edited(self, event: Payload) -> QuestionEdited | QuestionDeleted | None:
        """None if the words are the same: an unfurled link causes such an event."""
        now, before = table_of(event, "message"), table_of(event, "previous_message")
        channel, ts = text_of(event, "channel"), text_of(now, "ts")
        if not (channel and is_timestamp(ts)):
            return None
        if text_of(now, "subtype") == "tombstone":  # a deleted root that has replies
            return self._gone(channel, ts, before)  # and is Slack's own bot's by now
        if not self._is_from_a_person(now, before):
            return None
        if own_words(now) == own_words(before) or text_of(now, "subtype") == _PANEL_ROOT:
            return None
        place = self._place(channel, now)
        return QuestionEdited(
            event_id=self.event_id,
            place=place,
            person=self._person(place, text_of(now, "user")),
            message_id=ts,
            text=read_message(now, self.me, self.names).text,
            becomes=self._becomes(event, now),
        )

    def _becomes(self, event: Payload, now: Payload) -> Question | None:
        if text_of(now, "subtype") not in SAID:
            return None
        where = {key: event.get(key) for key in ("channel", "channel_type")}
        return self.question({**now, **where, "type": "message"})

    def deleted(self, event: Payload) -> QuestionDeleted | None:
        channel, ts = text_of(event, "channel"), text_of(event, "deleted_ts")
        if not (channel and is_timestamp(ts)):
            return None
        return self._gone(channel, ts, table_of(event, "previous_message"))

    def reaction(self, event: Payload) -> StopRequest | None:
        found = self._reacted(event)
        return StopRequest(**found) if found else None

    def reaction_taken(self, event: Payload) -> Feedback | None:
        found = self._reacted(event)
        return Feedback(**found, rating=0) if found else None

    def _reacted(self, event: Payload) -> dict[str, Any] | None:
        """Slack does not say in which thread the item is: ``place.thread`` is empty."""
        item, user = table_of(event, "item"), text_of(event, "user")
        channel, ts = text_of(item, "channel"), text_of(item, "ts")
        name = text_of(event, "reaction").partition("::")[0]  # the rest is a skin tone
        if not (channel and ts and name and user) or user == self.me.user_id:
            return None
        place = Place("slack", self.me.team_id, channel, "")
        return {
            "event_id": self.event_id,
            "place": place,
            "person": self._person(place, user),
            "message_id": ts,
            "reaction": name,
        }

    def stopped(self, event: Payload) -> StopRequest | Command | None:
        """Slack's own Stop. Where nothing streamed it says no more than the thread."""
        channel, user = text_of(event, "channel"), text_of(event, "user")
        thread, streams = text_of(event, "thread_ts"), event.get("streaming_message_ts")
        if not (channel and user and thread) or user == self.me.user_id:
            return None
        place = Place("slack", self.me.team_id, channel, thread)
        person = self._person(place, user)
        stamps = streams if isinstance(streams, list) else []
        stopped = [ts for ts in stamps if isinstance(ts, str) and is_timestamp(ts)]
        if not stopped:
            return Command(event_id=self.event_id, place=place, person=person, name="stop")
        return StopRequest(
            event_id=self.event_id, place=place, person=person, message_id=max(stopped)
        )

    def _gone(self, channel: str, ts: str, before: Payload) -> QuestionDeleted | None:
        """None for what was no question, as far as one can tell."""
        if self._is_own(before):
            return None
        if before.get("bot_id") and not read_message(before, self.me, self.names).mentions_bot:
            return None
        place = self._place(channel, {"ts": ts, **before})
        person = self._person(place, text_of(before, "user"))
        return QuestionDeleted(event_id=self.event_id, place=place, person=person, message_id=ts)

    def _place(self, channel: str, message: Payload) -> Place:
        """Direct messages are answered flat, unless the message itself is in a thread."""
        root = "" if channel.startswith("D") else text_of(message, "ts")
        return Place("slack", self.me.team_id, channel, text_of(message, "thread_ts") or root)

    def _person(self, place: Place, user: str) -> Person:
        return Person.at(place, user, self.names.get(user, ""))

    def _sender(self, place: Place, message: Payload) -> Person | None:
        if bot := text_of(message, "bot_id"):
            return Person.at(place, bot, called(message), is_bot=True)
        user = text_of(message, "user")
        return self._person(place, user) if user else None

    def _is_mention_unseen(self, event: Payload) -> bool:
        """Slack says that Parley is mentioned, and it is not in what can be read, code or not."""
        is_named = f"<@{self.me.user_id}" in own_words(event)
        return text_of(event, "type") == "app_mention" and not is_named

    def _is_own(self, message: Payload) -> bool:
        """Parley's, or Slack's."""
        is_own_bot = bool(self.me.bot_id) and text_of(message, "bot_id") == self.me.bot_id
        return is_own_bot or text_of(message, "user") in (self.me.user_id, "USLACKBOT")

    def _is_from_a_bot(self, message: Payload) -> bool:
        return bool(message.get("bot_id")) or self._is_own(message)

    def _is_from_a_person(self, *versions: Payload) -> bool:
        has_user = any(text_of(message, "user") for message in versions)
        return has_user and not any(map(self._is_from_a_bot, versions))


def _is_in_thread(event: Payload) -> bool:
    return text_of(event, "thread_ts") not in ("", text_of(event, "ts"))

"""An activity of Teams -> the ``Incoming`` that it holds. Pure and total.

One delivery may hold several reactions.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from adapters.teams.activities.cards import Press, pressed
from adapters.teams.conversations import Conversation, read_conversation
from adapters.teams.reading.attachments import read_files
from adapters.teams.reading.text import read_text
from bot.adapter_support.payloads import Payload, table_of, tables_of, text_of
from bot.types import (
    Attachment,
    Command,
    Feedback,
    Incoming,
    Person,
    Question,
    QuestionDeleted,
    QuestionEdited,
    StopRequest,
)

_RATINGS = {"like": 1, "dislike": -1}


def read_activity(activity: Payload) -> tuple[Incoming, ...]:
    """Empty for activities of other bots and of Parley itself."""
    conversation = read_conversation(activity)
    if conversation is None or not text_of(activity, "id"):
        return ()
    reader = _Reader(activity, conversation)
    match text_of(activity, "type"):
        case "installationUpdate" | "conversationUpdate":
            return reader.installed()
        case _ if not reader.is_from_a_person:
            return ()
        case "message":
            return reader.message()
        case "messageUpdate":
            return reader.edited()
        case "messageDelete":
            return reader.deleted()
        case "messageReaction":
            return reader.reactions()
        case "invoke":
            return reader.invoke()
    return ()


@dataclass(frozen=True, slots=True)
class _Reader:
    activity: Payload
    conversation: Conversation

    @property
    def is_from_a_person(self) -> bool:
        sender = table_of(self.activity, "from")
        user = text_of(sender, "id")
        is_bot = user.startswith("28:") or sender.get("role") in ("bot", "skill")
        return bool(user) and not is_bot and user != self._bot_id

    @property
    def _bot_id(self) -> str:
        return text_of(table_of(self.activity, "recipient"), "id")

    @property
    def _person(self) -> Person:
        """Known by Entra's object id, which every activity carries and an admin can look up."""
        sender = table_of(self.activity, "from")
        user = text_of(sender, "aadObjectId") or text_of(sender, "id")
        return Person.at(self.conversation.place, user, " ".join(text_of(sender, "name").split()))

    @property
    def _message_id(self) -> str:
        return text_of(self.activity, "id")

    def _event(self, *parts: str) -> dict[str, Any]:
        """An edit carries the id of its message, so the event id includes the time."""
        kind, at = text_of(self.activity, "type"), text_of(self.activity, "timestamp")
        event_id = "/".join((kind, self.conversation.id, self._message_id, at, *parts))
        return {"event_id": event_id, "place": self.conversation.place, "person": self._person}

    def message(self) -> tuple[Incoming, ...]:
        """A press of one of our buttons comes as a message without text."""
        if press := pressed(self.activity.get("value")):
            return self._pressed(press)
        return (self._written(),)

    def _written(self) -> Question:
        said = read_text(self.activity, self._bot_id)
        return self._question(
            said.text,
            is_mention=said.mentions_bot,
            mentions_others=said.mentions_others,
            attachments=read_files(self.activity),
        )

    def _pressed(self, press: Press) -> tuple[Incoming, ...]:
        if press.is_stop:
            message_id = text_of(self.activity, "replyToId")
            return (StopRequest(**self._event(), message_id=message_id),) if message_id else ()
        if press.continues:
            return (Command(**self._event(), name="continue", argument=press.continues),)
        return (self._question(press.says, is_mention=True),)

    def _question(
        self,
        text: str,
        *,
        is_mention: bool,
        mentions_others: bool = False,
        attachments: tuple[Attachment, ...] = (),
    ) -> Question:
        return Question(
            **self._event(),
            text=text,
            message_id=self._message_id,
            sent_at=_time(text_of(self.activity, "timestamp")),
            is_direct=self.conversation.is_personal,
            is_mention=is_mention,
            mentions_others=mentions_others,
            attachments=attachments,
        )

    def edited(self) -> tuple[Incoming, ...]:
        """An undeleted message counts as edited: it may be asked again."""
        now = self._written()
        edited = QuestionEdited(
            **self._event(), message_id=self._message_id, text=now.text, becomes=now
        )
        return (edited,)

    def deleted(self) -> tuple[Incoming, ...]:
        return (QuestionDeleted(**self._event(), message_id=self._message_id),)

    def reactions(self) -> tuple[Incoming, ...]:
        """Teams delivers reactions to the bot's own messages only."""
        message_id = text_of(self.activity, "replyToId")
        names = [text_of(each, "type") for each in tables_of(self.activity, "reactionsAdded")]
        return tuple(
            StopRequest(**self._event(name), message_id=message_id, reaction=name)
            for name in names
            if name and message_id
        )

    def invoke(self) -> tuple[Incoming, ...]:
        value = table_of(self.activity, "value")
        match text_of(self.activity, "name"):
            case "message/submitAction":
                return self._feedback(value)
            case "adaptiveCard/action":
                press = pressed(table_of(value, "action").get("data"))
                return self._pressed(press) if press else ()
        return ()

    def _feedback(self, value: Payload) -> tuple[Incoming, ...]:
        rating = _RATINGS.get(text_of(table_of(value, "actionValue"), "reaction"))
        message_id = text_of(self.activity, "replyToId")
        if value.get("actionName") != "feedback" or rating is None or not message_id:
            return ()
        return (Feedback(**self._event(), message_id=message_id, rating=rating),)

    def installed(self) -> tuple[Incoming, ...]:
        """Both kinds of activity come for one install, and may be repeated: they are one event."""
        if not self._is_added:
            return ()
        event = self._event() | {"event_id": f"greet/{self.conversation.id}"}
        return (Command(**event, name="greet"),)

    @property
    def _is_added(self) -> bool:
        if text_of(self.activity, "type") == "installationUpdate":
            return text_of(self.activity, "action") in ("add", "add-upgrade")
        members = tables_of(self.activity, "membersAdded")
        return any(text_of(each, "id") == self._bot_id for each in members)


def _time(text: str) -> datetime:
    """Teams writes seven digits after the point, more than Python reads."""
    try:
        at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)

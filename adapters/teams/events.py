"""An activity of Teams -> what Parley takes. Pure and total.

One delivery may hold several reactions, so several incoming values may come of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from adapters.teams.cards import pressed
from adapters.teams.conversations import Conversation, read_conversation
from adapters.teams.text import read_text
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

Activity = Mapping[str, Any]

_DOWNLOAD = "application/vnd.microsoft.teams.file.download.info"
_MEDIA_TYPES = {"pdf": "application/pdf", "txt": "text/plain", "md": "text/markdown"}
_RATINGS = {"like": 1, "dislike": -1}


def read_activity(activity: Activity) -> tuple[Incoming, ...]:
    """Nothing of what other bots and Parley itself do."""
    conversation = read_conversation(activity)
    if conversation is None or not _text(activity, "id"):
        return ()
    reader = _Reader(activity, conversation)
    match _text(activity, "type"):
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
    activity: Activity
    conversation: Conversation

    @property
    def is_from_a_person(self) -> bool:
        sender = _table(self.activity, "from")
        user = _text(sender, "id")
        is_bot = user.startswith("28:") or sender.get("role") in ("bot", "skill")
        return bool(user) and not is_bot and user != self._bot_id

    @property
    def _bot_id(self) -> str:
        return _text(_table(self.activity, "recipient"), "id")

    @property
    def _person(self) -> Person:
        """By the id that Entra knows, which an admin can look up, and every activity carries."""
        sender = _table(self.activity, "from")
        user = _text(sender, "aadObjectId") or _text(sender, "id")
        return Person.at(self.conversation.place, user, " ".join(_text(sender, "name").split()))

    @property
    def _message_id(self) -> str:
        return _text(self.activity, "id")

    def _event(self, *parts: str) -> dict[str, Any]:
        """An edit has the id of its message: only with the time it is one event."""
        kind, at = _text(self.activity, "type"), _text(self.activity, "timestamp")
        event_id = "/".join((kind, self.conversation.id, self._message_id, at, *parts))
        return {"event_id": event_id, "place": self.conversation.place, "person": self._person}

    def message(self) -> tuple[Incoming, ...]:
        """A button of ours comes as a message without text."""
        if press := pressed(self.activity.get("value")):
            return self._pressed(press.says, is_stop=press.is_stop)
        said = read_text(self.activity, self._bot_id)
        return (
            self._question(
                said.text,
                is_mention=said.mentions_bot,
                mentions_others=said.mentions_others,
                attachments=_attachments(self.activity),
            ),
        )

    def _pressed(self, says: str, *, is_stop: bool) -> tuple[Incoming, ...]:
        if is_stop:
            message_id = _text(self.activity, "replyToId")
            return (StopRequest(**self._event(), message_id=message_id),) if message_id else ()
        return (self._question(says, is_mention=True),)

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
            sent_at=_time(_text(self.activity, "timestamp")),
            is_direct=self.conversation.is_personal,
            is_mention=is_mention,
            mentions_others=mentions_others,
            attachments=attachments,
        )

    def edited(self) -> tuple[Incoming, ...]:
        """An undeleted message is as good as edited: what it says may be asked again."""
        said = read_text(self.activity, self._bot_id)
        return (QuestionEdited(**self._event(), message_id=self._message_id, text=said.text),)

    def deleted(self) -> tuple[Incoming, ...]:
        return (QuestionDeleted(**self._event(), message_id=self._message_id),)

    def reactions(self) -> tuple[Incoming, ...]:
        """Teams tells of reactions to the bot's own messages only."""
        message_id = _text(self.activity, "replyToId")
        added = self.activity.get("reactionsAdded")
        names = [
            _text(each, "type")
            for each in (added if isinstance(added, Sequence) else ())
            if isinstance(each, Mapping)
        ]
        return tuple(
            StopRequest(**self._event(name), message_id=message_id, reaction=name)
            for name in names
            if name and message_id
        )

    def invoke(self) -> tuple[Incoming, ...]:
        value = _table(self.activity, "value")
        match _text(self.activity, "name"):
            case "message/submitAction":
                return self._feedback(value)
            case "adaptiveCard/action":
                press = pressed(_table(value, "action").get("data"))
                return self._pressed(press.says, is_stop=press.is_stop) if press else ()
        return ()

    def _feedback(self, value: Activity) -> tuple[Incoming, ...]:
        rating = _RATINGS.get(_text(_table(value, "actionValue"), "reaction"))
        message_id = _text(self.activity, "replyToId")
        if value.get("actionName") != "feedback" or rating is None or not message_id:
            return ()
        return (Feedback(**self._event(), message_id=message_id, rating=rating),)

    def installed(self) -> tuple[Incoming, ...]:
        """Both kinds of activity come for one install, and each may come again: greet once."""
        if not self._is_added:
            return ()
        event = self._event() | {"event_id": f"greet/{self.conversation.id}"}
        return (Command(**event, name="greet"),)

    @property
    def _is_added(self) -> bool:
        if _text(self.activity, "type") == "installationUpdate":
            return _text(self.activity, "action") in ("add", "add-upgrade")
        members = self.activity.get("membersAdded")
        return any(
            isinstance(each, Mapping) and _text(each, "id") == self._bot_id
            for each in (members if isinstance(members, Sequence) else ())
        )


def _attachments(activity: Activity) -> tuple[Attachment, ...]:
    """Files that people sent; every message also brings its own text as ``text/html``."""
    files = activity.get("attachments")
    found = [_attachment(each) for each in (files if isinstance(files, Sequence) else ())]
    return tuple(each for each in found if each is not None)


def _attachment(file: object) -> Attachment | None:
    if not isinstance(file, Mapping):
        return None
    kind, content = _text(file, "contentType"), _table(file, "content")
    if kind == _DOWNLOAD and (url := _text(content, "downloadUrl")):
        suffix = _text(content, "fileType").lower()
        media_type = _MEDIA_TYPES.get(suffix, "application/octet-stream")
        return Attachment(_text(file, "name") or "file", media_type, 0, url)
    if kind.startswith("image/") and (url := _text(file, "contentUrl")):
        return Attachment(_text(file, "name") or "image", kind, 0, url)
    return None


def _time(text: str) -> datetime:
    """Teams writes seven digits after the point, more than Python reads."""
    try:
        at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def _text(table: Activity, key: str) -> str:
    value = table.get(key)
    return value if isinstance(value, str) else ""


def _table(table: Activity, key: str) -> Activity:
    value = table.get(key)
    return value if isinstance(value, Mapping) else {}

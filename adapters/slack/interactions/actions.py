"""A press of one of Parley's buttons -> what the person asks for. Pure and total."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from adapters.slack.interactions.buttons import thread_of, verb_of
from adapters.slack.reading.text import SlackIdentity, is_timestamp
from bot.adapter_support.payloads import Payload, table_of, tables_of, text_of
from bot.types import Command, Feedback, Incoming, Person, Place, Question, StopRequest

_RATINGS = {"up": 1, "down": -1}


@dataclass(frozen=True, slots=True)
class MenuPress:
    """The menu of personalities is to be shown to one person."""

    event_id: str
    place: Place
    person: Person
    page: int = 0


def read_action(
    payload: Payload, me: SlackIdentity, names: Mapping[str, str]
) -> Incoming | MenuPress | None:
    """None for what Parley did not offer. ``names``: user id -> name, as far as they are known."""
    action = next(iter(tables_of(payload, "actions")), {})
    reader = _Press(payload, action, me, names)
    if text_of(payload, "type") != "block_actions" or not reader.is_whole:
        return None
    match verb_of(text_of(action, "action_id")):
        case "stop":
            return StopRequest(**reader.event(), message_id=reader.message_id)
        case "retry" | "continue" as name:
            return Command(**reader.event(), name=name, argument=reader.value)
        case "personality":
            return MenuPress(**reader.event())
        case "page":
            return MenuPress(**reader.event(), page=reader.page)
        case "up" | "down" as verb:
            return Feedback(
                **reader.event(),
                message_id=reader.message_id,
                rating=_RATINGS[verb],
                is_pressed=True,
            )
        case "say" if reader.value.strip() and reader.at:
            return reader.said()
    return None


@dataclass(frozen=True, slots=True)
class _Press:
    payload: Payload
    action: Payload
    me: SlackIdentity
    names: Mapping[str, str]

    @property
    def is_whole(self) -> bool:
        return bool(self.user and self.channel and self.message_id and self.press)

    @property
    def user(self) -> str:
        return text_of(table_of(self.payload, "user"), "id")

    @property
    def channel(self) -> str:
        container = table_of(self.payload, "container")
        return text_of(table_of(self.payload, "channel"), "id") or text_of(container, "channel_id")

    @property
    def message_id(self) -> str:
        """The message that carries the button; Slack leaves out those that only one can see."""
        container = table_of(self.payload, "container")
        ts = text_of(container, "message_ts") or text_of(table_of(self.payload, "message"), "ts")
        return ts if is_timestamp(ts) else ""

    @property
    def at(self) -> str:
        at = text_of(self.action, "action_ts")
        return at if is_timestamp(at) else ""

    @property
    def press(self) -> str:
        """Tells the presses of one button apart."""
        return self.at or text_of(self.payload, "trigger_id")

    @property
    def value(self) -> str:
        """What the button holds, or was chosen from the menu."""
        chosen = text_of(table_of(self.action, "selected_option"), "value")
        return chosen or text_of(self.action, "value")

    @property
    def page(self) -> int:
        return int(self.value) if re.fullmatch(r"[0-9]{1,3}", self.value) else 0

    @property
    def place(self) -> Place:
        thread = thread_of(text_of(self.action, "block_id"))
        if thread is None:
            message, container = (
                table_of(self.payload, "message"),
                table_of(self.payload, "container"),
            )
            root = "" if self.channel.startswith("D") else self.message_id
            thread = text_of(message, "thread_ts") or text_of(container, "thread_ts") or root
        return Place("slack", self.me.team_id, self.channel, thread)

    @property
    def person(self) -> Person:
        name = self.names.get(self.user) or text_of(table_of(self.payload, "user"), "name")
        return Person.at(self.place, self.user, name)

    def event(self) -> dict[str, Any]:
        event_id = f"action {self.channel} {self.message_id} {self.press} {self.user}"
        return {"event_id": event_id, "place": self.place, "person": self.person}

    def said(self) -> Question:
        """As if the person had written it. There is no such message to react to."""
        return Question(
            **self.event(),
            text=self.value,
            message_id=f"{self.at}-{self.message_id}-{self.user}",
            sent_at=datetime.fromtimestamp(float(self.at), UTC),
            is_direct=self.channel.startswith("D"),
            is_mention=True,
        )

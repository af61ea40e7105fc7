"""An interaction -> what a person wants with it. Pure and total."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from adapters.discord.commands import MENU
from adapters.discord.controls import NOT_PRESSED, Pressed, read_custom_id
from adapters.discord.events import Spot, person_of, read_attachments, spot_of_channel
from adapters.discord.ids import (
    DIRECT,
    NAME,
    InteractionRef,
    MessageRef,
    created_at,
    private_thread,
)
from adapters.discord.text import Identity, Payload, items, name_of, read_text, table, tables
from adapters.discord.text import text_of as text
from bot.types import Attachment, Command, Person, Place, Question, StopRequest

_COMMAND, _COMPONENT, _AUTOCOMPLETE, _FORM = 2, 3, 4, 5
_MAY_MODERATE = 1 << 13 | 1 << 3
"""Manage Messages, or Administrator."""


@dataclass(frozen=True, slots=True)
class Invoked:
    """``verb``: ``ask``, ``form``, ``complete``, ``command``, or that of a button.

    ``name``: the command's, the chosen personality's, or what was typed so far of one.
    """

    id: str
    token: str = field(repr=False)
    verb: str
    spot: Spot
    payload: Payload = field(repr=False)
    name: str = ""
    question: str = ""
    personality: str = ""
    is_private: bool = False
    for_channel: bool = False
    pressed: Pressed = NOT_PRESSED
    attachments: tuple[Attachment, ...] = ()

    @property
    def user(self) -> str:
        return text(
            table(table(self.payload, "member"), "user") or table(self.payload, "user"), "id"
        )

    @property
    def ref(self) -> InteractionRef:
        return InteractionRef(self.id, self.user, self.token, self.is_private)

    @property
    def message(self) -> MessageRef:
        """The message that the button is on."""
        return MessageRef(self.spot.channel, text(table(self.payload, "message"), "id"))

    @property
    def place(self) -> Place:
        """A question outside a thread begins one of its own; a button knows its thread."""
        if self.pressed.verb and self.verb != "ask":
            here = self.spot.place()
            return (
                here
                if self.spot.is_direct and not self.pressed.thread
                else replace(here, thread=self.pressed.thread)
            )
        if self.is_private:
            workspace = self.spot.guild or DIRECT
            thread = private_thread(self.user, self.id)
            return Place(NAME, workspace, self.spot.parent or self.spot.channel, thread)
        return self.spot.place(self.id if self.verb == "ask" else "")

    @property
    def person(self) -> Person:
        permissions = text(table(self.payload, "member"), "permissions")
        may = permissions.isdigit() and int(permissions) & _MAY_MODERATE
        return replace(person_of(self.payload, self.place), is_moderator=bool(may))

    def as_question(self) -> Question:
        return Question(
            event_id=self.id,
            place=self.place,
            person=self.person,
            text=self.question,
            message_id=str(self.ref),
            sent_at=created_at(self.id),
            is_direct=self.spot.is_direct,
            is_mention=True,
            awaits_answer=True,
            attachments=self.attachments,
            personality=self.personality or None,
        )

    def as_command(self) -> Command:
        """``personality`` outside a thread can only mean the channel."""
        name, argument = self.name, ""
        if self.verb in ("retry", "choose"):
            name = "retry" if self.verb == "retry" else "personality"
        if name == "personality":
            outside = not (self.spot.is_direct or self.spot.is_thread or self.pressed.verb)
            argument = self.personality + (" channel" if self.for_channel or outside else "")
        return Command(
            event_id=self.id,
            place=self.place,
            person=self.person,
            awaits_answer=self.verb == "command",
            name=name,
            argument=argument,
        )

    def as_stop(self) -> StopRequest:
        return StopRequest(
            event_id=self.id, place=self.place, person=self.person, message_id=str(self.message)
        )


def read_interaction(payload: Payload, me: Identity) -> Invoked | None:
    """None for what is no invocation of ours."""
    interaction, token = text(payload, "id"), text(payload, "token")
    channel = table(payload, "channel") or {"id": text(payload, "channel_id")}
    guild = text(payload, "guild_id")
    spot = spot_of_channel(channel, guild) if guild else Spot("", text(channel, "id"))
    invoked = Invoked(interaction, token, "", spot, payload)
    if not (interaction.isdigit() and token and spot.channel and invoked.user):
        return None
    data = table(payload, "data")
    match payload.get("type"):
        case 2:
            return _command(invoked, data, me)
        case 3:
            return _component(invoked, data)
        case 4:
            return replace(invoked, verb="complete", name=_focused(data))
        case 5:
            return _form(invoked, data)
    return None


def _command(invoked: Invoked, data: Payload, me: Identity) -> Invoked | None:
    match text(data, "name"):
        case "ask":
            return _asked(invoked, _options(data))
        case "parley":
            sub = next(iter(tables(data, "options")), {})
            given = _options(sub)
            return replace(
                invoked,
                verb="command",
                name=text(sub, "name"),
                personality=text(given, "name"),
                for_channel=given.get("channel") is True,
            )
        case name if name == MENU:
            return _about(invoked, data, me)
    return None


def _asked(invoked: Invoked, given: Payload) -> Invoked:
    question = text(given, "question").strip()
    return replace(
        invoked,
        verb="ask" if question else "form",
        question=question,
        personality=text(given, "personality").strip().lower(),
        is_private=given.get("private") is True and not invoked.spot.is_direct,
    )


def _about(invoked: Invoked, data: Payload, me: Identity) -> Invoked:
    messages = table(table(data, "resolved"), "messages")
    message = table(messages, text(data, "target_id"))
    name, said = name_of(table(message, "author")), read_text(message, me).text
    quoted = "\n".join(f"> {line}" for line in said.split("\n"))
    question = f"What is this message by {name or 'somebody'} about?\n\n{quoted}"
    return replace(invoked, verb="ask", question=question, attachments=read_attachments(message))


def _component(invoked: Invoked, data: Payload) -> Invoked | None:
    pressed = read_custom_id(data.get("custom_id"))
    if pressed is None:
        return None
    chosen = next((str(value) for value in items(data, "values")), "")
    return replace(invoked, verb=pressed.verb, pressed=pressed, personality=chosen)


def _form(invoked: Invoked, data: Payload) -> Invoked | None:
    form = read_custom_id(data.get("custom_id"))
    fields = [part for row in tables(data, "components") for part in tables(row, "components")]
    typed = next((text(part, "value") for part in fields), "").strip()
    if form is None or form.verb != "ask" or not typed:
        return None
    return replace(
        invoked,
        verb="ask",
        question=typed,
        personality=form.turn_id,
        is_private=form.thread == "private",
    )


def _options(data: Payload) -> Mapping[str, object]:
    return {text(option, "name"): option.get("value") for option in tables(data, "options")}


def _focused(data: Payload) -> str:
    for option in tables(data, "options"):
        if option.get("focused"):
            return text(option, "value")
        if found := _focused(option):
            return found
    return ""

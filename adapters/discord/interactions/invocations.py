"""An interaction payload -> what the person asks for. Pure and total."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from adapters.discord.api.channels import ChannelInfo, channel_info
from adapters.discord.api.components import NO_CUSTOM_ID, CustomId, parse_custom_id
from adapters.discord.api.ids import (
    DIRECT,
    NAME,
    InteractionRef,
    MessageRef,
    created_at,
    private_thread,
)
from adapters.discord.api.messages import BotUser, name_of, person_of, read_text
from adapters.discord.api.quotes import quoted_message, read_files
from adapters.discord.interactions.commands import MENU
from bot.adapter_support.payloads import Payload, items_of, table_of, tables_of, text_of
from bot.adapter_support.quoting import with_quotes
from bot.types import Attachment, Command, Feedback, Person, Place, Question, StopRequest

_RATINGS = {"up": 1, "down": -1}

_MAY_MODERATE = 1 << 13 | 1 << 3
"""Manage Messages, or Administrator."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """An interaction, parsed. ``verb``: ``ask``, ``form``, ``complete``, ``command`` or a button's.

    ``name``: of the command, or the text typed so far for an autocompletion.
    """

    id: str
    token: str = field(repr=False)
    verb: str
    info: ChannelInfo
    payload: Payload = field(repr=False)
    name: str = ""
    question: str = ""
    personality: str = ""
    is_private: bool = False
    for_channel: bool = False
    is_on: bool | None = None
    custom_id: CustomId = NO_CUSTOM_ID
    attachments: tuple[Attachment, ...] = ()

    @property
    def user(self) -> str:
        return text_of(
            table_of(table_of(self.payload, "member"), "user") or table_of(self.payload, "user"),
            "id",
        )

    @property
    def ref(self) -> InteractionRef:
        return InteractionRef(self.id, self.user, self.token, self.is_private)

    @property
    def message(self) -> MessageRef:
        """The message that carries the button."""
        return MessageRef(self.info.channel, text_of(table_of(self.payload, "message"), "id"))

    @property
    def place(self) -> Place:
        """A question outside a thread starts a thread; a button's custom id names its thread."""
        if self.custom_id.verb and self.verb != "ask":
            return replace(self.info.place(), thread=self.custom_id.thread)
        if self.is_private:
            workspace = self.info.guild or DIRECT
            thread = private_thread(self.user, self.id)
            return Place(NAME, workspace, self.info.parent or self.info.channel, thread)
        return self.info.place(self.id if self.verb == "ask" else "")

    @property
    def person(self) -> Person:
        permissions = text_of(table_of(self.payload, "member"), "permissions")
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
            is_direct=self.info.is_direct,
            is_mention=True,
            awaits_answer=True,
            attachments=self.attachments,
            personality=self.personality or None,
        )

    def as_command(self) -> Command:
        """``personality`` outside a thread applies to the channel."""
        name, argument = self.name, ""
        if self.verb in ("retry", "continue", "choose"):
            name = "personality" if self.verb == "choose" else self.verb
        if self.verb in ("retry", "continue"):
            argument = self.custom_id.turn_id
        if name == "personality":
            outside = not (self.info.is_direct or self.info.is_thread or self.custom_id.verb)
            argument = self.personality + (" channel" if self.for_channel or outside else "")
        if name == "listen" and self.is_on is not None:
            argument = "on" if self.is_on else "off"
        return Command(
            event_id=self.id,
            place=self.place,
            person=self.person,
            awaits_answer=self.verb == "command",
            name=name,
            argument=argument,
            is_direct=self.info.is_direct,
        )

    def as_stop(self) -> StopRequest:
        return StopRequest(
            event_id=self.id, place=self.place, person=self.person, message_id=str(self.message)
        )

    def as_feedback(self) -> Feedback:
        return Feedback(
            event_id=self.id,
            place=self.place,
            person=self.person,
            message_id=str(self.message),
            rating=_RATINGS[self.verb],
            is_pressed=True,
        )


def read_interaction(payload: Payload, me: BotUser) -> Invocation | None:
    """None for an interaction that Parley did not offer."""
    interaction, token = text_of(payload, "id"), text_of(payload, "token")
    channel = table_of(payload, "channel") or {"id": text_of(payload, "channel_id")}
    guild = text_of(payload, "guild_id")
    info = channel_info(channel, guild) if guild else ChannelInfo("", text_of(channel, "id"))
    invocation = Invocation(interaction, token, "", info, payload)
    if not (interaction.isdigit() and token and info.channel and invocation.user):
        return None
    data = table_of(payload, "data")
    match payload.get("type"):
        case 2:  # an application command
            return _command(invocation, data, me)
        case 3:  # a button or menu
            return _component(invocation, data)
        case 4:  # an autocompletion
            return replace(invocation, verb="complete", name=_focused(data))
        case 5:  # a form, sent
            return _form(invocation, data, me)
    return None


def _command(invocation: Invocation, data: Payload, me: BotUser) -> Invocation | None:
    match text_of(data, "name"):
        case "ask":
            return _asked(invocation, _options(data), me)
        case "parley":
            sub = next(iter(tables_of(data, "options")), {})
            given, on = _options(sub), _options(sub).get("on")
            return replace(
                invocation,
                verb="command",
                name=text_of(sub, "name").replace("-", " "),
                personality=text_of(given, "name"),
                for_channel=given.get("channel") is True,
                is_on=on if isinstance(on, bool) else None,
            )
        case name if name == MENU:
            return _about(invocation, data, me)
    return None


def _asked(invocation: Invocation, given: Payload, me: BotUser) -> Invocation:
    question = _typed(text_of(given, "question"), me)
    return replace(
        invocation,
        verb="ask" if question else "form",
        question=question,
        personality=text_of(given, "personality").strip().lower(),
        is_private=given.get("private") is True and not invocation.info.is_direct,
    )


def _about(invocation: Invocation, data: Payload, me: BotUser) -> Invocation:
    messages = table_of(table_of(data, "resolved"), "messages")
    message = table_of(messages, text_of(data, "target_id"))
    name, files = name_of(table_of(message, "author")) or "somebody", read_files(message, me)
    about = quoted_message(f"Message from {name}", message, me)
    asked = f"What is this message by {name} about?" if about or files else ""
    return replace(invocation, verb="ask", question=with_quotes(asked, about), attachments=files)


def _component(invocation: Invocation, data: Payload) -> Invocation | None:
    custom_id = parse_custom_id(data.get("custom_id"))
    if custom_id is None:
        return None
    chosen = next((str(value) for value in items_of(data, "values")), "")
    return replace(invocation, verb=custom_id.verb, custom_id=custom_id, personality=chosen)


def _form(invocation: Invocation, data: Payload, me: BotUser) -> Invocation | None:
    form = parse_custom_id(data.get("custom_id"))
    fields = [
        part for row in tables_of(data, "components") for part in tables_of(row, "components")
    ]
    typed = _typed(next((text_of(part, "value") for part in fields), ""), me)
    if form is None or form.verb != "ask" or not typed:
        return None
    return replace(
        invocation,
        verb="ask",
        question=typed,
        personality=form.turn_id,
        is_private=form.thread == "private",
    )


def _typed(text: str, me: BotUser) -> str:
    """As people see it; Discord does not say whom it mentions."""
    return read_text({"content": text}, me).text


def _options(data: Payload) -> Mapping[str, object]:
    return {text_of(option, "name"): option.get("value") for option in tables_of(data, "options")}


def _focused(data: Payload) -> str:
    for option in tables_of(data, "options"):
        if option.get("focused"):
            return text_of(option, "value")
        if found := _focused(option):
            return found
    return ""

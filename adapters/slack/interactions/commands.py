"""A slash command -> what the person asks for. Pure and total.

Slack refuses slash commands inside threads: one has a channel, and neither a thread nor a ts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from adapters.slack.reading.text import SlackIdentity, plain_text
from bot.adapter_support.payloads import Payload, text_of
from bot.types import Command, Person, Place, UnpostedQuestion

_WORDS = re.compile(
    r"(stop|retry|continue|forget|status|help|catch up)"
    r"|(personality)(?: (\S+(?: channel)?))?"
    r"|(listen)(?: (on|off))?",
)


def read_command(
    payload: Payload, me: SlackIdentity, names: Mapping[str, str]
) -> Command | UnpostedQuestion | None:
    """What is no word of command as a whole is a question. None for what lacks a part."""
    user, channel = text_of(payload, "user_id"), text_of(payload, "channel_id")
    trigger = text_of(payload, "trigger_id")
    if not (user and channel and trigger):
        return None
    place, is_direct = Place("slack", me.team_id, channel, ""), channel.startswith("D")
    person = Person.at(place, user, names.get(user) or text_of(payload, "user_name"))
    event_id = f"command {trigger}"
    said = plain_text(text_of(payload, "text"), me, names)
    if found := _word_in(said or "help"):
        name, argument = found
        if name == "personality" and argument and not is_direct:
            argument = f"{argument.removesuffix(' channel')} channel"
        return Command(
            event_id=event_id,
            place=place,
            person=person,
            awaits_answer=True,
            name=name,
            argument=argument,
            is_direct=is_direct,
            is_private=True,
        )
    return UnpostedQuestion(
        event_id=event_id,
        place=place,
        person=person,
        awaits_answer=True,
        text=re.sub(r"\A\s*ask(?:\s+|\Z)", "", said, flags=re.IGNORECASE),
        is_direct=is_direct,
    )


def _word_in(said: str) -> tuple[str, str] | None:
    found = _WORDS.fullmatch(" ".join(said.split()).rstrip(".!").lower())
    if found is None:
        return None
    plain, personality, who, listen, how = found.groups()
    return plain or personality or listen, who or how or ""

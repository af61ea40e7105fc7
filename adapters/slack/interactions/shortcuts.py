"""The shortcut in a message's menu, and the form that it opens. Pure and total.

The form carries the message along, as far as Slack lets it: what is sent is whole after a
restart, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field

from adapters.slack.reading.content import files_of, read_message
from adapters.slack.reading.text import SlackIdentity, is_timestamp
from bot.adapter_support.payloads import (
    Json,
    Payload,
    object_in,
    size_of,
    table_of,
    tables_of,
    text_of,
)
from bot.adapter_support.quoting import quoted
from bot.types import Attachment, Person, Place, UnpostedQuestion

ASK_ABOUT = "parley.ask_about"
EXPLAIN = "Explain this."

_FIELD = "question"
_MAX_CARRIED = 3000
"""Slack's limit of ``private_metadata``, in characters."""

_MAX_FILES, _MAX_FILE, _MAX_URL, _MAX_NAME = 3, 500, 300, 80
_MAX_QUESTION = 3000
_MAX_SHOWN = 280


@dataclass(frozen=True, slots=True)
class Shortcut:
    """``trigger_id`` opens a form within three seconds."""

    trigger_id: str
    user: str
    channel: str
    form: Json = field(repr=False)
    response_url: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class SentForm:
    """``response_url``: where the person can be told something, once Parley is no member."""

    question: UnpostedQuestion
    response_url: str = field(repr=False)


def read_shortcut(payload: Payload, me: SlackIdentity, names: Mapping[str, str]) -> Shortcut | None:
    """None for what Parley did not offer."""
    message, channel = table_of(payload, "message"), text_of(table_of(payload, "channel"), "id")
    ts = text_of(payload, "message_ts") or text_of(message, "ts")
    trigger, user = text_of(payload, "trigger_id"), text_of(table_of(payload, "user"), "id")
    is_ours = text_of(payload, "type") == "message_action"
    if not (is_ours and text_of(payload, "callback_id") == ASK_ABOUT):
        return None
    if not (trigger and user and channel and is_timestamp(ts)):
        return None
    url = text_of(payload, "response_url")
    carried: Json = {
        "channel": channel,
        "thread": text_of(message, "thread_ts") or ts,
        "url": url if len(url) <= _MAX_URL else "",
        "author": _author(message, me, names),
        "files": _small_enough(map(asdict, files_of(message))),
    }
    text = read_message(message, me, names).text
    return Shortcut(trigger, user, channel, _form(text, carried), url)


def read_form(payload: Payload, me: SlackIdentity, names: Mapping[str, str]) -> SentForm | None:
    """None for a form that is not Parley's."""
    view, sender = table_of(payload, "view"), table_of(payload, "user")
    is_ours = text_of(payload, "type") == "view_submission"
    if not (is_ours and text_of(view, "callback_id") == ASK_ABOUT):
        return None
    carried = object_in(text_of(view, "private_metadata"))
    channel, user = text_of(carried, "channel"), text_of(sender, "id")
    if not (channel and user and text_of(view, "id")):
        return None
    is_direct = channel.startswith("D")
    place = Place("slack", me.team_id, channel, text_of(carried, "thread"))
    fields = table_of(table_of(view, "state"), "values")
    typed = text_of(table_of(table_of(fields, _FIELD), _FIELD), "value").strip()
    text, author = text_of(carried, "text"), text_of(carried, "author")
    question = UnpostedQuestion(
        event_id=f"form {text_of(view, 'id')}",
        place=place,
        person=Person.at(place, user, names.get(user) or text_of(sender, "name")),
        awaits_answer=True,
        text=typed or EXPLAIN,
        quoted=quoted(f"Message from {author}", text) if text else "",
        is_direct=is_direct,
        attachments=tuple(map(_file, tables_of(carried, "files"))),
    )
    return SentForm(question, text_of(carried, "url"))


def _author(message: Payload, me: SlackIdentity, names: Mapping[str, str]) -> str:
    user = text_of(message, "user")
    known = {**names, me.user_id: me.name}
    called = text_of(message, "username") or text_of(table_of(message, "bot_profile"), "name")
    return (known.get(user) or called or "somebody")[:_MAX_NAME]


def _form(text: str, carried: Json) -> Json:
    about = _plain(f"{carried['author']}: {_cut(text, _MAX_SHOWN)}")
    question: Json = {"type": "plain_text_input", "action_id": _FIELD, "multiline": True}
    question |= {"placeholder": _plain(EXPLAIN), "max_length": _MAX_QUESTION}
    return {
        "type": "modal",
        "callback_id": ASK_ABOUT,
        "title": _plain("Ask Parley"),
        "submit": _plain("Ask"),
        "close": _plain("Cancel"),
        "private_metadata": _packed(text, carried),
        "blocks": [
            {"type": "section", "text": about},
            {
                "type": "input",
                "block_id": _FIELD,
                "optional": True,
                "label": _plain("Your question"),
                "hint": _plain("The answer stands in the thread of the message."),
                "element": question,
            },
        ],
    }


def _plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def _packed(text: str, carried: Json) -> str:
    """Of a long message as much as fits; what JSON escapes takes more room than it has letters."""
    room = _MAX_CARRIED
    while len(whole := _dump({**carried, "text": _cut(text, room)})) > _MAX_CARRIED:
        room -= len(whole) - _MAX_CARRIED
    return whole


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else f"{text[: max(0, size - 1)]}…"


def _small_enough(files: Iterable[Json]) -> list[Json]:
    return [each for each in files if len(_dump(each)) <= _MAX_FILE][:_MAX_FILES]


def _dump(carried: Json) -> str:
    return json.dumps(carried, ensure_ascii=False)


def _file(carried: Payload) -> Attachment:
    name, kind, url = (text_of(carried, key) for key in ("name", "media_type", "url"))
    return Attachment(name, kind, size_of(carried, "size"), url)

"""The activities that Parley sends. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from adapters.teams.cards import choices_card, stop_card
from adapters.teams.citations import claims, marked
from bot.types import Choice, Rendered, Source

Json = dict[str, Any]

_AI_LABEL: Json = {
    "type": "https://schema.org/Message",
    "@type": "Message",
    "@context": "https://schema.org",
    "additionalType": ["AIGeneratedContent"],
}
_FEEDBACK: Json = {"feedbackLoop": {"type": "default"}}


def message(text: Rendered | str) -> Json:
    return {"type": "message", "textFormat": "markdown", "text": text}


def growing(text: Rendered) -> Json:
    """With a button that stops it: Teams has none of its own but in personal chats."""
    return {**message(text), "attachments": [stop_card()]}


def ended(text: Rendered | str, sources: Sequence[Source] = ()) -> Json:
    """The whole reply: labelled as made by AI, open to judgement, and with its sources."""
    label = {**_AI_LABEL, "citation": claims(sources)} if sources else _AI_LABEL
    return {**message(marked(text, sources)), "entities": [label], "channelData": _FEEDBACK}


def offering(text: Rendered, choices: Sequence[Choice]) -> Json:
    return {**message(text), "attachments": [choices_card(choices)]}


def typing() -> Json:
    return {"type": "typing"}


def streaming(text: str, *, stream_id: str, sequence: int, is_text: bool) -> Json:
    """``is_text`` False: a line that says what is being done; ``stream_id`` empty: the first."""
    info: Json = {
        "type": "streaminfo",
        "streamType": "streaming" if is_text else "informative",
        "streamSequence": sequence,
    }
    if stream_id:
        info["streamId"] = stream_id
    return {"type": "typing", "text": text, "entities": [info]}


def stream_end(body: Json, *, stream_id: str) -> Json:
    """What ends a stream: the message that it becomes."""
    info: Json = {"type": "streaminfo", "streamType": "final", "streamId": stream_id}
    return {**body, "entities": [info, *body.get("entities", [])]}

"""Messages, their citations, and the parts of a stream. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from adapters.teams.activities.cards import choices_card, continue_card, stop_card
from bot.adapter_support.payloads import Json
from bot.markdown.drawing import FENCE
from bot.source import Source
from bot.types import PLAIN_END, Choice, Rendered, ReplyEnd

MAX_CITATIONS = 20
_MAX_NAME = 80
_MAX_ABSTRACT = 160
_ICONS = {
    ".pdf": "PDF",
    ".docx": "Microsoft Word",
    ".docm": "Microsoft Word",
    **dict.fromkeys((".txt", ".md", ".csv", ".log"), "Text"),
}

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
    """A reply in progress, with a Stop button: Teams has its own in personal chats only."""
    return {**message(text), "attachments": [stop_card()]}


def ended(text: Rendered | str, end: ReplyEnd = PLAIN_END, turn_id: str = "") -> Json:
    """The whole reply, labelled as made by AI, with feedback buttons and its sources.

    One that was stopped or cut off has a Continue button.
    """
    cited = end.sources[:MAX_CITATIONS]
    claims = [_claim(number, each) for number, each in enumerate(cited, 1)]
    label = {**_AI_LABEL, "citation": claims} if claims else _AI_LABEL
    text = _numbered(text, len(cited))
    body = message(text)
    if end.can_continue:
        body["attachments"] = [continue_card(turn_id)]
    return {**body, "entities": [label], "channelData": _FEEDBACK}


def offering(text: Rendered | str, choices: Sequence[Choice]) -> Json:
    return {**message(text), "attachments": [choices_card(choices)]}


def typing() -> Json:
    return {"type": "typing"}


def streaming(text: str, *, stream_id: str, sequence: int, is_text: bool) -> Json:
    """``is_text`` False: a line of progress. ``stream_id`` empty: the first part of a stream."""
    info: Json = {
        "type": "streaminfo",
        "streamType": "streaming" if is_text else "informative",
        "streamSequence": sequence,
    }
    if stream_id:
        info["streamId"] = stream_id
    return {"type": "typing", "text": text, "entities": [info]}


def stream_end(body: Json, *, stream_id: str) -> Json:
    """The end of a stream, with the message that it becomes."""
    info: Json = {"type": "streaminfo", "streamType": "final", "streamId": stream_id}
    return {**body, "entities": [info, *body.get("entities", [])]}


def _numbered(text: str, num_sources: int) -> str:
    """The text with a number for each source; nothing may follow the fence of a code block."""
    numbers = "".join(f"[{number}]" for number in range(1, num_sources + 1))
    space = "\n\n" if text.endswith(FENCE) else " "
    return f"{text.rstrip()}{space}{numbers}" if numbers else text


def _claim(number: int, source: Source) -> Json:
    """A citation; that of a file without its address, with which anybody can read the file."""
    suffix = PurePosixPath(source.name.lower()).suffix
    other = "Text" if source.is_gathered else "Source Code"
    appearance: Json = {
        "@type": "DigitalDocument",
        "name": _short(source.title, _MAX_NAME),
        "abstract": _short(source.excerpt, _MAX_ABSTRACT),
        "image": {"@type": "ImageObject", "name": _ICONS.get(suffix, other)},
    }
    if source.address:
        appearance["url"] = source.address
    return {"@type": "Claim", "position": number, "appearance": appearance}


def _short(text: str, max_size: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= max_size else f"{line[: max_size - 1].rstrip()}…"

"""What was said in a thread before Parley was mentioned in it, as names and texts."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterator, Mapping, Sequence

from adapters.slack.reading.content import called, files_of, people_in, read_message
from adapters.slack.reading.text import SlackIdentity
from bot.adapter_support.payloads import Payload, text_of

SAID = frozenset({"", "file_share", "me_message", "thread_broadcast", "bot_message"})
"""The subtypes of messages that somebody said; of others Slack speaks itself."""

_MAX_NEWEST = 50
_MAX_CHARACTERS = 8_000
_MAX_ONE = 4_000


async def messages_before(messages: AsyncIterable[Payload], ts: str) -> list[Payload]:
    """Of a thread, oldest first: the message that began it, and the newest before ``ts``."""
    root: list[Payload] = []
    newest: list[Payload] = []
    async for message in messages:
        if text_of(message, "ts") >= ts:
            break
        if text_of(message, "subtype") not in SAID:
            continue
        if not root and text_of(message, "ts") == text_of(message, "thread_ts"):
            root = [message]
        else:
            newest = [*newest, message][-_MAX_NEWEST:]
    return root + newest


def people_of(messages: Sequence[Payload]) -> Iterator[str]:
    """The ids of those who wrote or are mentioned."""
    for message in messages:
        if not called(message):
            yield text_of(message, "user")
    for message in messages:
        yield from people_in(message)


def lines(
    messages: Sequence[Payload], me: SlackIdentity, names: Mapping[str, str]
) -> list[tuple[str, str]]:
    """The first line, and as many of the newest as fit; what is longer than its share is cut."""
    said = [line for message in messages if (line := _line(message, me, names))[1]]
    if not said:
        return []
    first, *others = said
    return [first, *_fitting(others, _MAX_CHARACTERS - len(first[1]))]


def newest_of(messages: Sequence[Payload]) -> Sequence[Payload]:
    """Of a channel: the newest that somebody said."""
    return [each for each in messages if text_of(each, "subtype") in SAID][-_MAX_NEWEST:]


def newest_lines(
    messages: Sequence[Payload], me: SlackIdentity, names: Mapping[str, str]
) -> list[tuple[str, str]]:
    """As many of the newest as fit, without those that only ask to catch up."""
    said = [_line(message, me, names) for message in messages]
    return _fitting([(name, text) for name, text in said if not _is_wish(text)], _MAX_CHARACTERS)


def _is_wish(text: str) -> bool:
    return text.lower().strip(" .!") in ("", "catch up")


def _fitting(said: Sequence[tuple[str, str]], room: int) -> list[tuple[str, str]]:
    kept: list[tuple[str, str]] = []
    for name, text in reversed(said):
        room -= len(text)
        if room < 0:
            break
        kept.append((name, text))
    return kept[::-1]


def _line(message: Payload, me: SlackIdentity, names: Mapping[str, str]) -> tuple[str, str]:
    user = text_of(message, "user")
    name = me.name if user == me.user_id else called(message) or names.get(user) or user
    files = " ".join(f"[{file.name}]" for file in files_of(message))
    text = f"{read_message(message, me, names).text} {files}".strip()
    cut = text if len(text) <= _MAX_ONE else f"{text[: _MAX_ONE - 1]}…"
    return name or "Somebody", cut

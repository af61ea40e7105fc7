"""What a message carries beside its own words: for the model, as quoted material. Pure and total.

A person's message: what it forwards, the message that it replies to, its poll and stickers. The
previews of its links are left out, since Discord adds them later. Of a message that is quoted
itself everything counts that people see of it, the embeds and components of bots too.
"""

from __future__ import annotations

from collections.abc import Iterator

from adapters.discord.api.messages import BotUser, name_of, read_attachments, shown_text
from adapters.discord.api.tokens import readable
from bot.adapter_support.payloads import Payload, size_of, table_of, tables_of, text_of
from bot.adapter_support.quoting import quoted, with_quotes
from bot.types import Attachment

_TEXT_DISPLAY = 10


def read_quotes(message: Payload, me: BotUser) -> tuple[str, ...]:
    """The quoted pieces of a person's message; its own words are not in them.

    The bot's own messages are not quoted: they are in the thread's history.
    """
    answered = quoted_reply(message, me)
    author = name_of(table_of(answered, "author")) or "somebody"
    reply = quoted_message(f"Message that is replied to, from {author}", answered, me)
    return tuple(
        filter(None, (*_forwards(message, me), *_poll(message), *_stickers(message), reply))
    )


def quoted_message(title: str, message: Payload, me: BotUser) -> str:
    """Empty for a message without text."""
    text = text_of_message(message, me)
    return quoted(title, text) if text else ""


def text_of_message(message: Payload, me: BotUser) -> str:
    """All that people can read of a message, but for its files."""
    return with_quotes(_text(message, me), *_forwards(message, me))


def read_files(message: Payload, me: BotUser) -> tuple[Attachment, ...]:
    """The files of a message, of what it forwards and of what it replies to, each once."""
    answered = quoted_reply(message, me)
    carriers = (message, *_snapshots(message), answered, *_snapshots(answered))
    return tuple(dict.fromkeys(file for each in carriers for file in read_attachments(each)))


def quoted_reply(message: Payload, me: BotUser) -> Payload:
    """The message that this one replies to; empty if there is none, or it is the bot's own."""
    answered = table_of(message, "referenced_message")
    is_own = text_of(table_of(answered, "author"), "id") == me.user_id
    return {} if is_own else answered


def _snapshots(message: Payload) -> list[Payload]:
    return [table_of(each, "message") for each in tables_of(message, "message_snapshots")]


def _forwards(message: Payload, me: BotUser) -> Iterator[str]:
    """Discord does not tell who wrote a forwarded message."""
    for snapshot in _snapshots(message):
        if text := _text(snapshot, me):
            yield quoted("Forwarded message", text)


def _text(message: Payload, me: BotUser) -> str:
    """The text of a message with what it carries, without what it forwards."""
    embeds = (
        quoted("Embed", text) for each in tables_of(message, "embeds") if (text := _embed(each, me))
    )
    shown = "\n".join(filter(None, (shown_text(message, me), *_displays(message, me))))
    return with_quotes(shown, *embeds, *_poll(message), *_stickers(message))


def _displays(message: Payload, me: BotUser) -> Iterator[str]:
    """The texts among the components of a message, in order."""
    waiting = tables_of(message, "components")[::-1]
    while waiting:
        part = waiting.pop()
        if part.get("type") == _TEXT_DISPLAY:
            yield readable(text_of(part, "content"), me.names)
        waiting += tables_of(part, "components")[::-1]


def _embed(embed: Payload, me: BotUser) -> str:
    title, url = text_of(embed, "title"), text_of(embed, "url")
    fields = (
        f"{text_of(each, 'name')}: {text_of(each, 'value')}" for each in tables_of(embed, "fields")
    )
    lines = (
        text_of(table_of(embed, "author"), "name"),
        f"{title} ({url})" if title and url else title or url,
        text_of(embed, "description"),
        *fields,
        text_of(table_of(embed, "footer"), "text"),
    )
    return readable("\n".join(filter(None, lines)), me.names)


def _poll(message: Payload) -> Iterator[str]:
    poll = table_of(message, "poll")
    if question := _of_media(table_of(poll, "question")):
        author = name_of(table_of(message, "author"))
        counts = tables_of(table_of(poll, "results"), "answer_counts")
        votes = {each.get("id"): size_of(each, "count") for each in counts}
        answers = (_answer(each, votes) for each in tables_of(poll, "answers"))
        yield quoted(f"Poll by {author}" if author else "Poll", "\n".join((question, *answers)))


def _answer(answer: Payload, votes: dict[object, int]) -> str:
    text, num_votes = _of_media(table_of(answer, "poll_media")), votes.get(answer.get("answer_id"))
    return f"- {text}" if num_votes is None else f"- {text} (votes: {num_votes})"


def _of_media(media: Payload) -> str:
    parts = (text_of(table_of(media, "emoji"), "name"), text_of(media, "text"))
    return " ".join(filter(None, parts))


def _stickers(message: Payload) -> Iterator[str]:
    for sticker in tables_of(message, "sticker_items"):
        if name := text_of(sticker, "name"):
            yield quoted("Sticker", name)

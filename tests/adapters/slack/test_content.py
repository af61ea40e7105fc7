"""What a message carries beside its text, as the model reads it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.slack.reading.content import NO_TEXT, files_of, people_in, read_message
from tests.adapters.slack.payloads import ME, Json, forward, rich, words
from tests.fakes.slack_api import BOT

NAMES = {"U02": "Bob", "U03": "Cleo"}
FILE = {"name": "a.txt", "mimetype": "text/plain", "size": 3, "url_private": "https://x.org/f"}
QUOTED = "[Forwarded message from Bob]\n> the lift is broken"


def said(**message: Any) -> str:
    return read_message(message, ME, NAMES).text


def test_a_forward_alone_is_quoted() -> None:
    assert said(text="", attachments=[forward()]) == QUOTED


def test_a_forward_follows_the_comment() -> None:
    text = f"<@{BOT}> who repairs it?"
    assert said(text=text, attachments=[forward()]) == f"who repairs it?\n\n{QUOTED}"


def test_every_line_of_a_forward_is_marked_so_that_it_cannot_pass_for_the_persons_words() -> None:
    text = "a\n\n[Attached file: pay.txt]\nb &lt;c&gt;"
    quoted = "> a\n>\n> [Attached file: pay.txt]\n> b <c>"
    assert said(attachments=[forward(text)]) == f"[Forwarded message from Bob]\n{quoted}"


def test_a_message_that_a_link_leads_to_is_quoted_too() -> None:
    linked = forward()
    del linked["is_share"]
    assert said(text="see", attachments=[linked]).endswith(QUOTED)


@pytest.mark.parametrize(
    ("author", "title"),
    [
        ({"author_name": ""}, "Forwarded message from Bob"),
        ({"author_name": "", "author_id": "U99"}, "Forwarded message"),
        ({"author_name": "Bo\nb]"}, "Forwarded message from Bo b)"),
    ],
)
def test_whose_message_it_was_is_said_as_far_as_it_is_known(author: Json, title: str) -> None:
    assert said(attachments=[forward(**author)]) == f"[{title}]\n> the lift is broken"


def test_a_forward_of_blocks_is_read_from_them() -> None:
    blocks = rich(words("the lift "), {"type": "user", "user_id": "U03"})
    within = [{"team": "T01", "channel": "C02", "message": {"blocks": blocks}}]
    quoted = "[Forwarded message from Bob]\n> the lift @Cleo"
    assert said(attachments=[forward("", message_blocks=within)]) == quoted
    assert said(attachments=[forward("", blocks=blocks)]) == quoted


def test_of_a_forward_without_any_text_slacks_summary_is_read() -> None:
    attached = forward("", fallback="[Nov 20th] bob: a picture & more")
    assert said(attachments=[attached]).endswith("> [Nov 20th] bob: a picture & more")


def test_a_mention_in_a_forward_speaks_to_nobody_and_stays_there() -> None:
    text = f"<@{BOT}> and <@U02>, look"
    read = read_message({"text": "", "attachments": [forward(text)]}, ME, NAMES)
    assert read.text.endswith("> @parley and @Bob, look")
    assert not read.mentions_bot
    assert not read.mentions_others


def test_files_of_a_forward_come_with_those_of_the_message() -> None:
    message = {"files": [FILE], "attachments": [forward("", files=[{**FILE, "name": "b.txt"}])]}
    assert [file.name for file in files_of(message)] == ["a.txt", "b.txt"]


def test_an_alert_of_an_app_is_read_whole() -> None:
    alert = {
        "pretext": "Alert",
        "title": "Disk <https://x.org|full>",
        "text": "at *98 %*",
        "fields": [{"title": "Host", "value": "db1"}, {"value": "prod"}],
        "fallback": "Disk full",
    }
    assert said(text="", attachments=[alert]) == (
        "[Attachment of the message]\n> Alert\n> Disk full (https://x.org)\n> at *98 %*\n"
        "> Host: db1\n> prod"
    )
    assert said(attachments=[{"fallback": "Disk full"}]).endswith("> Disk full")


@pytest.mark.parametrize("key", ["from_url", "original_url", "app_unfurl_url"])
def test_the_preview_of_a_link_is_nobodys_word(key: str) -> None:
    preview = {key: "https://x.org", "title": "A page", "text": "about", "service_name": "X"}
    assert said(text="see <https://x.org>", attachments=[preview]) == "see https://x.org"


@pytest.mark.parametrize("text", ["", " ", NO_TEXT])
def test_a_message_of_blocks_alone_is_read_from_them(text: str) -> None:
    assert said(text=text, blocks=rich(words("a < b"))) == "a < b"


def test_where_there_is_text_the_blocks_say_the_same_and_are_not_read() -> None:
    assert said(text="hello", blocks=rich(words("hello"))) == "hello"


@pytest.mark.parametrize(
    ("piece", "read"),
    [
        (words("x = `1`"), "x = `1`"),
        (words("<@UBOT>", code=True), "`<@UBOT>`"),
        (words("loud", bold=True), "loud"),
        ({"type": "link", "url": "https://x.org/a?b=1&c"}, "https://x.org/a?b=1&c"),
        ({"type": "link", "url": "https://x.org", "text": "here"}, "here (https://x.org)"),
        ({"type": "user", "user_id": "U02"}, "@Bob"),
        ({"type": "usergroup", "usergroup_id": "S1"}, "(a user group)"),
        ({"type": "channel", "channel_id": "C1"}, "(a channel)"),
        ({"type": "broadcast", "range": "here"}, "@here"),
        ({"type": "emoji", "name": "wave", "unicode": "1f44b-1f3fb"}, "👋🏻"),
        ({"type": "emoji", "name": "parrot"}, ":parrot:"),
        ({"type": "date", "timestamp": 1700000000, "fallback": "Tuesday"}, "Tuesday"),
        ({"type": "date", "timestamp": 1700000000, "format": "{date}"}, "2023-11-14 22:13 UTC"),
        ({"type": "color", "value": "#ff0000"}, "#ff0000"),
        ({"type": "new"}, ""),
    ],
)
def test_every_piece_of_rich_text_is_read(piece: Json, read: str) -> None:
    assert said(blocks=rich(piece)) == read


def test_a_mention_in_blocks_is_one() -> None:
    blocks = rich({"type": "user", "user_id": BOT}, words(" hello"))
    read = read_message({"text": "", "blocks": blocks}, ME, NAMES)
    assert (read.text, read.mentions_bot) == ("hello", True)


def _of(kind: str, *elements: Json, **more: Any) -> Json:
    return {"type": kind, "elements": list(elements), **more}


def test_lists_quotes_and_code_keep_their_shape() -> None:
    one, two = (_of("rich_text_section", words(text)) for text in ("one", "two"))
    elements = [
        _of("rich_text_list", one, style="bullet"),
        _of("rich_text_list", two, style="ordered", indent=1, offset=3),
        _of("rich_text_quote", words("he\nsaid")),
        _of("rich_text_preformatted", words("a = 1\n  b < 2")),
    ]
    assert said(blocks=[_of("rich_text", *elements)]) == (
        "• one\n    4. two\n> he\n> said\n```\na = 1\n  b < 2\n```"
    )


def test_what_apps_build_is_read() -> None:
    plain, mrkdwn = (
        {"type": "plain_text", "text": "A & <b>"},
        {"type": "mrkdwn", "text": "*c* &amp;"},
    )
    cells = [{"type": "raw_text", "text": "x"}, rich(words("y"))[0]]
    blocks: list[Json] = [
        {"type": "header", "text": plain},
        {"type": "section", "text": mrkdwn, "fields": [plain]},
        {"type": "divider"},
        {"type": "context", "elements": [mrkdwn, {"type": "image", "image_url": "https://x"}]},
        {"type": "image", "alt_text": "a <map>"},
        {"type": "actions", "elements": [{"type": "button", "text": plain}]},
        {"type": "markdown", "text": "**d** <e>"},
        {"type": "table", "rows": [cells, "?"]},
    ]
    assert said(text=NO_TEXT, blocks=blocks) == (
        "A & <b>\n*c* &\nA & <b>\n*c* &\na <map>\n**d** <e>\nx | y"
    )


def test_the_people_to_be_known_by_name_are_those_mentioned_and_quoted() -> None:
    quote = forward("ask <@U05>", author_name="", author_id="U06")
    message = {"text": "<@U03> and <@U04|dan> but not &lt;@U99&gt;", "attachments": [quote]}
    assert people_in(message) == ["U03", "U04", "U05", "U06"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
TYPES = st.sampled_from(["rich_text", "section", "context", "table", "rich_text_list", "emoji"])
KEYS = ["type", "text", "elements", "rows", "message_blocks", "unicode", "timestamp", "indent"]
STRANGE = st.recursive(
    JSON,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS), inner | TYPES, max_size=4)
    ),
    max_leaves=20,
)


@given(STRANGE, STRANGE)
def test_no_message_is_too_strange(blocks: Any, attachments: Any) -> None:
    message = {"text": "", "blocks": [blocks], "attachments": [attachments, {"is_share": True}]}
    read_message(message, ME, NAMES)
    people_in(message)

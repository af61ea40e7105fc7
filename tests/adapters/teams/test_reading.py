"""What a message in Teams carries beside its plain text, and what the model gets to read of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.teams.events import read_activity
from adapters.teams.reading.formatted import read_html
from bot.types import Question, QuestionEdited
from tests.fakes.teams_activities import (
    BOB,
    Json,
    edit,
    emoji,
    forward_quote,
    html_of,
    mention,
    mention_span,
    message,
    placeholder,
    quoted_reply,
    reply_quote,
)


def asked(given: Json) -> Question:
    (question,) = read_activity(given)
    assert isinstance(question, Question)
    return question


def text(plain: str, html: str, **more: Any) -> str:
    """What is read of a message in a personal chat."""
    return asked(message(plain, attachments=[html_of(html)], **more)).text


def typed(plain: str, **more: Any) -> Json:
    """A message in a channel, its text with all its tags."""
    return {**message("", "channel"), "text": plain, "attachments": [], **more}


REPLIED = "Why is that?\n\n[Message that is replied to, from Bob]\n> The build is red"
FORWARDED = "Is this right?\n\n[Forwarded message]\n> The build is red.\n> Nobody knows why."


def test_a_message_that_is_replied_to_is_quoted_with_its_author() -> None:
    html = f"{reply_quote('The build is red')}<p>Why is that?</p>"
    assert text("Why is that?", html) == REPLIED


def test_a_reply_that_comes_as_an_entity_is_quoted_and_its_placeholder_is_not_read() -> None:
    entity = quoted_reply("The build is red")
    plain = f"{placeholder()}\nWhy is that?"
    assert text(plain, "<p>Why is that?</p>", entities=[entity]) == REPLIED


def test_a_reply_is_quoted_once_in_however_many_ways_it_comes() -> None:
    html = f"{reply_quote('The build is red')}<p>{mention_span()}&nbsp;Why is that?</p>"
    told = {
        "messageId": "1700000000007",
        "messagePreview": "The build is…",
        "messageSender": {"user": {"displayName": "Bob"}},
    }
    reference = {"contentType": "messageReference", "content": json.dumps(told)}
    given = typed(
        f"{placeholder()}<at>Parley</at> Why is that?",
        attachments=[html_of(html), reference],
        entities=[mention(), quoted_reply("The build is red")],
    )
    question = asked(given)
    assert question.text == REPLIED
    assert question.is_mention
    assert not question.mentions_others


def test_two_messages_that_are_replied_to_are_quoted_both() -> None:
    entities = [quoted_reply("One", "1"), quoted_reply("Two", "2", senderName="Eve")]
    plain = f"{placeholder('1')}{placeholder('2')}Which?"
    assert text(plain, "<p>Which?</p>", entities=entities) == (
        "Which?\n\n[Message that is replied to, from Bob]\n> One"
        "\n\n[Message that is replied to, from Eve]\n> Two"
    )


def test_a_reply_to_what_was_deleted_or_has_no_text_says_so() -> None:
    gone = {"type": "quotedReply", "quotedReply": {"messageId": "1", "isReplyDeleted": True}}
    assert text("Why?", "<p>Why?</p>", entities=[gone]) == (
        "Why?\n\n[Message that is replied to]\n> (deleted)"
    )
    card = {"type": "quotedReply", "quotedReply": {"messageId": "1", "senderName": "Build"}}
    assert text("Why?", "<p>Why?</p>", entities=[card]) == (
        "Why?\n\n[Message that is replied to, from Build]\n> (without text)"
    )


def test_the_author_of_an_older_client_is_found_too() -> None:
    html = (
        '<div><blockquote itemscope="" itemtype="http://schema.skype.com/Reply" itemid="17">\n'
        '<p><b><span itemprop="mri" itemid="8:orgid:7" style="font-size:small">Bob&nbsp;</span>'
        '<span itemprop="time" itemid="17"></span></b></p>\n'
        '<p itemprop="preview">The build is red</p></blockquote>\n<p>Why is that?</p></div>'
    )
    assert text("Why is that?", html) == REPLIED


def test_what_is_forwarded_is_no_word_of_the_person_who_forwards_it() -> None:
    """The plain copy has it right behind the person's own words, as if they had written it."""
    html = f"<p>Is this right?</p>\n{forward_quote('The build is red.', 'Nobody knows why.')}"
    plain = "Is this right?\r\n\r\nThe build is red.\r\nNobody knows why."
    assert text(plain, html) == FORWARDED


def test_a_forward_behind_a_mention_is_cut_from_the_question_too() -> None:
    quote = forward_quote("The build is red.", "Nobody knows why.")
    given = message(
        "Is this right?\r\n\r\nThe build is red.\r\nNobody knows why.",
        "channel",
        attachments=[html_of(f"<p>{mention_span()}&nbsp;Is this right?</p>{quote}")],
    )
    assert asked(given).text == FORWARDED


def test_a_forward_alone_is_all_quoted() -> None:
    assert text("stop", forward_quote("stop")) == "[Forwarded message]\n> stop"


@pytest.mark.parametrize("own", ["ok", "look", ""])
def test_a_forward_takes_no_letter_from_the_persons_own_words(own: str) -> None:
    html = f"<p>{own}</p>{forward_quote('ok')}"
    expected = f"{own}\n\n[Forwarded message]\n> ok".strip()
    assert text(f"{own}\r\n\r\nok", html) == expected
    assert text(own, html) == expected


def test_a_forward_that_names_its_author_is_quoted_with_it() -> None:
    told = {
        "originalMessageId": "1",
        "originalMessageContent": "<p>The build is <b>red</b>.</p>",
        "originalMessageSender": {"user": {"displayName": "Bob"}},
    }
    reference = {"contentType": "forwardedMessageReference", "content": json.dumps(told)}
    given = message('See <attachment id="1"></attachment>', attachments=[reference])
    assert asked(given).text == "See\n\n[Forwarded message from Bob]\n> The build is red."


def test_a_quoted_message_cannot_pass_for_anything_else() -> None:
    html = f"<p>Read</p>{forward_quote('a<br>[Attached file: pay.pdf]', '&gt; b')}"
    assert text("Read", html) == (
        "Read\n\n[Forwarded message]\n> a\n> [Attached file: pay.pdf]\n> > b"
    )


def test_layout_of_a_quoted_message_is_kept_as_text() -> None:
    html = (
        '<blockquote itemtype="http://schema.skype.com/Forward"><p>Do:</p><ol><li>this'
        "<ul><li>well</li></ul></li><li>that</li></ol>"
        '<codeblock class="Python"><code>if a:<br>&nbsp;&nbsp;b &lt; 1</code></codeblock>'
        '<p>see <a href="https://x.org/a?b=1&amp;c=2" title="x > y">here</a> and '
        '<a href="https://x.org">https://x.org</a></p>'
        "<table><tr><td>a</td><td>b</td></tr></table><blockquote>old</blockquote></blockquote>"
    )
    assert text("", html) == (
        "[Forwarded message]\n> Do:\n> 1. this\n>    - well\n> 2. that\n> ```\n> if a:\n>   b < 1"
        "\n> ```\n> see here (https://x.org/a?b=1&c=2) and https://x.org\n> a | b |\n> > old"
    )


@pytest.mark.parametrize(
    ("plain", "html", "read"),
    [
        ("Hello ", f"<p>Hello {emoji('😀')}</p>", "Hello 😀"),
        ("", f"<p>{emoji('👍')}</p>", "👍"),
        ("Is  good or ?", f"<p>Is {emoji('🍕')} good or {emoji('🥦')}?</p>", "Is 🍕 good or 🥦?"),
        ("one\r\ntwo", f"<p>one<br>two {emoji('🙂')}</p>", "one\ntwo 🙂"),
        ("one\n\ntwo", f"<p>one</p>\n<p>&nbsp;</p>\n<p>two {emoji('🙂')}</p>", "one\n\ntwo 🙂"),
        ("Hi", '<p>Hi <emoji id="1f600" alt="😀" title="Grinning"></emoji></p>', "Hi 😀"),
        ("Hi 😀", f"<p>Hi {emoji('😀')}</p>", "Hi 😀"),
    ],
)
def test_an_emoji_is_text(plain: str, html: str, read: str) -> None:
    assert text(plain, html) == read


def test_an_emoji_behind_mentions_is_text() -> None:
    html = f"<p>{mention_span()}&nbsp;thank {mention_span('Bob', 1)} {emoji('🎉')}</p>"
    given = message(
        "thank <at>Bob</at> ",
        "channel",
        entities=[mention(), mention(BOB, "Bob")],
        attachments=[html_of(html)],
    )
    assert asked(given).text == "thank @Bob 🎉"


def test_an_emoji_in_formatted_text_is_text() -> None:
    assert text(f"<b>Hi</b> {emoji('😀')}", "", textFormat="xml") == "Hi 😀"


def test_the_address_behind_a_word_is_read() -> None:
    html = '<p>See <a href="https://x.org/a?b=1&amp;c=2">the <b>page</b></a>.</p>'
    assert text("See the page.", html) == "See the page (https://x.org/a?b=1&c=2)."
    bare = '<p>See <a href="https://x.org/">https://x.org</a>.</p>'
    assert text("See https://x.org.", bare) == "See https://x.org."


def test_html_that_says_something_else_than_the_text_is_not_believed() -> None:
    assert text("What now?", f"<p>Something {emoji('😀')}</p>") == "What now?"


@pytest.mark.parametrize(
    ("plain", "read"),
    [
        ("<at>Parley</at> what is `<at>Parley</at>`?", "what is `<at>Parley</at>`?"),
        ("`<at>Parley</at>` is what, <at>Parley</at>?", "`<at>Parley</at>` is what,  ?"),
        ("```\n<at>Bob</at>\n``` <at>Parley</at> why?", "```\n<at>Bob</at>\n```   why?"),
        ('<at id="0">Parley</at> hello', "hello"),
    ],
)
def test_a_mention_in_code_is_not_cut_out_of_it(plain: str, read: str) -> None:
    given = typed(plain)
    assert asked(given).text == read
    assert asked(given).is_mention


def test_code_that_only_the_html_shows_keeps_its_mention() -> None:
    html = (
        f"<p>What does <code>&lt;at&gt;Parley&lt;/at&gt;</code> do, {mention_span()}?</p>"
        "<pre>&lt;at&gt;Bob&lt;/at&gt;\n    x</pre>"
    )
    plain = "What does <at>Parley</at> do, <at>Parley</at>?\n<at>Bob</at>\nx"
    given = typed(plain, attachments=[html_of(html)])
    assert asked(given).text == ("What does `<at>Parley</at>` do, ?\n```\n<at>Bob</at>\n    x\n```")


def test_a_mention_in_code_alone_is_none() -> None:
    given = typed("`<at>Parley</at>`", entities=[])
    assert not asked(given).is_mention


ADAPTIVE = {
    "type": "AdaptiveCard",
    "version": "1.4",
    "body": [
        {"type": "TextBlock", "text": "Build **417** failed"},
        {"type": "RichTextBlock", "inlines": ["in ", {"type": "TextRun", "text": "main"}]},
        {"type": "FactSet", "facts": [{"title": "Since", "value": "{{DATE(2026-01-05, SHORT)}}"}]},
        {"type": "ColumnSet", "columns": [{"items": [{"type": "TextBlock", "text": "Step 3"}]}]},
        {"type": "Input.Text", "id": "why", "label": "Why", "value": "no"},
    ],
    "actions": [{"type": "Action.OpenUrl", "title": "Open", "url": "https://x.org"}],
}


@pytest.mark.parametrize(
    ("kind", "content", "read"),
    [
        (
            "application/vnd.microsoft.card.adaptive",
            ADAPTIVE,
            "> Build **417** failed\n> in main\n> Since: 2026-01-05\n> Step 3",
        ),
        (
            "application/vnd.microsoft.card.hero",
            {"title": "News", "text": "It rains", "buttons": [{"title": "More"}]},
            "> News\n> It rains",
        ),
        (
            "application/vnd.microsoft.teams.card.o365connector",
            {
                "summary": "Issue 7",
                "sections": [
                    {"activityTitle": "Ada opened it", "facts": [{"name": "State", "value": "new"}]}
                ],
            },
            "> Issue 7\n> Ada opened it\n> State: new",
        ),
        (
            "application/vnd.microsoft.card.announcement",
            json.dumps({"title": "We move", "cardImageType": "colorTheme"}),
            "> We move",
        ),
    ],
)
def test_a_card_that_somebody_shares_is_read(kind: str, content: object, read: str) -> None:
    given = message("What is it?", attachments=[{"contentType": kind, "content": content}])
    assert asked(given).text == f"What is it?\n\n[Card of the message]\n{read}"


@pytest.mark.parametrize(
    "attachment",
    [
        {"contentType": "reference", "contentUrl": "https://x.org/a", "name": "plan.docx"},
        {
            "contentType": "application/vnd.microsoft.card.codesnippet",
            "content": json.dumps({"language": "Python", "codeSnippetUrl": "https://x.org"}),
            "name": "plan.docx",
        },
    ],
)
def test_what_teams_does_not_hand_over_is_named(attachment: Json) -> None:
    given = message("Sum it up", attachments=[attachment])
    assert asked(given).attachments == ()
    assert asked(given).text == "Sum it up\n\n[Attachment that Parley cannot open]\n> plan.docx"


def test_an_edit_says_what_the_message_would_be_now() -> None:
    """Also if nobody was mentioned before."""
    lone = typed("hello", entities=[])
    edited = edit(lone, "<at>Parley</at> What is a turn?", entities=[mention()])
    (incoming,) = read_activity(edited)
    assert isinstance(incoming, QuestionEdited)
    now = incoming.becomes
    assert isinstance(now, Question)
    assert (now.text, now.is_mention, now.message_id) == ("What is a turn?", True, lone["id"])
    assert (now.place, now.person) == (incoming.place, incoming.person)
    assert incoming.text == now.text


def test_an_edit_that_takes_the_mention_away_is_no_question_any_more() -> None:
    edited = edit(message("What is a turn?", "channel"), "Never mind", entities=[])
    (incoming,) = read_activity(edited)
    assert isinstance(incoming, QuestionEdited)
    assert isinstance(incoming.becomes, Question)
    assert not incoming.becomes.is_mention


PIECES = st.sampled_from(
    (
        *("<p>", "</p>", "<br>", "<ul>", "<li>", "</ul>", "<code>", "</code>", "<pre>", "</pre>"),
        *("<blockquote>", "</blockquote>", reply_quote("x"), forward_quote("y"), emoji("😀")),
        *("<table><tr><td>", "</table>", "&nbsp;", "&lt;at&gt;", "<a href='https://x'>", "</a>"),
        *("text ", "\n", "<", "<a b", "'", '"', ">", "<!--", "-->", "\0", mention_span()),
    )
)


@settings(deadline=None)
@given(st.lists(PIECES, max_size=25).map("".join) | st.text())
def test_any_html_is_read(content: str) -> None:
    found = read_html(content, ["Parley"])
    assert "\0" not in found.text
    text("text", content)


@pytest.mark.parametrize(
    "piece", ["<a ", "<a b='", "<!--", "<ul><li>", "<p>", "<a b c=d ", "&#", '<a b="x" ', "<a a"]
)
def test_html_of_nobodys_making_is_read_in_linear_time(piece: str) -> None:
    """Five thousand letters or twenty times as many: it never holds up the event loop."""
    read_html(piece * (100_000 // len(piece)))
    read_html(f"<a {'b' * 99_000}>")
    read_html(f"<a b {' ' * 99_000}>")

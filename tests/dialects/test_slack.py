"""The reader of mrkdwn sees what people see in Slack, and refuses what Slack may see otherwise."""

from __future__ import annotations

import pytest

from tests.dialects.slack import Ambiguous, read


def test_a_message_is_read_whole() -> None:
    message = read(
        "> *a _b_* &lt;c&gt;\n• `x &amp; y` <https://x.org/_a_|here>\n```\n*z*\n```\n<https://y.org>"
    )
    assert message.text == "a b <c>\n• x & y here\n*z*\nhttps://y.org"
    assert message.marks == [("bold", "a b"), ("italic", "b")]
    assert (message.code, message.blocks) == (["x & y"], ["*z*"])
    assert message.links == [("https://x.org/_a_", "here"), ("https://y.org", "")]
    assert message.quoted == ["a b <c>"]
    assert message.pings == []


@pytest.mark.parametrize("ping", ["<!channel>", "<@U01>", "<#C01|general>", "<!subteam^S1>"])
def test_a_ping_is_seen(ping: str) -> None:
    assert read(f"hello {ping}").pings == [ping[1:-1]]


def test_signs_without_borders_or_partners_are_plain() -> None:
    for text in ("snake_case_name 2 * 3 * 4 only ~5 a*b*c", "これは*「重要」*です。"):
        assert read(text).text == text


def test_what_nobody_sees_is_not_there() -> None:
    message = read("pre\u200b*fix*\u200bes\n\u00ad&gt; 5")
    assert (message.text, message.quoted) == ("prefixes\n> 5", [])


@pytest.mark.parametrize(
    "text",
    [
        "「*重要*」です。",
        "*注意：*、次へ",
        "from ~$58k to ~$16k",
        "a/*b*/c",
        "<https://x.org|x>*b*",
        "あ`x`い",
        "a `b` ` c",
        "half ``` a fence",
        "a < b",
        "<foo>",
    ],
)
def test_what_slack_may_show_in_two_ways_is_refused(text: str) -> None:
    with pytest.raises(Ambiguous):
        read(text)

"""What people type in Slack, as the model reads it."""

from __future__ import annotations

import pytest

from adapters.slack.reading.text import read_text
from tests.adapters.slack.payloads import ME

NAMES = {"U02": "Bob"}


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("<@UBOT> hello", "hello"),
        ("<@UBOT>: hello", "hello"),
        ("<@UBOT|parley>, hello", "hello"),
        ("hey <@UBOT> what is this?", "hey what is this?"),
        ("<@UBOT>", ""),
        ("ask <@U02> and <@U03>", "ask @Bob and @U03"),
        ("see <#C01|general> and <#C02>", "see #general and (a channel)"),
        ("move it to <#C02|>", "move it to (a channel)"),
        ("<!here> <!channel|channel> <!everyone|@everyone>", "@here @channel @everyone"),
        ("<!subteam^S1|@devs> <!subteam^S1|devs>", "@devs @devs"),
        ("is <!subteam^S1> there?", "is (a user group) there?"),
        ("<!date^1700000000^{date}|Tuesday>", "Tuesday"),
        ("<!date^1700000000^{date}^https://x.org|Tuesday>", "Tuesday"),
        ("<!date^1700000000^{date} at {time}>", "2023-11-14 22:13 UTC"),
        ("<!date^soon^{date}>", "(a date)"),
        ("<https://x.org/a>", "https://x.org/a"),
        ("<https://x.org|x.org>", "https://x.org"),
        ("<https://x.org|the page>", "the page (https://x.org)"),
        ("<mailto:a@x.org|a@x.org>", "a@x.org"),
        ("a &lt; b &amp;&amp; c &gt; d", "a < b && c > d"),
        ("&lt;@U02&gt; &amp;lt;", "<@U02> &lt;"),
        ("if a <b> c", "if a <b> c"),
        ("```\nx = 1\n  y = 2\n```", "```\nx = 1\n  y = 2\n```"),
        ("<@UBOT> what is `<@UBOT> stop`?", "what is `@parley stop`?"),
        ("<@UBOT> ```ping <@UBOT>\nand <@U02>```", "```ping @parley\nand @Bob```"),
        ("`<@UBOT>`, hello <@UBOT>", "`@parley`, hello"),
        ("a ` and <@UBOT> no code", "a ` and no code"),
        ("get `<https://x.org/a_b>`", "get `https://x.org/a_b`"),
    ],
)
def test_slacks_own_notation_becomes_plain_text(typed: str, read: str) -> None:
    assert read_text(typed, ME, NAMES).text == read


@pytest.mark.parametrize(
    ("typed", "bot", "others"),
    [
        ("hello", False, False),
        ("<@UBOT> hello", True, False),
        ("<@UBOT> ask <@U02>", True, True),
        ("<@U02> hello", False, True),
        ("<!subteam^S1> hello", False, True),
        ("<!date^1^x|y> <https://x.org>", False, False),
        ("&lt;@UBOT&gt; &lt;@U02&gt;", False, False),
        ("`<@UBOT>` and `<@U02>`", False, False),
        ("```\n<@UBOT>\n<!channel>\n```", False, False),
        ("`a` <@UBOT> `b`", True, False),
    ],
)
def test_it_is_known_who_is_spoken_to(typed: str, bot: bool, others: bool) -> None:
    said = read_text(typed, ME, NAMES)
    assert (said.mentions_bot, said.mentions_others) == (bot, others)

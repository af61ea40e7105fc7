"""Markdown as Slack shows it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.slack.markup import render
from tests.contracts.adapter import MARKDOWN

ZWSP = "\u200b"


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("plain", "plain"),
        ("", ""),
        ("**bold** *it* __bold__ _it_ ~~gone~~", "*bold* _it_ *bold* _it_ ~gone~"),
        ("***both***", "_*both*_"),
        ("pre**fix**es", f"pre{ZWSP}*fix*{ZWSP}es"),
        ("**two\nlines**", "*two*\n*lines*"),
        ("snake_case_name 2*3*4", f"snake_case_name 2{ZWSP}_3_{ZWSP}4"),
        ("`a < b`", "`a &lt; b`"),
        ("`` a`b ``", "a`b"),
        ("# Title **bold**", "*Title bold*"),
        ("Title\n===", "*Title*"),
        ("```python\nx < 1\n```", "```\nx &lt; 1\n```"),
        ("````\n```\n````", f"```\n``{ZWSP}`\n```"),
        ("[text](https://x.org/?a=1&b=2)", "<https://x.org/?a=1&amp;b=2|text>"),
        ("<https://x.org> https://y.org/a_b.", "<https://x.org> <https://y.org/a_b>."),
        ("[**b** `c`](https://x.org)", "<https://x.org|b c>"),
        ("[page](docs/page.md)", "page (docs/page.md)"),
        ("![alt](https://x.org/i.png)", "<https://x.org/i.png|alt>"),
        ("- a\n- b\n  - c", "• a\n• b\n    ◦ c"),
        ("3. a\n4. b", "3. a\n4. b"),
        ("Items:\n- a\n- b\n\nDone", "Items:\n• a\n• b\n\nDone"),
        ("> a\n> b", "> a\n> b"),
        ("a\n\n---\n\nb", "a\n\n" + "─" * 20 + "\n\nb"),
        ("| [x](https://x.org) |\n|---|", "```\nx (https://x.org)\n-----------------\n```"),
        ("| a | bb |\n|---|---|\n| 1 | 2 |", "```\na | bb\n--+---\n1 | 2\n```"),
        ("a\nb", "a\nb"),
        ("    indented", "indented"),
        ("[name]: https://x.org", "[name]: <https://x.org>"),
        ("<b>html</b> <c>", "*html* &lt;c&gt;"),
    ],
)
def test_markdown_becomes_mrkdwn(markdown: str, shown: str) -> None:
    assert render(markdown) == shown


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("so **bol", "so **bol"),
        ("```py\nx = 1", "```\nx = 1\n```"),
        ("```", "```\n\n```"),
        ("see [the pa", "see [the pa"),
        ("see [page](https://x.o", "see [page](<https://x.o>"),
        ("- a\n-", "• a\n• "),
        ("| a | b |\n|--", "| a | b |\n|--"),
    ],
)
def test_markdown_that_is_still_being_written_is_shown_as_far_as_it_goes(
    markdown: str, shown: str
) -> None:
    assert render(markdown) == shown


@pytest.mark.parametrize(
    "forged",
    [
        *("<!channel>", "<!here>", "<!everyone|x>", "<@U01>", "<#C01|x>", "<!subteam^S1>"),
        *("&lt;!channel&gt;", "&#60;!channel&#62;", "\\<!channel>", "`<!channel>`"),
        *("```\n<!channel>\n```", "[x](!channel)", "[x](<!channel>)", "![x](@U01)"),
        *("[<!channel>](https://x.org)", "https://x.org/<!channel>", "| <!here> |\n|-|\n| <@U1> |"),
        *("<https://x.org|<!here>>", "[x](https://x.org/|<!here>)", "<!date^1^{date}|x>"),
        *("<javascript:alert(1)>", "<slack://open>", "# <!channel>", "> <!channel>", "- <@U01>"),
    ],
)
def test_the_model_can_neither_ping_nor_command(forged: str) -> None:
    assert not re.search(r"<(?!https?://|mailto:)", render(forged))


LINK = re.compile(r"<(?:https?://|mailto:)[^<>|\s]+(?:\|[^<>\n]*)?>", re.IGNORECASE)
LINE_START = re.compile(r"(?m)^(?:[•◦▪] |[0-9]+\. | {4}|> )+")  # a quote is a real ">"


@settings(deadline=None)
@given(MARKDOWN | st.text(st.characters(categories=("Cs", "Cc", "Po", "Sm"))))
def test_outside_of_links_every_control_character_is_escaped(markdown: str) -> None:
    rest = LINK.sub("", render(markdown))
    assert "<" not in rest
    assert not re.search(r"&(?!amp;|lt;|gt;)", rest)
    assert ">" not in LINE_START.sub("", rest)


@given(MARKDOWN)
def test_what_is_posted_can_be_sent(markdown: str) -> None:
    render(markdown).encode()
    render(markdown[: len(markdown) // 2]).encode()


@pytest.mark.parametrize("pattern", ["> ", "- ", "**a ", "[", "![", "a`", "|a", "_*", "<", "&"])
def test_repetition_is_rendered_in_reasonable_time_and_not_lost(pattern: str) -> None:
    assert "end" in render(pattern * 1_500 + "end")

"""Markdown as Slack shows it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.slack.mrkdwn.markup import render
from tests.contracts.adapter import MARKDOWN

ZWSP = "\u200b"
SHY = "\u00ad"


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
        ("a<br>b &copy; x<sub>i</sub>", "a\nb © xᵢ"),
        ("List<String> <YourName>", "List&lt;String&gt; &lt;YourName&gt;"),
        ("> a\n>\n> > b", "> a\n>\n> b"),
        ("- > a\n  > b", "> • a\n>     b"),
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
    ("markdown", "shown"),
    [
        (
            "see https://github.com/x/y/tree/main/__tests__/a.js",
            "see <https://github.com/x/y/tree/main/__tests__/a.js>",
        ),
        ("https://x.org/_next_/a and *b*", "<https://x.org/_next_/a> and _b_"),
        ("https://x.org/#a_b*c*", "<https://x.org/#a_b*c*>"),
        ("https://x.org/*a https://y.org/*b", "<https://x.org/*a> <https://y.org/*b>"),
        ("**https://x.org/a_b**", "*<https://x.org/a_b>*"),
        (
            "https://en.wikipedia.org/wiki/Python_(programming_language)",
            "<https://en.wikipedia.org/wiki/Python_(programming_language)>",
        ),
        ("(https://x.org/a_(b))", "(<https://x.org/a_(b)>)"),
        (
            "请访问https://example.com/docs，然后登录。",
            "请访问<https://example.com/docs>，然后登录。",
        ),
        ("https://x.org/を開く", "<https://x.org/>を開く"),
        ("[a_b *c*](https://x.org/_d_)", "<https://x.org/_d_|a_b c>"),
        ("[a|b](https://x.org/a|b)", "<https://x.org/a%7Cb|a|b>"),
        (
            "<https://x.org|the page> <https://y.org|y.org>",
            "<https://x.org|the page> <https://y.org|y.org>",
        ),
        ("<mailto:a@x.org|Ada> <a@x.org>", "<mailto:a@x.org|Ada> <mailto:a@x.org>"),
        ("first_last@x.org", "first_last@x.org"),
        ("\\_ \\_me@x.org you_@x.org", "_ <mailto:_me@x.org> <mailto:you_@x.org>"),
    ],
)
def test_an_address_comes_out_byte_for_byte(markdown: str, shown: str) -> None:
    assert render(markdown) == shown


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("**注意：**请先保存文件。", f"*注意：*{ZWSP}请先保存文件。"),
        ("これは**「重要」**です。", f"これは{ZWSP}*「重要」*{ZWSP}です。"),
        ("这是**重点（必读）**内容", f"这是{ZWSP}*重点（必读）*{ZWSP}内容"),
        ("これは*斜体*と~~取消~~です", f"これは{ZWSP}_斜体_{ZWSP}と{ZWSP}~取消~{ZWSP}です"),
        ("**한국어**를", f"*한국어*{ZWSP}를"),
        ("設定は**完了**。次へ", f"設定は{ZWSP}*完了*{ZWSP}。次へ"),
        ("`設定`を開く", f"`設定`{ZWSP}を開く"),
        ('(**a**), "*b*": ~~c~~!', '(*a*), "_b_": ~c~!'),
        ("**a**/**b**", f"*a*{ZWSP}/{ZWSP}*b*"),
        ("**a**_b_`c`", f"*a*{ZWSP}_b_{ZWSP}`c`"),
        ("[x](https://x.org)**b**", f"<https://x.org|x>{ZWSP}*b*"),
        ("**a *b* c** ***d***", "*a _b_ c* _*d*_"),
        ("a<b> b </b>c", "a *b* c"),
        ("**`a`** <b></b>", "*`a`* "),
    ],
)
def test_a_mark_stands_at_a_border_that_slack_knows(markdown: str, shown: str) -> None:
    assert render(markdown) == shown.strip()


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("It went from ~$58k to ~$16k", "It went from ∼$58k to ∼$16k"),
        ("only ~5", "only ~5"),
        ("~5 and ~~gone~~", "∼5 and ~gone~"),
        ("\\*literal stars\\*", "∗literal stars∗"),
        ("\\_so\\_ \\`so\\`", "ˍsoˍ ˋsoˋ"),
        ("2 * 3 * 4, a\\*b\\*c, snake_case_name", "2 * 3 * 4, a*b*c, snake_case_name"),
        ("a\\* and b\\*", "a* and b*"),
        ("**bold \\* star**", "*bold ∗ star*"),
        ("_see max_tokens_", "_see max_tokens_"),
        ("＊強調＊ ＿下線＿ ｀式｀", "﹡強調﹡ ⸏下線⸏ ˋ式ˋ"),
        ("press \\` or `Esc`", "press ˋ or `Esc`"),
        ("[\\*x\\*](https://x.org)", "<https://x.org|∗x∗>"),
        ("\\> 5 items\n\\> 6", f"{SHY}&gt; 5 items\n{SHY}&gt; 6"),
        ("＞ 5", f"{SHY}＞ 5"),
        ("a \\> b\n\n- \\> c", "a &gt; b\n\n• &gt; c"),
    ],
)
def test_a_plain_character_does_not_act(markdown: str, shown: str) -> None:
    assert render(markdown) == shown


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("press `` ` `` now", "press ` now"),
        ("`` a`b `` and `c`", "```a`b``` and `c`"),
        ("run `` SELECT `id` FROM `t` `` now", "run ``` SELECT `id` FROM `t` ``` now"),
        ("`` *a`* ``", "```*a`*```"),
        ("**run `` `a` `` now**", "*run* ``` `a` ``` *now*"),
        ("- use `` `a` ``", "• use ``` `a` ```"),
    ],
)
def test_code_with_backticks_keeps_them(markdown: str, shown: str) -> None:
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
LINE_START = re.compile(r"(?m)^(?:[•◦▪] |[0-9]+\. | {4}|>(?: |$))+")  # a quote is a real ">"


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

"""Markdown as Teams shows it: no headings, tables, rules and images, and nothing that pings."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.teams.activities.streams import settled
from adapters.teams.markup import drawing, render
from bot.markdown.layout import Layout
from bot.markdown.tree import LineBreak, Paragraph, Strong, TextSpan, plain_text
from tests.adapters.teams.conftest import pings
from tests.contracts.adapter import MARKDOWN
from tests.dialects.teams import code_of, signs_of


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("Hello *there* **you** ~~not~~", "Hello _there_ **you** ~~not~~"),
        ("# Title\ntext", "**Title**\n\ntext"),
        ("## A **bold** title", "**A bold title**"),
        ("Title\n---\ntext", "**Title**\n\ntext"),
        ("So.\n---\ntext", "So.\n\n────────────────────\n\ntext"),
        ("- one\n- two\n  - three", "- one\n- two\n  - three"),
        ("2. two\n3. three", "2. two\n3. three"),
        ("> quoted\n> more", "> quoted\n> more"),
        ("`code` and `<b>`", "`code` and `<b>`"),
        ("```python\na = b < c\n```", "```\na = b < c\n```"),
        ("[a link](https://x.org/a_b)", "[a link](https://x.org/a_b)"),
        ("see https://x.org/a_b, yes", "see https://x.org/a_b, yes"),
        ("![cat](https://x.org/cat.png)", "[cat](https://x.org/cat.png)"),
        ("[x](javascript:alert(1))", "\\[x\\](javascript:alert(1))"),
        ("a < b & c > d", "a &lt; b &amp; c &gt; d"),
        ("<at>Everyone</at>", "&lt;at&gt;Everyone&lt;/at&gt;"),
        ("snake_case and 2*3*4", "snake\\_case and 2*3*4"),
        ("- [ ] todo", "- ☐ todo"),
        ("one\ntwo  \nthree", "one  \ntwo  \nthree"),
        ("", ""),
    ],
)
def test_markdown_becomes_what_teams_renders(markdown: str, shown: str) -> None:
    assert render(markdown) == shown


def test_a_table_becomes_a_code_block_with_aligned_columns() -> None:
    assert render("| a | long |\n|---|---|\n| **b** | c |") == (
        "```\na | long\n--+-----\nb | c\n```"
    )


def test_a_mention_in_code_is_broken() -> None:
    assert not pings(render("```\n<at>Everyone</at>\n```"))
    assert not pings(render("`<at>Everyone</at>`"))


def test_a_fence_within_code_does_not_end_it() -> None:
    assert render("````\n```\nx\n````").count("```") == 2


def test_code_keeps_its_indentation_in_a_list() -> None:
    assert render("- so:\n  ```\n  a\n    b\n  ```") == "- so:\n\n  ```\n  a\n    b\n  ```"


def shown(rendered: str) -> str:
    return "".join(sign.character for sign in signs_of(rendered))


def marked(rendered: str, mark: str = "strong") -> str:
    return "".join(sign.character for sign in signs_of(rendered) if mark in sign.marks)


def addresses(rendered: str) -> set[str]:
    return {sign.url for sign in signs_of(rendered)} - {""}


@pytest.mark.parametrize(
    "address",
    [
        "https://github.com/x/y/tree/main/__tests__/a.js",
        "https://x.org/_next_/app.js",
        "https://x.org/a#a_b*c*d",
        "https://x.org/a*b*/~c~~/`",
        "https://x.org/?a=1&copy=2",
        "https://x.org/?a=1&copy",
        "https://en.wikipedia.org/wiki/Python_(programming_language)",
    ],
)
@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "see {} there",
        "**{}**",
        "({})",
        "两个{}，",
        "- {}",
        "{}.",
        "{}; so",
        "!{}",
        "*so!**{}*",
    ],
)
def test_an_address_is_an_address_byte_for_byte(address: str, text: str) -> None:
    if address.endswith("`"):
        text = text.replace("{}", "[x]({})")
    assert addresses(render(text.format(address))) == {address}


@pytest.mark.parametrize(
    ("markdown", "bold"),
    [
        ("**注意：**请先保存文件。", "注意："),
        ("これは**「重要」**です。", "「重要」"),
        ("这是**重点（必读）**内容", "重点（必读）"),
        ("設定は**完了**。次へ", "完了"),
        ("**`코드`**를 **[문서](https://x.org)**에서", "코드문서"),
        ("これは**`code`**です", "code"),
        ("**설정(필수)**을 여세요", "설정(필수)"),
    ],
)
def test_bold_is_bold_in_scripts_without_spaces(markdown: str, bold: str) -> None:
    assert marked(render(markdown)) == bold
    assert shown(render(markdown)) == markdown.replace("*", "").replace("`", "").replace(
        "[문서](https://x.org)", "문서"
    ).replace(" ", "")


@pytest.mark.parametrize(
    ("markdown", "slanted", "rendered"),
    [
        ("これは*斜体*です", "斜体", "これは*斜体*です"),
        ("2*3*4", "3", "2*3*4"),
        ("an *old* way", "old", "an _old_ way"),
        ("**a *b***", "b", "**a _b_**"),
        ("un*frigging*believable", "frigging", "un*frigging*believable"),
        ("これは*（斜体）*です", "（斜体）", "これ&#12399;*（斜体）*&#12391;す"),
        ("<i>a</i><i>b</i>", "ab", "_ab_"),
        ("~~「旧」~~新", "", "~~「旧」~~&#26032;"),
    ],
)
def test_a_mark_works_within_a_word(markdown: str, slanted: str, rendered: str) -> None:
    assert render(markdown) == rendered
    assert marked(rendered, "em") == slanted


@pytest.mark.parametrize(
    "text",
    [
        *("+ one", "- one", "1. one", "2) two", "# one", "---", "===", "> one", "~~~", "***"),
        *("It went from ~$58k to ~$16k", "*stars*", "_lines_", "`ticks`", "![alt](u)", "a\\b"),
        *(
            "&amp;",
            "<b>",
            "<at>Ada</at>",
            "| a |",
            "|--|",
            ":--|--",
            "[x]: https",
            "a  b",
            "=",
            "!",
        ),
    ],
)
def test_plain_characters_are_shown_as_they_are(text: str) -> None:
    """As plain text in any place: the renderer escapes what would begin something."""
    for spans in (
        (TextSpan(text),),
        (TextSpan("one"), LineBreak(), TextSpan(text), LineBreak(), TextSpan("two")),
        (Strong((TextSpan(text),)), TextSpan(text)),
    ):
        rendered = drawing.blocks((Paragraph(spans),))
        words = "".join("" if isinstance(s, LineBreak) else plain_text((s,)) for s in spans)
        assert shown(rendered) == "".join(words.split())


def parts_of(markdown: str, max_size: int = 600) -> list[str]:
    parts = [*map(str, Layout(drawing, max_size).parts(markdown))]
    assert len(parts) > 1
    return parts


def test_a_quote_that_is_cut_is_a_quote_in_every_part() -> None:
    parts = parts_of("> " + "word " * 560)
    assert all(sign.quotes for part in parts for sign in signs_of(part))


def test_bold_over_many_sentences_is_bold_in_every_part() -> None:
    parts = parts_of("**" + "This is it. " * 100 + "End.**")
    assert all("strong" in sign.marks for part in parts for sign in signs_of(part))


def test_a_quoted_fence_that_is_cut_is_one_in_every_part() -> None:
    lines = [f"line {number}" for number in range(150)]
    parts = parts_of("> ```\n" + "".join(f"> {line}\n" for line in lines) + "> ```")
    assert all(sign.quotes and sign.kind == "block" for each in parts for sign in signs_of(each))
    assert "\n".join(code for part in parts for code in code_of(part, "fence")).split("\n") == lines


def test_every_part_of_a_long_table_has_its_head() -> None:
    rows = "".join(f"| row {number} | {number} |\n" for number in range(80))
    parts = parts_of(f"| name | number |\n|---|---|\n{rows}")
    assert all(part.startswith("```\nname") for part in parts)
    assert all(part.endswith("\n```") for part in parts)


def test_an_item_that_begins_a_part_keeps_its_level() -> None:
    inner = "".join(f"  - inner {number} {'x' * 40}\n" for number in range(30))
    for part in parts_of(f"- outer\n{inner}- last"):
        levels = {sign.level for sign in signs_of(part) if sign.character == "x"}
        assert levels == {2}


def test_what_is_left_of_an_item_is_no_code_however_deep_it_was() -> None:
    deep = "- a\n  - b\n    - c\n      - " + "word " * 300
    text = "".join(sign.character for part in parts_of(deep) for sign in signs_of(part))
    assert text.count("word") == 300


def test_columns_line_up_in_wide_letters() -> None:
    assert render("| 名前 | n |\n|---|---|\n| 日本 | 1 |\n| a | 2 |") == (
        "```\n名前 | n\n-----+--\n日本 | 1\na    | 2\n```"
    )


def test_html_that_models_write_is_what_it_means() -> None:
    rendered = render("H<sub>2</sub>O<br>x<sup>2</sup> <kbd>Ctrl</kbd> &copy; <u>so</u>")
    assert rendered == "H₂O  \nx² `Ctrl` © so"
    assert render("| a |\n|---|\n| b<br>c |") == "```\na\n---\nb c\n```"


def test_code_with_backticks_is_code() -> None:
    assert render("`` a`b `` and `` ` ``") == "``a`b`` and `` ` ``"
    assert code_of(render("`` a`b `` and `` ` ``"), "code_inline") == ["a`b", "`"]


def test_the_size_of_a_part_is_counted_in_utf_16() -> None:
    assert all(len(part) <= 300 for part in parts_of("😀" * 1000))


@pytest.mark.parametrize(
    ("rendered", "stable"),
    [
        ("Hello wor", "Hello wor"),
        ("Hello \\*\\*wo", "Hello"),
        ("One\n\n- two **th", "One\n\n- two"),
        ("Code:\n\n```\na = 1\n```", "Code:\n\n```\na = 1"),
        ("Code:\n\n```\na = *b", "Code:\n\n```\na = *b"),
        ("Table:\n\n| a | b |", "Table:"),
        ("Table:\n\n```\na | b\n--+--\n1 | 2\n```", "Table:"),
        ("- code:\n\n  ```\n  a = 1\n  ```", "- code:\n\n  ```\n  a = 1"),
        ("see https://x.org/a", "see"),
        ("see htt", "see"),
        ("これは", "これ"),
        ("so\n\n\\[  \nx =", "so"),
        ("One\n\n- \\*", "One"),
        ("4. four  \n   1\\.", "4. four"),
        ("One\n- ────────────────────", "One"),
        ("So:\n\na | b\n\n────────────────────", "So:"),
        ("文書はhttps://x.o", "文書は"),
        ("Ticks: ```` ``` ````\n\n* ", "Ticks: ```` ``` ````"),
        ("One\n\n-", "One"),
        ("One\n\n1.", "One"),
        ("", ""),
    ],
)
def test_what_more_text_could_change_is_held_back(rendered: str, stable: str) -> None:
    assert settled(rendered) == stable


REPLY = """# Plan

Here is **what** to do with `code` and [a link](https://x.org), see https://x.org/a.

1. First *this*
2. Then that
   - and this

```python
def f(x):
    return x ** 2  # *stars*
```

> A quote

Done & dusted. 5 < 6!
"""


JAPANESE = """これは**「重要」**です。*（斜体）*も。

| 名前 | 値 |
|---|---|
| 日本語 | [文書](https://x.org/_a_) |

\\[
x = y
\\]

詳しくは https://x.org/docs を。
"""


@pytest.mark.parametrize("reply", [REPLY, JAPANESE])
def test_a_reply_streams_without_ever_taking_text_back(reply: str) -> None:
    layout, shown = Layout(drawing, 20_000), ""
    for end in range(1, len(reply) + 1):
        text = "".join(layout.parts(reply[:end], is_growing=True))
        now = settled(text)
        assert now.startswith(shown) or text.startswith(shown)
        shown = max(shown, now, key=len)
    assert render(reply).startswith(shown)
    assert len(shown) > len(reply) / 2


@settings(max_examples=200, deadline=None)
@given(MARKDOWN, st.integers(0, 30))
def test_any_text_renders_without_a_ping_and_settles_to_a_beginning(
    markdown: str, more: int
) -> None:
    rendered = render(markdown)
    assert not pings(rendered)
    assert rendered.startswith(settled(rendered))
    assert render(markdown + "x" * more) is not None

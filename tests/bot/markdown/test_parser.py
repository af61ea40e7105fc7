"""What models mean by their Markdown, as a tree."""

from __future__ import annotations

import pytest

from bot.markdown.parser import parse
from bot.markdown.tree import (
    Block,
    CodeBlock,
    CodeSpan,
    Emphasis,
    Formula,
    Heading,
    LineBreak,
    Link,
    ListItem,
    Paragraph,
    Quote,
    Span,
    Strike,
    Strong,
    TableBlock,
    TextSpan,
    ThematicBreak,
    Underline,
    plain_text,
)


def spans(markdown: str) -> tuple[Span, ...]:
    (block,) = parse(markdown)
    assert isinstance(block, Paragraph)
    return block.spans


def links(markdown: str) -> list[str]:
    return [span.url for span in spans(markdown) if isinstance(span, Link)]


def paragraph(text: str, *, hugs: bool = False) -> Paragraph:
    return Paragraph((TextSpan(text),), hugs)


@pytest.mark.parametrize(
    "address",
    [
        "https://github.com/x/y/tree/main/__tests__/a.js",
        "https://example.com/_next_/static",
        "https://example.com/#a_b*c*",
        "https://en.wikipedia.org/wiki/Python_(programming_language)",
        "https://example.com/a~b~c",
        "https://example.com/[x]/{y}",
        "https://example.com:8443/a:b",
        "https://ada:secret@example.com/a",
        "https://[::1]:8080/a",
        "http://example.com/?q=%28x%29&r=ü",
        "https://zh.wikipedia.org/wiki/中文",
    ],
)
def test_an_address_is_found_whole_before_emphasis_is(address: str) -> None:
    around_marks = () if address.endswith("*") else ("**{}**", "*{}*")
    for around in ("See {} there.", "({})", "_{}_", "{}, or", "“{}”", "{}", "{}!", *around_marks):
        found = str(parse(around.format(address)))
        assert f"Link(url={address!r}, spans=())" in found, around


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("请访问https://example.com/docs，然后登录。", "https://example.com/docs"),
        ("詳しくはhttps://example.com/docsをご覧ください", "https://example.com/docs"),
        ("자세한 것은 https://example.com/docs에서", "https://example.com/docs"),
        ("انظر https://example.com/docs، ثم", "https://example.com/docs"),
        ("(see https://example.com/a_(b))", "https://example.com/a_(b)"),
        ("https://example.com/a.", "https://example.com/a"),
        ("\\https://example.com/a", "https://example.com/a"),
        ("https://example.com/a?!", "https://example.com/a"),
        ("https://example.com:smile: and on", "https://example.com"),
        ("见https://example.com:这里", "https://example.com"),
        ("https://[::1]:here", "https://[::1]"),
        ("https://example.com/a[b](c", "https://example.com/a"),
        ("<https://example.com/a>", "https://example.com/a"),
        ("[https://example.com/a](https://example.com/a)", "https://example.com/a"),
    ],
)
def test_an_address_ends_where_people_see_its_end(text: str, address: str) -> None:
    assert links(text) == [address]


@pytest.mark.parametrize("text", ["xhttps://a.example", "https://", "`https://a.example`", "a://b"])
def test_what_only_looks_like_an_address_is_none(text: str) -> None:
    assert links(text) == []


@pytest.mark.parametrize(
    ("markdown", "bold"),
    [
        ("**注意：**请先保存文件。", "注意："),
        ("これは**「重要」**です。", "「重要」"),
        ("这是**重点（必读）**内容", "重点（必读）"),
        ("이것은 **“강조”**는 것", "“강조”"),
        ("นี่คือ**หมายเหตุ:**กรุณา", "หมายเหตุ:"),
        ("a **b** c", "b"),
    ],
)
def test_bold_works_where_no_spaces_stand_between_words(markdown: str, bold: str) -> None:
    assert Strong((TextSpan(bold),)) in spans(markdown)


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("これは*斜体*です", Emphasis((TextSpan("斜体"),))),
        ("これは~~取消~~です", Strike((TextSpan("取消"),))),
        ("2*3*4", Emphasis((TextSpan("3"),))),
        ("a <u>b</u>", Underline((TextSpan("b"),))),
        ("<b>b</b> a", Strong((TextSpan("b"),))),
        ("<kbd>Ctrl</kbd>+C", CodeSpan("Ctrl")),
        ('<a href="https://a.example">b</a>', Link("https://a.example", (TextSpan("b"),))),
        ("![alt](https://a.example/x.png)", Link("https://a.example/x.png", (TextSpan("alt"),))),
        (
            "![<https://b.example|b>](https://a.example)",
            Link("https://a.example", (TextSpan("b"),)),
        ),
        ("``a ` b``", CodeSpan("a ` b")),
        (r"\(x^2\)", Formula("x^2")),
        ("$x_1$", Formula("x_1")),
        ("$$a+b$$", Formula("a+b", is_block=True)),
    ],
)
def test_a_span_is_what_it_means(markdown: str, expected: Span) -> None:
    assert expected in spans(markdown)


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("H<sub>2</sub>O and m<sup>2</sup>", "H₂O and m²"),
        ("from ~$58k to ~$16k", "from ~$58k to ~$16k"),
        ("it costs $5 and $16", "it costs $5 and $16"),
        (r"\*literal\* \> five", "*literal* > five"),
        ("<YourName> and List<String>", "<YourName> and List<String>"),
        ("use <std::string> &amp; <b>", "use <std::string> & <b>"),
        ("a </div> b", "a </div> b"),
    ],
)
def test_text_is_what_people_read(markdown: str, text: str) -> None:
    assert spans(markdown) == (TextSpan(text),)


def test_a_break_in_html_is_a_line_break() -> None:
    assert spans("one<br>two<br/>three") == (
        *(TextSpan("one"), LineBreak(), TextSpan("two"), LineBreak(), TextSpan("three")),
    )


def test_folded_details_are_a_bold_line_and_their_content() -> None:
    blocks = parse("<details>\n<summary>More</summary>\n\nThe text.\n\n</details>")
    assert blocks == (Paragraph((Strong((TextSpan("More"),)),)), paragraph("The text."))


@pytest.mark.parametrize(
    ("markdown", "blocks"),
    [
        ("Title\n===", [Heading(1, (TextSpan("Title"),))]),
        ("Title\n---", [Heading(2, (TextSpan("Title"),))]),
        ("A sentence.\n---", [paragraph("A sentence."), ThematicBreak(hugs=True)]),
        ("***", [ThematicBreak()]),
        ("#### Step **one**", [Heading(4, (TextSpan("Step "), Strong((TextSpan("one"),))))]),
        ("3. c\n4. d", [ListItem((paragraph("c"),), 3), ListItem((paragraph("d"),), 4, hugs=True)]),
        ("- [ ] a", [ListItem((paragraph("☐ a"),))]),
        ("- [x] a", [ListItem((paragraph("☑ a"),))]),
        ("+ one", [ListItem((paragraph("one"),))]),
        ("~~~py\nx\n~~~", [CodeBlock("x", "py")]),
        ("````\n```\nx\n```\n````", [CodeBlock("```\nx\n```")]),
        ("```markdown\n# T\n```py\nx\n```\n```", [CodeBlock("# T\n```py\nx\n```", "markdown")]),
        ("\\[\nx\n- y\n\\]", [Paragraph((Formula("x\n- y", is_block=True),))]),
        ("> a\n>\n> b", [Quote((paragraph("a"), paragraph("b")))]),
    ],
)
def test_a_block_is_what_it_means(markdown: str, blocks: list[Block]) -> None:
    assert [*parse(markdown)] == blocks


def test_a_fence_in_an_item_holds_what_looks_like_markdown() -> None:
    code = "#### no heading\n| a | b |\n|---|---|"
    inside = "\n".join(f"    {line}" for line in code.split("\n"))
    (item,) = parse(f"- item\n\n    ```\n{inside}\n    ```")
    assert isinstance(item, ListItem)
    assert item.blocks[1] == CodeBlock(code)


def test_a_fence_in_an_item_may_be_closed_at_the_margin() -> None:
    blocks = parse("1. Step\n   ```py\n   x\n```\nafter")
    assert blocks[1] == paragraph("after", hugs=True)


def test_a_table_may_begin_right_under_an_item_and_ends_at_a_line_without_a_bar() -> None:
    item, table, text = parse("- item\n| a | b |\n|---|---|\n| `x \\| y` | z<br>w |\nMore text.")
    assert isinstance(item, ListItem)
    assert isinstance(table, TableBlock)
    assert table.rows[0][0] == (CodeSpan("x | y"),)
    assert plain_text(table.rows[0][1]) == "z w"
    assert text == paragraph("More text.", hugs=True)


@pytest.mark.parametrize("text", ["<br>", "<details>\n</details>", "<p></p>"])
def test_tags_that_would_show_nothing_are_shown_themselves(text: str) -> None:
    (block,) = parse(text)
    assert isinstance(block, Paragraph)
    assert plain_text(block.spans) == text.replace("\n", " ")


@pytest.mark.parametrize(("begin", "end"), [("*", "*"), ("<u>", "</u>"), ("<b><i>", "</i></b>")])
def test_marks_within_more_marks_than_anybody_writes_are_left_out(begin: str, end: str) -> None:
    found = spans(f"{begin * 3_000}word [a](https://x.org){end * 3_000}")
    assert plain_text(found) == "word a (https://x.org)"


def test_text_that_nests_deeper_than_anybody_writes_is_shown_as_typed() -> None:
    (block,) = parse("> " * 60 + "deep")
    assert isinstance(block, Paragraph)
    assert plain_text(block.spans) == "> " * 60 + "deep"

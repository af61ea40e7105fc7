"""What people on Discord see of any answer, by Discord's own dialect of Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from adapters.discord.markup import drawing
from bot.formulas.readable import readable
from bot.markdown.drawing import table_lines
from bot.markdown.layout import Layout
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
    Marked,
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
from tests.corpus import answers as corpus
from tests.dialects.discord import DiscordDialect, Sign, running_dialect, shown
from tests.markdown_samples import RAW, answers, answers_with_tables

UNSEEN = "\u200b\u2060│"
REOPENED = re.compile(r"\A(?:(?:> )? *(?:-|\d+\.) …\n)+")
"""An item that goes on in this part, above its own items."""

MARKS: dict[type[Span], str] = {
    Strong: "strong",
    Emphasis: "emphasis",
    Strike: "strike",
    Underline: "underline",
}
RAW_PIECES = (
    *(
        *RAW,
        *RAW,
        "**",
        "__",
        "~~",
        "||",
        "```",
        "](",
        "](https://x.org)",
        "https://x.org",
        "@here",
    ),
    *(
        "<@1",
        "<t:1:R>",
        "</a:1>",
        "\n- ",
        "\n> ",
        "\n# ",
        "-# ",
        "1. ",
        "`a`",
        "_a_",
        "word",
        "    ",
    ),
)
Marks = frozenset[str]
often = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.differing_executors]
)


@pytest.fixture(scope="module")
def dialect() -> Iterator[DiscordDialect]:
    with running_dialect() as dialect:
        yield dialect


def meant(blocks: Iterable[Block], marks: Marks = frozenset(), depth: int = 0) -> Iterator[Sign]:
    """What people are to see of a tree."""
    for block in blocks:
        match block:
            case Paragraph(spans):
                yield from written(spans, marks)
            case Heading(_, spans):
                yield from written(spans, marks | {"strong"})
            case CodeBlock(content):
                yield from shown(content, kind="block")
            case TableBlock():
                yield from shown("\n".join(table_lines(block)), kind="block")
            case Quote(inner) if depth or "quote" in marks:
                yield from meant(inner, marks, depth)
            case Quote(inner):
                yield from meant(inner, marks | {"quote"}, depth)
            case ListItem(inner, number):
                yield from shown("-" if number is None else f"{number}.", marks)
                yield from meant(inner, marks, depth + 1)
            case ThematicBreak():
                yield from shown("─" * 20, marks)


def written(spans: Iterable[Span], marks: Marks) -> Iterator[Sign]:
    for span in spans:
        match span:
            case TextSpan(content):
                yield from shown(content, marks)
            case CodeSpan(content) if {1, 2} <= {*map(len, re.findall("`+", content))}:
                yield from shown(content, marks)  # Discord has no marks for such code
            case CodeSpan(content):
                yield from shown(content, kind="code")
            case Formula(latex):
                yield from shown(readable(latex), marks)
            case LineBreak():
                continue
            case Link(url, label):
                yield from linked(url, label, marks)
            case _:
                yield from written(span.spans, marks | {MARKS[type(span)]})


def linked(url: str, label: tuple[Span, ...], marks: Marks) -> Iterator[Sign]:
    """Where Discord takes no label, the address stands behind it."""
    words, address = plain_text(label), url.removeprefix("mailto:")
    is_link = url.startswith(("http://", "https://"))
    if words and is_link and "://" not in words and "[" not in words and "]" not in words:
        yield from shown(words, kind=url)
        return
    yield from written(label, marks)
    yield from shown("(" if words else "", marks)
    yield from shown(address, kind=url) if is_link else shown(address, marks)
    yield from shown(")" if words else "", marks)


def runs(signs: Iterable[Sign]) -> list[tuple[str, list[str], str]]:
    """Signs of the same look together, without those that only shape the text."""
    kept = (sign for sign in signs if sign.character not in UNSEEN)
    return [
        ("".join(sign.character for sign in group), sorted(marks), kind)
        for (marks, kind), group in groupby(kept, key=lambda sign: (sign.marks, sign.kind))
    ]


@often
@given(answers_with_tables)
def test_a_message_shows_what_was_meant(dialect: DiscordDialect, markdown: str) -> None:
    rendered = drawing.markdown(markdown)
    assert runs(dialect.signs(rendered)) == runs(meant(parse(markdown))), rendered


@often
@given(st.lists(st.sampled_from(RAW_PIECES), max_size=25).map("".join))
def test_any_text_shows_what_was_meant(dialect: DiscordDialect, text: str) -> None:
    rendered = drawing.markdown(text)
    assert runs(dialect.signs(rendered)) == runs(meant(parse(text))), rendered


@often
@given(st.lists(answers, min_size=1, max_size=4).map("\n\n".join), st.integers(300, 600))
def test_the_parts_of_a_message_show_it_whole(
    dialect: DiscordDialect, markdown: str, max_size: int
) -> None:
    tree = parse(markdown)
    parts = Layout(drawing, max_size).parts(markdown)
    assert all(len(part) <= max_size for part in parts)
    assume(max(map(drawn, atoms(tree)), default=0) <= max_size / 2)
    found = (sign for part in parts for sign in dialect.signs(REOPENED.sub("", part)))
    assert runs(found) == runs(meant(tree)), parts


@pytest.mark.parametrize("max_size", [500, 2000])
def test_answers_as_models_write_them_are_shown_whole(
    dialect: DiscordDialect, max_size: int
) -> None:
    """But for tables that are cut, whose head stands in each part."""
    for answer in corpus.answers():
        tree = parse(answer.markdown)
        parts = Layout(drawing, max_size).parts(answer.markdown)
        assert all(len(part) <= max_size for part in parts)
        found = (sign for part in parts for sign in dialect.signs(REOPENED.sub("", part)))
        if len(parts) == 1 or not has_table(tree):
            assert runs(found) == runs(meant(tree)), answer


def has_table(blocks: Iterable[Block]) -> bool:
    return any(
        isinstance(block, TableBlock)
        or (isinstance(block, Quote | ListItem) and has_table(block.blocks))
        for block in blocks
    )


def atoms(blocks: Iterable[Block]) -> Iterator[Span]:
    """The links and code that stay whole where a message has room for them."""
    for block in blocks:
        match block:
            case Paragraph(spans) | Heading(_, spans):
                yield from (span for span in flat(spans) if isinstance(span, Link | CodeSpan))
            case Quote(inner) | ListItem(inner):
                yield from atoms(inner)


def flat(spans: Iterable[Span]) -> Iterator[Span]:
    for span in spans:
        yield span
        if isinstance(span, Marked):
            yield from flat(span.spans)


def drawn(span: Span) -> int:
    return len(drawing.block(Paragraph((span,))))

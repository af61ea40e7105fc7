"""Whatever the model writes: what Teams shows of it, read by a reader that is not Parley's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.teams.activities.streams import settled
from adapters.teams.markup import drawing, render
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
    Paragraph,
    Quote,
    Span,
    Strike,
    Strong,
    TableBlock,
    TextSpan,
    ThematicBreak,
)
from tests.adapters.teams.conftest import TAG, pings
from tests.corpus.answers import Answer
from tests.corpus.answers import answers as corpus
from tests.dialects.teams import Sign, code_of, runs, shown, signs_of, text
from tests.markdown_samples import answers, answers_with_tables

T = TypeVar("T")
CORPUS = corpus()
MARKS = {Strong: "strong", Emphasis: "em", Strike: "strike"}
SIZES = st.sampled_from([400, 600, 3_000])
often = settings(max_examples=100, deadline=None)


def meant(blocks: Iterable[Block], like: Sign) -> Iterator[Sign]:
    """What people are to see of a tree."""
    for block in blocks:
        match block:
            case Paragraph(spans):
                yield from written(spans, like)
            case Heading(_, spans):
                yield from written((Strong(spans),), like)
            case CodeBlock(content):
                yield from shown(content, replace(like, kind="block"))
            case TableBlock():
                table = "\n".join(table_lines(block))
                yield from shown(table, replace(like, kind="block"))
            case Quote(inner):
                yield from meant(inner, replace(like, quotes=like.quotes + 1))
            case ListItem(inner, number):
                bullet = "-" if number is None else f"{number}."
                yield from shown(bullet, replace(like, kind="bullet"))
                yield from meant(inner, replace(like, level=like.level + 1))
            case ThematicBreak():
                yield from shown("─" * 20, like)


def written(spans: Iterable[Span], like: Sign) -> Iterator[Sign]:
    for span in spans:
        match span:
            case TextSpan(content):
                yield from text(content, like)
            case CodeSpan(content) if TAG.search(content):
                yield from shown(content, like)
            case CodeSpan(content):
                yield from shown(content, replace(like, kind="span"))
            case Formula(latex):
                yield from shown(readable(latex), like)
            case LineBreak():
                pass
            case Link(url, label):
                yield from linked(url, label, like)
            case _:
                mark = MARKS.get(type(span))
                marks = like.marks | {mark} if mark else like.marks
                yield from written(span.spans, replace(like, marks=marks))


def linked(url: str, label: tuple[Span, ...], like: Sign) -> Iterator[Sign]:
    if url.startswith(("http://", "https://", "mailto:")):
        words = [*written(label, replace(like, url=url))]
        yield from words or shown(url.removeprefix("mailto:"), replace(like, url=url))
        return
    yield from written(label, like)
    yield from shown(f"({url})" if label else url, like)


def seen(signs: Iterable[Sign]) -> list[Sign]:
    return [sign for sign in signs if sign.character != "\u200b"]


def words(signs: Iterable[Sign]) -> list[Sign]:
    """Without lists: what follows of an item that is cut has no mark of its own."""
    return [replace(sign, level=0) for sign in seen(signs) if sign.kind != "bullet"]


def parts_of(markdown: str, max_size: int) -> list[str]:
    return list(Layout(drawing, max_size).parts(markdown))


def spans_of(blocks: Iterable[Block | Span], kind: type[T]) -> Iterator[T]:
    """All blocks or spans of a kind, in their order."""
    for each in blocks:
        if isinstance(each, kind):
            yield each
        match each:
            case Paragraph(inner) | Heading(_, inner) | Quote(inner) | ListItem(inner):
                yield from spans_of(inner, kind)
            case Link(_, inner) | Strong(inner) | Emphasis(inner) | Strike(inner):
                yield from spans_of(inner, kind)


@often
@given(answers_with_tables)
def test_a_message_shows_what_was_meant(markdown: str) -> None:
    rendered = render(markdown)
    assert runs(seen(signs_of(rendered))) == runs(seen(meant(parse(markdown), Sign("")))), rendered
    assert not pings(rendered)


@often
@given(answers, SIZES)
def test_its_parts_together_show_the_same(markdown: str, max_size: int) -> None:
    parts = parts_of(markdown, max_size)
    shown_in_parts = [sign for part in parts for sign in signs_of(part)]
    assert runs(words(shown_in_parts)) == runs(words(meant(parse(markdown), Sign("")))), parts


@often
@given(answers_with_tables, SIZES)
def test_no_part_is_too_large_or_pings_and_no_word_is_lost(markdown: str, max_size: int) -> None:
    parts = parts_of(markdown, max_size)
    assert all(len(part.encode("utf-16-le")) <= 2 * max_size for part in parts)
    assert not any(map(pings, parts))
    rest = iter([sign.character for part in parts for sign in signs_of(part)])
    wanted = [each.character for each in words(meant(parse(markdown), Sign("")))]
    assert all(each in rest for each in wanted if each != "-"), parts


@often
@given(answers)
def test_code_and_addresses_come_out_byte_for_byte(markdown: str) -> None:
    tree, rendered = parse(markdown), render(markdown)
    spans = [span.content for span in spans_of(tree, CodeSpan) if not TAG.search(span.content)]
    assert "".join(code_of(rendered, "code_inline")) == "".join(spans)
    drawn = zip(code_of(rendered, "fence"), spans_of(tree, CodeBlock), strict=True)
    for code, block in drawn:
        is_broken_up = "```" in block.content or TAG.search(block.content)
        unseen = "\u200b" if is_broken_up else ""
        assert code.replace(unseen, "") == block.content.replace(unseen, "")
    links = [span.url for span in spans_of(tree, Link) if span.url.startswith(("http", "mailto:"))]
    assert {sign.url for sign in signs_of(rendered)} - {""} == set(links)


@pytest.mark.parametrize("answer", CORPUS, ids=str)
def test_an_answer_of_the_corpus_is_shown_whole(answer: Answer) -> None:
    wanted = [*meant(parse(answer.markdown), Sign(""))]
    assert runs(seen(signs_of(render(answer.markdown)))) == runs(seen(wanted))
    parts = parts_of(answer.markdown, 900)
    assert all(len(part.encode("utf-16-le")) <= 1_800 for part in parts)
    rest = iter([sign.character for part in parts for sign in signs_of(part)])
    assert all(each.character in rest for each in words(wanted) if each.character != "-")


@pytest.mark.parametrize("answer", CORPUS[::10], ids=str)
def test_an_answer_of_the_corpus_streams_without_taking_text_back(answer: Answer) -> None:
    layout, sent = Layout(drawing, 20_000), ""
    for end in (*range(1, len(answer.markdown), 3), len(answer.markdown)):
        text = "".join(layout.parts(answer.markdown[:end], is_growing=True))
        now = settled(text)
        assert now.startswith(sent) or text.startswith(sent)
        sent = max(sent, now, key=len)
    assert render(answer.markdown).startswith(sent)

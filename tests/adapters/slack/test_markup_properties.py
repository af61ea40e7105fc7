"""Whatever the model writes: what Slack shows of it, read by a strict reader of mrkdwn."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from adapters.slack.mrkdwn.markup import SlackDrawing
from bot.markdown.growing import GrowingTree
from bot.markdown.layout import Layout
from bot.markdown.tree import (
    Block,
    CodeBlock,
    Emphasis,
    Heading,
    ListItem,
    Marked,
    Paragraph,
    Quote,
    Span,
    Strike,
    Strong,
)
from tests.corpus.answers import Answer
from tests.corpus.answers import answers as corpus
from tests.dialects.slack import Message, plain, read
from tests.markdown_samples import MAILS, answers, answers_with_tables
from tests.markdown_shown import Shown, shown

DRAWING = SlackDrawing()
CORPUS = corpus()
KINDS: dict[str, type[Marked]] = {"bold": Strong, "italic": Emphasis, "strike": Strike}
SIZES = st.sampled_from([220, 400, 3_900])
BESIDE = st.sampled_from(["**", "_", "~", "*", " ", "、", "(", " `x` ", "\n", "~~ "])
_DRAWN = re.compile(r"[•◦▪─\s]")

thoroughly = settings(max_examples=100, deadline=None)


def parts_of(markdown: str, max_size: int) -> list[str]:
    return list(Layout(DRAWING, max_size).parts(markdown))


def source(markdown: str) -> Shown:
    return shown(GrowingTree().blocks(markdown))


def joined(parts: list[str]) -> Message:
    whole = Message()
    for part in map(read, parts):
        whole.text += part.text + "\n"
        whole.links += part.links
        whole.code += part.code
        whole.blocks += part.blocks
        whole.marks += part.marks
        whole.quoted += part.quoted
        whole.pings += part.pings
    return whole


def squeezed(text: str) -> str:
    """Its characters without white space, bullets and lines."""
    return _DRAWN.sub("", plain(text))


def is_within(some: str, whole: str) -> bool:
    """Whether the characters of ``some`` stand in ``whole`` in their order."""
    rest = iter(whole)
    return all(character in rest for character in some)


@thoroughly
@given(answers, SIZES)
def test_every_part_shows_the_words_of_the_answer_in_their_order(
    markdown: str, max_size: int
) -> None:
    assert squeezed(joined(parts_of(markdown, max_size)).text) == squeezed(source(markdown).text)


@thoroughly
@given(answers_with_tables, SIZES)
def test_no_word_is_lost_where_tables_are_cut(markdown: str, max_size: int) -> None:
    seen = joined(parts_of(markdown, max_size)).text.replace("-", "")
    assert is_within(squeezed(source(markdown).text.replace("-", "")), squeezed(seen))


@thoroughly
@given(answers, SIZES)
def test_every_link_keeps_its_address_and_its_label(markdown: str, max_size: int) -> None:
    seen = joined(parts_of(markdown, max_size)).links
    assert [link for link in seen if not link[0].startswith("mailto:")] == [
        (url.replace("|", "%7C"), plain(label))
        for url, label in source(markdown).links
        if not url.startswith("mailto:")
    ]


@thoroughly
@given(answers, SIZES)
def test_code_comes_out_byte_for_byte(markdown: str, max_size: int) -> None:
    assume(all(len(code) * 3 < max_size for code in source(markdown).code))  # else it is cut
    seen = joined(parts_of(markdown, max_size))
    wanted = [code for code in source(markdown).code if code.strip() and "```" not in code]
    assert [code for code in seen.code if "`" not in code] == [c for c in wanted if "`" not in c]
    for ticked in (code for code in wanted if "`" in code):
        assert ticked in seen.code or ticked in seen.text


@thoroughly
@given(answers, SIZES)
def test_blocks_of_code_hold_what_they_held(markdown: str, max_size: int) -> None:
    seen = joined(parts_of(markdown, max_size)).blocks
    wanted = [block.replace("```", "``\u200b`") for block in source(markdown).blocks]
    assert "".join("".join(seen).split()) == "".join("".join(wanted).split())


@thoroughly
@given(answers, SIZES)
def test_what_is_quoted_is_a_quote_in_every_part_and_nothing_else_is(
    markdown: str, max_size: int
) -> None:
    assume(not any(is_ticked(code) for code in source(markdown).code))
    seen = joined(parts_of(markdown, max_size)).quoted
    wanted = "".join(quoted(GrowingTree().blocks(markdown)))
    assert unnumbered("".join(seen)) == unnumbered(wanted)


def unnumbered(text: str) -> str:
    return re.sub(r"[\d.]", "", squeezed(text))


def quoted(blocks: Iterable[Block]) -> Iterator[str]:
    """What stands in quotes, but for blocks of code and the numbers of items."""
    for block in blocks:
        match block:
            case Quote(inner):
                yield from unquoted(inner)
            case ListItem(inner):
                yield from quoted(inner)


def unquoted(blocks: Iterable[Block]) -> Iterator[str]:
    for block in blocks:
        match block:
            case Quote(inner) | ListItem(inner):
                yield from unquoted(inner)
            case CodeBlock():
                pass
            case _:
                yield shown((block,)).text


@thoroughly
@given(answers_with_tables, SIZES, st.data())
def test_an_answer_that_grows_is_well_formed_at_every_moment(
    markdown: str, max_size: int, data: st.DataObject
) -> None:
    layout = Layout(DRAWING, max_size)
    for end in sorted(data.draw(st.lists(st.integers(0, len(markdown)), max_size=4))):
        assert joined(list(layout.parts(markdown[:end]))).pings == []


@pytest.mark.parametrize("answer", CORPUS, ids=str)
def test_an_answer_of_the_corpus_is_shown_whole(answer: Answer) -> None:
    parts = parts_of(answer.markdown, 1_000)
    seen = joined(parts).text.replace("-", "")
    assert is_within(squeezed(source(answer.markdown).text.replace("-", "")), squeezed(seen))
    assert all(len(part) <= 1_000 for part in parts)


@thoroughly
@given(answers, SIZES)
def test_what_is_marked_is_what_was_meant_to_be(markdown: str, max_size: int) -> None:
    assume(not any(is_ticked(code) for code in source(markdown).code))
    seen = joined(parts_of(markdown, max_size)).marks
    for kind, node in KINDS.items():
        wanted = "".join(marked(GrowingTree().blocks(markdown), node))
        assert squeezed("".join(text for each, text in seen if each == kind)) == squeezed(wanted)


def marked(blocks: Iterable[Block], node: type[Marked]) -> Iterator[str]:
    """What stands in nodes of this kind; all of a heading is bold."""
    for block in blocks:
        match block:
            case Heading(_, spans) if node is Strong:
                yield from marked_spans(spans, node, is_marked=True)
            case Paragraph(spans) | Heading(_, spans):
                yield from marked_spans(spans, node, is_marked=False)
            case Quote(inner) | ListItem(inner):
                yield from marked(inner, node)


def marked_spans(spans: Iterable[Span], node: type[Marked], *, is_marked: bool) -> Iterator[str]:
    for span in spans:
        if isinstance(span, Marked):
            inner = is_marked or isinstance(span, node)
            yield from marked_spans(span.spans, node, is_marked=inner)
        elif is_marked:
            yield shown((Paragraph((span,)),)).text


def is_ticked(code: str) -> bool:
    """Such code stands outside of marks."""
    return "`" in code and "```" not in code and bool(code.strip())


@thoroughly
@given(st.lists(st.tuples(BESIDE, st.sampled_from(MAILS), BESIDE), max_size=5))
def test_a_mail_address_comes_out_byte_for_byte(pieces: list[tuple[str, str, str]]) -> None:
    parts = parts_of("".join(map("".join, pieces)), 3_900)
    for mail in MAILS:
        assert "".join(parts).count(mail) == sum(mail == each for _, each, _ in pieces)


@thoroughly
@given(answers_with_tables, SIZES)
def test_nothing_pings_and_nothing_is_too_long(markdown: str, max_size: int) -> None:
    parts = parts_of(markdown, max_size)
    assert joined(parts).pings == []
    assert all(len(part) <= max_size for part in parts)

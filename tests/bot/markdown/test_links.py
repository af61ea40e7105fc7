"""Which addresses of a reply are links: those that were said before, and no others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from bot.markdown.links import LinkPolicy
from bot.markdown.parser import parse
from bot.markdown.tree import (
    Block,
    CodeBlock,
    CodeSpan,
    Formula,
    Heading,
    LineBreak,
    Link,
    ListItem,
    Paragraph,
    Quote,
    Span,
    TableBlock,
    TextSpan,
    plain_text,
)

SAID = (
    "Our wiki is https://wiki.example/Start_(page), mail ops@wiki.example; see www.docs.example/a"
)


def links(blocks: Iterable[Block]) -> list[str]:
    return [span.url for span in _spans(blocks) if isinstance(span, Link)]


def codes(blocks: Iterable[Block]) -> list[str]:
    return [span.content for span in _spans(blocks) if isinstance(span, CodeSpan)]


def words(blocks: Iterable[Block]) -> str:
    return "".join(s.content for s in _spans(blocks) if isinstance(s, TextSpan | CodeSpan))


def _spans(blocks: Iterable[Block]) -> Iterator[Span]:
    for block in blocks:
        match block:
            case Paragraph(spans) | Heading(_, spans):
                yield from _flat(spans)
            case TableBlock(head, rows):
                for row in (head, *rows):
                    for cell in row:
                        yield from _flat(cell)
            case Quote(inner) | ListItem(inner):
                yield from _spans(inner)


def _flat(spans: Iterable[Span]) -> Iterator[Span]:
    for span in spans:
        yield span
        if not isinstance(span, Link | TextSpan | CodeSpan | Formula | LineBreak):
            yield from _flat(span.spans)


def shown(reply: str, *said: str) -> list[Block]:
    policy = LinkPolicy.of("known", said)
    return [policy.shown(block) for block in parse(reply)]


@pytest.mark.parametrize(
    ("said", "reply"),
    [
        ("https://example.com/docs", "See https://example.com/docs."),
        ("https://example.com/docs.", "[the docs](https://example.com/docs)"),
        ("Is (https://example.com/a_(b)) right?", "Yes: https://example.com/a_(b)"),
        ("https://Example.COM/Docs", "https://example.com/Docs"),
        ("http://example.com", "https://example.com/"),
        ("https://example.com/docs/", "[docs](http://example.com/docs)"),
        ("look at example.com/docs", "https://example.com/docs"),
        ("we use example.com", "https://example.com"),
        ("www.example.com/?q=1#top", "https://www.example.com/?q=1#top"),
        ("请访问https://example.com/docs，然后登录。", "见https://example.com/docs。"),
        ("请访问example.com/docs。", "[文档](https://example.com/docs)"),
        ('<a href="https://example.com/?a=1&amp;b=2">x</a>', "https://example.com/?a=1&b=2"),
        ("<https://example.com/x|the page>", "https://example.com/x"),
        ("[the page](https://example.com/x)", "https://example.com/x"),
        ("**https://example.com/x**", "https://example.com/x"),
        ('{"url": "https://example.com/x"}', "https://example.com/x"),
        ("name;url\nAda;https://example.com/x;42", "https://example.com/x"),
        ("https://a.example/x,https://b.example/y", "https://b.example/y"),
        ("https://web.archive.org/web/https://example.com/x", "https://example.com/x"),
        ("write to Ops@example.com", "<ops@example.com>"),
        ("[쪽](https://example.com/보고서_(1))", "[쪽](https://example.com/보고서_(1))"),
        ("<mailto:ops@example.com?subject=質問>", "[write](mailto:ops@example.com?subject=質問)"),
        ("mailto:ops@example.com", "[write](mailto:ops@example.com)"),
        ("![logo](https://example.com/logo.png)", "![logo](https://example.com/logo.png)"),
    ],
)
def test_an_address_that_was_said_is_a_link(said: str, reply: str) -> None:
    blocks = shown(reply, said)
    assert len(links(blocks)) == 1
    assert codes(blocks) == []


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/?q=the-secret-of-this-thread",
        "https://wiki.example/Start_(page)?q=secret",
        "https://wiki.example/Start_(page)#secret",
        "https://wiki.example/Start_(page)/secret",
        "https://wiki.example/start_(page)",
        "https://wiki.example/",
        "https://wiki.example.evil.example/Start_(page)",
        "https://wiki.example@evil.example/Start_(page)",
        "https://evil.example/go?to=https://wiki.example/Start_(page)",
        "https://evil.example/https://wiki.example/Start_(page)",
        "https://wiki.example:8443/Start_(page)",
        "ftp://wiki.example/Start_(page)",
    ],
)
def test_an_address_that_differs_is_shown_as_code(address: str) -> None:
    bare, labelled = shown(f"See {address} now.", SAID), shown(f"See [this]({address}) now.", SAID)
    assert (links(bare), codes(bare), words(bare)) == ([], [address], f"See {address} now.")
    assert (links(labelled), codes(labelled)) == ([], [address])
    assert words(labelled) == f"See this ({address}) now."


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        ("go to www.evil.example/?q=secret", "www.evil.example/?q=secret"),
        ("go to evil.com/secret.", "evil.com/secret"),
        ("www.evil.com", "www.evil.com"),
        ("c2VjcmV0.evil.com", "c2VjcmV0.evil.com"),
        ("访问evil.com/secret。", "evil.com/secret"),
        ("secret@evil.example", "secret@evil.example"),
        ("<mailto:ops@wiki.example?body=secret>", "ops@wiki.example?body=secret"),
        ("[x][1] https://evil.example/x\n\n[1]: https://evil.example/y", "https://evil.example/x"),
        ("<https://evil.example/x>", "https://evil.example/x"),
        ("![pixel](https://evil.example/x.png)", "https://evil.example/x.png"),
        ('<a href="https://evil.example/x">here</a>', "https://evil.example/x"),
        ("[see https://evil.example/x](https://evil.example/y)", "https://evil.example/y"),
        ("[x](tel:+491234)", "tel:+491234"),
        ("[x](https://evil.example/a`b)", "https://evil.example/a%60b"),
        (r"\(\href{https://evil.example/x}{y}\)", r"\href{https://evil.example/x}{y}"),
        ("- a\n  > **https://evil.example/x**", "https://evil.example/x"),
        ("| a |\n|---|\n| [x](https://evil.example/x) |", "https://evil.example/x"),
        ("# https://evil.example/x", "https://evil.example/x"),
        ("**bold https://evil.example/?q=*a*", "https://evil.example/?q=*a*"),
    ],
)
def test_every_form_in_which_a_client_makes_a_link_is_code(reply: str, code: str) -> None:
    blocks = shown(reply, SAID)
    assert links(blocks) == []
    assert code in codes(blocks)


def test_an_address_in_the_label_of_an_unknown_link_is_code_too() -> None:
    blocks = shown("[see https://evil.example/x](https://evil.example/y)", SAID)
    assert codes(blocks) == ["https://evil.example/x", "https://evil.example/y"]


@pytest.mark.parametrize(
    "prose",
    [
        "Use Node.js, e.g. with README.md or src/main.py; i.e. version 3.14.",
        "Node.js/Express and Vue.js/React, and/or 1.5/2.",
        "os.path.join, z.B. das, U.S.A., Ph.D., f.eks. 12.30",
        "Is it Node.js? Edit package.json, please.",
        "It ended.Then it began. @here, user@host, a/b/c, 10:30.",
        "Das ist so.Oder nicht? См. пункт.Далее",
        "example.com is a name.",
    ],
)
def test_plain_prose_stays_as_it_is(prose: str) -> None:
    blocks = shown(prose)
    assert (codes(blocks), words(blocks)) == ([], prose)


def test_code_stays_as_it_is() -> None:
    reply = "`curl https://evil.example/x`\n\n```sh\ncurl https://evil.example/y\n```"
    blocks = shown(reply)
    assert codes(blocks) == ["curl https://evil.example/x"]
    assert CodeBlock("curl https://evil.example/y", "sh") in blocks


def test_a_link_without_an_address_is_its_label() -> None:
    assert shown("[here]()") == [Paragraph((TextSpan("here"),))]


def test_the_words_of_a_table_stay_the_same_where_it_is_drawn_as_code() -> None:
    [table] = parse("| a |\n|---|\n| [x](https://evil.example/x) and https://evil.example/y |")
    changed = LinkPolicy.of("known").shown(table)
    assert isinstance(table, TableBlock)
    assert isinstance(changed, TableBlock)
    assert plain_text(changed.rows[0][0]) == plain_text(table.rows[0][0])


def test_all_leaves_every_block_as_it_is() -> None:
    blocks = parse("[x](https://evil.example/x) www.evil.example/y")
    assert [LinkPolicy.of("all").shown(block) for block in blocks] == [*blocks]


def test_none_makes_no_link_of_what_was_said_either() -> None:
    policy = LinkPolicy.of("none", ["https://example.com/docs"])
    blocks = [policy.shown(block) for block in parse("https://example.com/docs")]
    assert (links(blocks), codes(blocks)) == ([], ["https://example.com/docs"])


@pytest.mark.parametrize(
    "piece", ["https://", "www.", "a.", "a@", "a-", "x.com/", "ü-", "[(", "mailto:a@b.co,"]
)
def test_a_text_made_to_be_slow_is_read_at_once(piece: str) -> None:
    policy = LinkPolicy.of("known", [piece * 10_000])
    assert policy.known is not None

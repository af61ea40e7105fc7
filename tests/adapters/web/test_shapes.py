"""What the page is told of the sources of an answer."""

from __future__ import annotations

import pytest

from adapters.web.shapes import Shapes, told
from bot.chats import ChatTurn
from bot.markdown.links import LinkPolicy, LinkSetting
from bot.source import Source
from tests.fakes.clock import START

PAGE = Source("The sea", "It is deep.", kind="page", address="https://example.org/sea")
RULES = Source("rules.md", "One.", kind="fact", heading=("Rules", "Loans"))
TURN = ChatTurn(
    id="t1",
    number=1,
    question="How deep?",
    asked_at=START,
    sources=(Source("a.csv", "1,2"), PAGE, RULES, RULES),
)


@pytest.mark.parametrize(("links", "is_link"), [("known", True), ("all", True), ("none", False)])
def test_each_source_is_named_once_and_linked_where_links_are(
    links: LinkSetting, is_link: bool
) -> None:
    shapes = Shapes("html", LinkPolicy.of(links, told(TURN)))
    assert shapes.turn(TURN, 4096)["sources"] == [
        {"kind": "page", "title": "The sea", "address": PAGE.address if is_link else ""},
        {"kind": "fact", "title": "rules.md › Rules › Loans", "address": ""},
    ]

"""What a reply was made from, as Teams shows it under its numbers."""

from __future__ import annotations

from adapters.teams.activities.messages import ended
from bot.source import Source
from bot.types import Rendered, ReplyEnd
from tests.fakes.teams_entities import wrong_entities

FILE = Source("budget.xlsx.txt", "42")
PAGE = Source("The sea", "It is deep.", kind="page", address="https://example.org/sea")
UNTITLED = Source("", "It is deep.", kind="feed", address="https://example.org/feed")
FACT = Source("rules.md", "One.", kind="fact", heading=("Loans",))


def test_pages_are_cited_with_their_address_and_files_without() -> None:
    body = ended(Rendered("Deep."), ReplyEnd((FILE, PAGE, UNTITLED, FACT)))
    assert wrong_entities(body) == []
    assert body["text"] == "Deep. [1][2][3][4]"
    shown = [claim["appearance"] for claim in body["entities"][0]["citation"]]
    assert [(each["name"], each.get("url")) for each in shown] == [
        ("budget.xlsx.txt", None),
        ("The sea", "https://example.org/sea"),
        ("https://example.org/feed", "https://example.org/feed"),
        ("rules.md › Loans", None),
    ]

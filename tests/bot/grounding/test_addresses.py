"""The addresses that a question names."""

from __future__ import annotations

import pytest

from bot.grounding.addresses import addresses_in, host_of, is_on

SEA = "https://example.org/sea"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("What does https://a.example/b?c=d#e say?", ("https://a.example/b?c=d#e",)),
        ("See (https://a.example/x_(y)), please.", ("https://a.example/x_(y)",)),
        ("请访问https://a.example/docs，然后", ("https://a.example/docs",)),
        ("HTTP://A.example", ("HTTP://A.example",)),
        ("**https://a.example**", ("https://a.example",)),
        ("[here](https://a.example/b)", ("https://a.example/b",)),
        ("<https://a.example/b>", ("https://a.example/b",)),
        ("http://[2001:db8::1]:80/", ("http://[2001:db8::1]:80/",)),
        ("https:// nothing, ftp://a.example, xhttp://a.example, a.example", ()),
        ("https://a.example https://a.example", ("https://a.example",)),
        ("> https://q.example\n\nhttps://a.example", ("https://a.example", "https://q.example")),
        (
            "http://a.example http://b.example http://c.example http://d.example",
            ("http://a.example", "http://b.example", "http://c.example"),
        ),
        ("", ()),
    ],
)
def test_an_address_is_found_as_it_is_written(text: str, found: tuple[str, ...]) -> None:
    assert addresses_in(text) == found


@pytest.mark.parametrize(
    ("address", "site", "is_there"),
    [
        ("https://www.canada.ca/feed.xml", "canada.ca", True),
        ("https://news.canada.ca/feed.xml", "Canada.ca", True),
        ("https://notcanada.ca/feed.xml", "canada.ca", False),
        ("https://canada.ca.evil.example/", "canada.ca", False),
        ("https://canada.ca/x", "https://www.canada.ca/y", True),
        ("https://canada.ca/x", "canada.ca/y", True),
        ("https://[", "canada.ca", False),
    ],
)
def test_a_site_has_its_own_pages_and_those_of_its_parts(
    address: str, site: str, is_there: bool
) -> None:
    assert is_on(address, (site,)) is is_there


def test_what_is_no_address_is_named_as_it_is() -> None:
    assert host_of("https://[") == "https://["


def test_a_text_of_a_million_characters_is_looked_through_at_once() -> None:
    assert max(map(len, addresses_in("https://a.example/?" * 50_000))) <= 4_000
    assert len(addresses_in("http://a.example/1 " * 50_000)) == 1
    assert addresses_in("x " * 500_000 + SEA) == (SEA,)

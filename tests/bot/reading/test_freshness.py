"""How long an answer is used again: as its headers say, and for an hour at most."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from bot.reading.freshness import about_keeping, conditions, fresh_seconds, seconds_of

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def date(seconds: float) -> str:
    return format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 300),
        ({"Cache-Control": ""}, 300),
        ({"Cache-Control": "public"}, 300),
        ({"Cache-Control": "max-age=60"}, 60),
        ({"Cache-Control": 'MAX-AGE = "60"'}, 60),
        ({"Cache-Control": "max-age=60, s-maxage=20"}, 20),
        ({"Cache-Control": "max-age=60, max-age=90"}, 60),
        ({"Cache-Control": "max-age=0"}, 0),
        ({"Cache-Control": "max-age=-1"}, 0),
        ({"Cache-Control": "max-age=soon"}, 0),
        ({"Cache-Control": "max-age"}, 0),
        ({"Cache-Control": "max-age=99999999999"}, 0),
        ({"Cache-Control": "max-age=31536000, immutable"}, 3600),
        ({"Cache-Control": "no-cache"}, 0),
        ({"Cache-Control": 'no-cache="set-cookie", max-age=60'}, 0),
        ({"Cache-Control": "no-store"}, None),
        ({"Cache-Control": "max-age=60, No-Store"}, None),
        ({"Cache-Control": "private, max-age=60"}, None),
        ({"Cache-Control": 'x="no-store", max-age=60'}, 60),
        ({"Cache-Control": "max-age=60", "Age": "20"}, 40),
        ({"Cache-Control": "max-age=60", "Age": "61"}, 0),
        ({"Cache-Control": "max-age=60", "Age": "old"}, 60),
        ({"Cache-Control": "max-age=60", "Date": date(-15)}, 45),
        ({"Cache-Control": "max-age=60", "Date": date(-15), "Age": "20"}, 40),
        ({"Cache-Control": "max-age=60", "Date": date(+500)}, 60),
        ({"Cache-Control": "max-age=60", "Expires": date(900)}, 60),
        ({"Expires": date(120)}, 120),
        ({"Expires": date(120), "Date": date(-30)}, 120),
        ({"Expires": date(-1)}, 0),
        ({"Expires": "0"}, 0),
        ({"Expires": "Mon, 99 Foo 99999 99:99:99 GMT"}, 0),
        ({"Vary": "Accept-Encoding, Cookie"}, 300),
        ({"Vary": "*"}, None),
        ({"Vary": "Accept, *", "Cache-Control": "max-age=60"}, None),
    ],
)
def test_fresh_for_as_long_as_the_headers_say(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert fresh_seconds(headers, NOW) == seconds


def test_what_was_kept_is_asked_for_by_its_tag_and_its_date() -> None:
    assert conditions({"ETag": 'W/"1"', "Last-Modified": date(0)}) == {
        "If-None-Match": 'W/"1"',
        "If-Modified-Since": date(0),
    }
    assert conditions({"Cache-Control": "max-age=60"}) == {}


def test_not_modified_replaces_what_it_says_and_nothing_else() -> None:
    earlier = {"Cache-Control": "max-age=60", "ETag": '"1"', "Age": "50", "Date": date(-90)}
    assert about_keeping({"Cache-Control": "max-age=9", "Server": "x"}, earlier) == {
        "Cache-Control": "max-age=9",
        "ETag": '"1"',
    }


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 30), (" 30 ", 30), (date(90), 90), (date(-90), 0), ("soon", None), ("", None)],
)
def test_a_moment_is_seconds_or_a_date(text: str, seconds: float | None) -> None:
    assert seconds_of(text, NOW) == seconds

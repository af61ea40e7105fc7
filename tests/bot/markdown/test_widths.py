"""Columns of a table line up in a monospaced font, whatever language its cells are in."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.markdown.drawing import columns

WIDTHS = {
    "": 0,
    "Preis": 5,
    "Größe": 5,
    "naïve": 5,
    "cafe\u0301": 4,
    "Цена": 4,
    "漢字": 4,
    "東京\u3000都": 8,
    "，。": 4,
    "ひらがな": 8,
    "カタカナ": 8,
    "ｶﾀｶﾅ": 4,
    "ＡＢ": 4,
    "한국어": 6,
    "\u1112\u1161\u11ab": 2,
    "ไทย": 3,
    "น้ำ": 2,
    "नमस्ते": 4,
    "हिन्दी": 4,
    "العربية": 7,
    "مَرْحَبًا": 5,
    "עברית": 5,
    "שָׁלוֹם": 4,
    "✅": 2,
    "😀": 2,
    "❤️": 2,
    "❤": 1,
    "1️⃣": 2,
    "👍🏽": 2,
    "👨‍👩‍👧‍👦": 2,
    "👩🏽‍🚀": 2,
    "🏳️‍🌈": 2,
    "🇩🇪": 2,
    "🇩🇪🇫🇷": 4,
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f": 2,
    "zero\u200bwidth": 9,
    "soft\xadhyphen": 10,
    "\ufeffbom\u2060": 3,
    "x²→∞…": 5,
}


@pytest.mark.parametrize("text", WIDTHS)
def test_text_takes_the_columns_that_a_person_sees(text: str) -> None:
    assert columns(text) == WIDTHS[text]


@settings(deadline=None)
@given(st.text())
def test_any_text_has_a_width_of_at_most_two_columns_a_character(text: str) -> None:
    assert 0 <= columns(text) <= 2 * len(text)

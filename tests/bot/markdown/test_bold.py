"""Bold where people mean it, in every script."""

from __future__ import annotations

import pytest

from bot.markdown.parser import parse
from bot.markdown.tree import Paragraph, Strong, plain_text


def bold(markdown: str) -> list[str]:
    [paragraph] = parse(markdown)
    assert isinstance(paragraph, Paragraph)
    return [plain_text(span.spans) for span in paragraph.spans if isinstance(span, Strong)]


@pytest.mark.parametrize(
    ("markdown", "words"),
    [
        ("**注意：**请先保存文件。", ["注意："]),
        ("これは**「重要」**です。", ["「重要」"]),
        ("这是**重点（必读）**内容", ["重点（必读）"]),
        ("設定は**完了**。次へ", ["完了"]),
        ("**한국어(중요)**를", ["한국어(중요)"]),
        ("**日時：**4月10日", ["日時："]),
        ("**コンピュータ構成要素：**CPU、メモリ", ["コンピュータ構成要素："]),
        ("設定__完了__です", ["完了"]),
        ("รหัส__หกหลัก__จะ", ["หกหลัก"]),
        ("**Tipp!**Ein Schuss", ["Tipp!"]),
        ("**¡Ojo!**si la quieres", ["¡Ojo!"]),
        ("**שימו לב:**אי אפשר", ["שימו לב:"]),
        ('זהו **"תנאי סף"**ולא', ['"תנאי סף"']),
        ("טופס **חסר(ללא חתימה)**יידחה", ["חסר(ללא חתימה)"]),
        ("إلى **180ms،**بعد", ["180ms،"]),
        ("**ध्यान दें!**कच्चा", ["ध्यान दें!"]),
        ("**Fertig 🎉**und los", ["Fertig 🎉"]),
        ("**a.**b **c:**d", ["a.", "c:"]),
        ("a **b** **c**, **d**.", ["b", "c", "d"]),
    ],
)
def test_what_is_meant_to_be_bold_is(markdown: str, words: list[str]) -> None:
    assert bold(markdown) == words


@pytest.mark.parametrize(
    "markdown",
    [
        "2 ** 3 ** 4",
        "f(x)**2 + g(x)**2",
        "(a)**b and (c)**d",
        "a\\*\\*b\\*\\*c",
        "**",
        "a.** b",
        "a__b__c",
        "報告_最終_版",
    ],
)
def test_stars_that_mark_nothing_are_stars(markdown: str) -> None:
    assert bold(markdown) == []

"""The public JSON Schema Test Suite: what is followed, and that nothing invalid is written."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from bot.answer_formats import JsonSchema
from bot.errors import UnsupportedFormat
from bot.inference.grammar.formats import grammar_of
from tests.bot.inference.grammar.test_schema import validate
from tests.bot.inference.grammar.texts import Texts
from tests.json_schema_suite import Group, groups_or_skip

TABLE = Path(__file__).resolve().parents[4] / "deploy" / "ANSWER_FORMATS.md"
NUM_TEXTS = 4
INEXACT = "by small number"
"""Its validator divides floats: 90.1 is no multiple of 0.0001 for it."""


@pytest.fixture(scope="module")
def groups() -> list[Group]:
    return groups_or_skip()


def followed(group: Group) -> Texts | None:
    """None if it is refused, which takes a sentence."""
    text = json.dumps(group.schema, ensure_ascii=False)
    try:
        return Texts(grammar_of(JsonSchema(text)), hint=text)
    except UnsupportedFormat as refused:
        sentence = str(refused)
    assert sentence.endswith("."), sentence
    assert "\n" not in sentence
    return None


def test_nothing_invalid_is_ever_written(groups: list[Group]) -> None:
    for group in groups:
        if (fitting := followed(group)) is None:
            continue
        for data in group.invalid:
            assert not fitting.has(json.dumps(data, ensure_ascii=False)), (group, data)
        if group.title != INEXACT:
            validate_texts(group, fitting)


def validate_texts(group: Group, fitting: Texts) -> None:
    for seed in range(NUM_TEXTS):
        if (text := fitting.found(seed)) is None:
            continue
        try:
            validate(group.schema if isinstance(group.schema, dict) else {}, text)
        except jsonschema.ValidationError as error:
            raise AssertionError(f"{group.about}: {group.title}: {text}") from error


def rows(groups: list[Group]) -> Iterator[str]:
    all_of_them = Counter(group.about for group in groups)
    kept = Counter(group.about for group in groups if followed(group) is not None)
    for about, number in all_of_them.items():
        share = "all" if kept[about] == number else "none" if not kept[about] else kept[about]
        yield f"| {about} | {number} | {share} |"
    yield f"| together | {all_of_them.total()} | {kept.total()} |"


def test_the_table_of_what_is_followed_is_up_to_date(groups: list[Group]) -> None:
    written = TABLE.read_text(encoding="utf-8")
    missing = [row for row in rows(groups) if row not in written]
    assert missing == []

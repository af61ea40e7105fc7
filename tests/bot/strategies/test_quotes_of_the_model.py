"""The embedded model quotes random texts; the benchmark ``quotes`` asks it fifty times as often."""

from __future__ import annotations

import pytest

from tests import quotations
from tests.benchmarks import quotes

pytestmark = pytest.mark.model

NUM_CORPORA = 20


async def test_every_quotation_and_every_address_stands_in_its_source() -> None:
    corpora = [quotations.corpus(seed, most=2) for seed in range(NUM_CORPORA)]
    async with quotes.engine_of(quotes.AT_ONCE, num_threads=1) as engine:
        known = await quotes.ask_all(engine, [each for each in corpora if each.can_answer])
        unknown = await quotes.ask_all(engine, [each for each in corpora if not each.can_answer])
    assert (known.faults, unknown.faults) == ([], [])
    assert known.num_quotations >= known.count("quoted") >= NUM_CORPORA / 2 - 2
    assert unknown.count("refused") + unknown.count("empty") == NUM_CORPORA / 2

"""Pauses after failures: longer each time, and not the same for everybody."""

from __future__ import annotations

import random

from bot.delivery.reply_pace import Backoff


def pauses(seed: int, num: int) -> list[float]:
    backoff = Backoff(patience=600, rng=random.Random(seed))  # noqa: S311
    found = []
    for _ in range(num):
        backoff.fail(now=100.0)
        found.append(backoff.retry_at - 100.0)
    return found


def test_pauses_double_up_to_half_a_minute_each_shortened_by_less_than_half() -> None:
    for pause, full in zip(pauses(1, 8), (1, 2, 4, 8, 16, 32, 32, 32), strict=True):
        assert full / 2 <= pause <= full


def test_who_failed_together_does_not_come_back_together() -> None:
    assert len({pauses(seed, 1)[0] for seed in range(20)}) == 20

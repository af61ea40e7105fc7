"""What ``/metrics`` counted while a workload ran: proof that what it exists for took place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

SHARED = 'parley_prompt_tokens_total{source="shared"}'
RESUMED = 'parley_prompt_tokens_total{source="resumed"}'
EVALUATED = 'parley_prompt_tokens_total{source="evaluated"}'
COMPLETED = "parley_completion_tokens_total"
CANCELLED = "parley_cancelled_total"
PREEMPTED = "parley_preempted_total"
HELD = "parley_held_steps_total"
LOOPED = "parley_looped_total"
PARKED = "parley_parked_total"
RESTORED_FROM_MEMORY = 'parley_restored_total{tier="memory"}'
PARKED_IN_MEMORY = 'parley_parked_bytes{tier="memory"}'

Counters = Mapping[str, float]
"""By name and labels, as in the text of ``/metrics``."""


async def read(url: str) -> Counters:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as answer:
        answer.raise_for_status()
        return parse(await answer.text())


def parse(text: str) -> Counters:
    return {
        _name(sample.name, sample.labels): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def moved(before: Counters, after: Counters) -> Counters:
    return {name: value - before.get(name, 0.0) for name, value in after.items()}


def unmoved(counted: Counters, expected: Sequence[str]) -> list[str]:
    """One sentence for each of ``expected`` that stayed 0: the figures are of something else."""
    return [
        f"{name} stayed 0: the run did not measure what it is for"
        for name in expected
        if not counted.get(name)
    ]


def told(counted: Counters, names: Sequence[str]) -> str:
    return "Parley counted " + ", ".join(f"{name} {counted.get(name, 0):.0f}" for name in names)


def _name(name: str, labels: Mapping[str, str]) -> str:
    inner = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    return f"{name}{{{inner}}}" if inner else name

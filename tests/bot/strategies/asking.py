"""Personalities with strategies, and what is read of their replies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bot.generation import ChatMessage, Delta, Finished, GenerationEvent, GenerationRequest
from bot.metrics import Metrics
from bot.ports import EngineGeneration
from bot.types import Personality
from tests.fakes.clock import FakeClock
from tests.fakes.generator import ScriptedGenerator

ROUTE = Personality("router", "Router", "Be brief.", strategy="route", remote="gpt-x")
PLAN = Personality("planner", "Planner", "Be brief.", strategy="plan")
ASKED = GenerationRequest(
    messages=(ChatMessage("system", "Be brief."), ChatMessage("user", "Why is the sky blue?")),
    person="ada",
    thread="slack:W/C/1",
    scope="slack:W",
    max_tokens=400,
)


class ScriptedRemotes:
    """``gpt-x`` and whatever else is wanted of ``api.example.com``; ``wanted`` has the names."""

    address = "api.example.com"

    def __init__(self) -> None:
        self.there = ScriptedGenerator(name="gpt-x")
        self.wanted: list[str] = []

    async def model(self, name: str) -> ScriptedGenerator:
        self.wanted.append(name)
        return self.there


async def heard(generation: EngineGeneration) -> list[GenerationEvent]:
    return [event async for event in generation]


def text_of(events: list[GenerationEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


def end_of(events: list[GenerationEvent]) -> Finished:
    assert isinstance(events[-1], Finished)
    return events[-1]


def count(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(f"parley_{name}", labels) or 0


def tasks_of_strategies() -> list[asyncio.Task[object]]:
    return [task for task in asyncio.all_tasks() if task.get_name() == "parley-strategy"]


async def until(clock: FakeClock, holds: Callable[[], bool]) -> None:
    """Without time passing: nothing is slow here."""
    for _ in range(100):
        await clock.settle()
        if holds():
            return
    raise AssertionError("it did not come to that")

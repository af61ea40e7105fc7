"""What an admin would see of a busy Parley."""

from __future__ import annotations

from datetime import timedelta

from bot.overview import (
    FileFault,
    MemoryUse,
    ModelState,
    Overview,
    PersonUsage,
    TokenSpeed,
    TurnCount,
    UsageSummary,
)
from bot.stored import TurnState
from bot.types import AdapterState
from tests.fakes.clock import START

ANN = PersonUsage(
    person="slack:T1/U1",
    answers=12,
    prompt_tokens=9_000,
    completion_tokens=3_400,
    seconds=4.25,
    likes=2,
    dislikes=1,
)
BROWSER = PersonUsage(
    person="web:local/0123456789abcdef0123456789abcdef",
    answers=1,
    prompt_tokens=90,
    completion_tokens=34,
    seconds=None,
    likes=0,
    dislikes=0,
)
OVERVIEW = Overview(
    version="1.2.3",
    at=START + timedelta(days=2, hours=3, minutes=4),
    started_at=START,
    model=ModelState(name="smollm2", status="up", device="CPU", window=16_384),
    database="up",
    database_detail="",
    running=3,
    waiting=7,
    watching=5,
    resident_threads=11,
    speed=TokenSpeed(now=51.6, minute=40.25, quarter_hour=12.5),
    memory=MemoryUse(
        process=1_500_000_000,
        free=None,
        free_disk=20_000_000_000,
        parked_memory=64_000_000,
        parked_disk=0,
    ),
    adapters=(AdapterState("slack", "down", "Slack said <no>."), AdapterState("teams", "up")),
    personalities=("assistant", "coder"),
    faults=(
        FileFault(
            file="coder.md",
            line=3,
            sentence="'temperatur' is unknown here.",
            since=START + timedelta(days=2, hours=3),
        ),
    ),
    day=UsageSummary(
        turns=(
            TurnCount("slack", TurnState.DONE, 10),
            TurnCount("slack", TurnState.FAILED, 2),
            TurnCount("web", TurnState.STOPPED, 1),
        ),
        people=(ANN, BROWSER),
        first_token_seconds=0.21,
    ),
    week=UsageSummary(people=(ANN,)),
)


async def one_overview() -> Overview:
    return OVERVIEW

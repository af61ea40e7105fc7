"""What the page of a test is given."""

from __future__ import annotations

import asyncio
from typing import Any

from adapters.web.context import PageContext
from bot.chats import Chats
from bot.server import Server
from bot.types import Personality
from tests.fakes.chats import MODEL
from tests.fakes.clock import FakeClock
from tests.fakes.overview import one_overview

PERSONALITIES = (
    Personality(
        "assistant",
        "Assistant",
        "You help. See https://example.org/known for more.",
        description="Helps.",
        greeting="Hello!",
        suggested_questions=("What is a parley?",),
    ),
    Personality("coder", "Coder", "You write code."),
)


def loaded_at_once(chats: Chats) -> asyncio.Future[Chats]:
    loaded: asyncio.Future[Chats] = asyncio.get_running_loop().create_future()
    loaded.set_result(chats)
    return loaded


def page_context(
    server: Server, loaded: asyncio.Future[Chats], clock: FakeClock, **changes: Any
) -> PageContext:
    given: dict[str, Any] = {
        "chats": loaded,
        "callers": server.callers,
        "clock": clock,
        "model": lambda: MODEL,
        "personalities": lambda: PERSONALITIES,
        "personality": "assistant",
        "is_admin": lambda person: person.id == "web:ann/ann",
        "overview": one_overview,
        "max_files": 2,
        "max_upload": 100_000,
    }
    return PageContext(**given | changes)

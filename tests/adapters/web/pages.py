"""What the page of a test is given."""

from __future__ import annotations

import asyncio
from typing import Any

from adapters.web.context import PageContext
from bot.chats import Chats
from bot.server import Server
from bot.types import Personality
from tests.fakes.chats import MODEL, FakeChats
from tests.fakes.clock import FakeClock

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


def page_context(server: Server, chats: FakeChats, clock: FakeClock, **changes: Any) -> PageContext:
    loaded: asyncio.Future[Chats] = asyncio.get_running_loop().create_future()
    loaded.set_result(chats)
    given: dict[str, Any] = {
        "chats": loaded,
        "callers": server.callers,
        "clock": clock,
        "model": lambda: MODEL,
        "personalities": lambda: PERSONALITIES,
        "personality": "assistant",
        "is_admin": lambda person: person.id == "web:ann/ann",
        "max_files": 2,
        "max_upload": 100_000,
    }
    return PageContext(**given | changes)

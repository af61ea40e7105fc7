"""What a server under test says on ``/readyz``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from bot.server import Readiness


def always(
    ready: bool = True, body: Mapping[str, object] | None = None
) -> Callable[[], Awaitable[Readiness]]:
    async def readiness() -> Readiness:
        return Readiness(ready, body or {})

    return readiness

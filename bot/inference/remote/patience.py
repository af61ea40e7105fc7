"""Patience: timeouts and retries of calls to servers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds, but for ``max_attempts``; tests shorten them.

    ``first_token`` includes a busy server's queue. ``silence``: between two chunks of a reply.
    ``tail``: from the last chunk to the end of the stream. ``probe``: for a small call, such
    as a health check. ``rest``: a failed server gets no request for that long, doubled at each
    failure up to ``max_rest``. ``watch``: between two health checks;
    infinite: there is one only.
    """

    connect: float = 10.0
    first_token: float = 300.0
    silence: float = 60.0
    tail: float = 5.0
    probe: float = 5.0
    rest: float = 0.5
    max_rest: float = 5.0
    max_retry_after: float = 30.0
    watch: float = 5.0
    max_attempts: int = 3

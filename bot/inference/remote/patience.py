"""How long a server is waited for, and how often it is tried."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """All in seconds but ``max_attempts``; a test shortens them.

    ``first_token``: a busy server lets a question wait. ``silence``: between two pieces of a
    reply. ``tail``: for what follows the last one. ``probe``: for a small question, such as
    how the server is. ``rest``: a server that failed is left alone, twice as long each time,
    up to ``max_rest``. ``watch``: between two looks at the servers' health.
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

"""How often a platform may be called, and how large its messages may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Scope = Literal["workspace", "channel", "message"]


@dataclass(frozen=True, slots=True)
class RateRule:
    """At most ``max_calls`` of ``methods`` (names of Adapter methods) in ``seconds``, per scope."""

    methods: frozenset[str]
    scope: Scope
    max_calls: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a platform; a test may shorten every number.

    ``max_size``: rendered characters of one message. ``edit_interval``: seconds below which
    another edit of the same message is not worth a call. ``ack_deadline``: seconds within
    which a delivery must be answered. ``edit_deadline``: seconds after which an edit of a
    message is refused, if any. ``call_timeout``: seconds after which a call is given up.
    """

    max_size: int
    rules: tuple[RateRule, ...] = ()
    edit_interval: float = 0.7
    ack_deadline: float = 3.0
    edit_deadline: float | None = None
    call_timeout: float = 10.0

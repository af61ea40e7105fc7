"""Manners: how the routes of one origin of clients refuse, where no handler of theirs answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Manner:
    """Of all paths that begin with ``prefix``.

    ``error``: the answer to a failure, from its status and its sentence. ``realm``: of basic
    auth, whose challenge comes first. ``allow``: the methods that every OPTIONS is told, with 200.
    """

    prefix: str
    error: Callable[[int, str], web.Response]
    realm: str
    allow: str

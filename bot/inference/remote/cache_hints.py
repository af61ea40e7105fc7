"""What servers are told of a question's thread and workspace, for the sake of their caches."""

from __future__ import annotations

import json
import secrets
from hashlib import blake2b
from typing import Literal

from bot.generation import GenerationRequest
from bot.inference.remote.dialects import Dialect

Salting = Literal["auto", "on", "off"]


class CacheHints:
    """They learn no names, but hashes with a key that is another one in every process.

    ``session_header`` tells a router to send a thread's questions where its last one was answered;
    empty: no router is told. ``salting`` has a server reuse what it evaluated for a workspace only
    for that one; ``auto``: if it is known to do so.
    """

    def __init__(self, session_header: str = "", salting: Salting = "auto") -> None:
        self._session_header = session_header
        self._salting = salting
        self._key = secrets.token_bytes(32)

    def headers(self, request: GenerationRequest) -> dict[str, str]:
        if not self._session_header or request.thread is None:
            return {}
        return {self._session_header: self._hash(request.scope, request.thread)}

    def keys(self, request: GenerationRequest, dialect: Dialect) -> dict[str, str]:
        """Of the body."""
        if self._salting == "on" or (self._salting == "auto" and dialect.salts_cache):
            return {"cache_salt": self._hash(request.scope)}
        return {}

    def _hash(self, *names: str) -> str:
        return blake2b(json.dumps(names).encode(), key=self._key, digest_size=16).hexdigest()

"""Sign-ins: browsers whose person gave a key once, and which show a secret of their own since."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import logging
import os
import secrets
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

from bot.ports import Clock
from bot.web.keys import Keys

logger = logging.getLogger(__name__)

SIGN_IN_SECONDS = 90 * 24 * 3600
_MAX_KEPT = 1_000
"""The oldest go first."""
_NOT_KEPT = "who signed in or out at the page is not kept over a restart: %s cannot be written: %s"


@dataclass(frozen=True, slots=True)
class _SignIn:
    """``proof`` binds it to the key as it was: without that key, or with another, it ends.

    The secret itself is in the browser alone, so neither it nor a key can be had from the file.
    """

    name: str
    proof: str
    until: float


class SignIns:
    """Those of one Parley; without a ``file`` they end with it."""

    def __init__(self, clock: Clock, file: Path | None = None) -> None:
        self._clock = clock
        self._file = file
        self._kept: dict[str, _SignIn] = {}
        self._writing = asyncio.Lock()

    async def load(self) -> None:
        if self._file is not None:
            self._kept = await asyncio.to_thread(_read, self._file)

    async def open(self, key: str, keys: Keys) -> str | None:
        """The secret for a browser; None if the key is none."""
        name = keys.name_of(key)
        if name is None:
            return None
        secret = secrets.token_urlsafe(32)
        until = self._clock.now() + timedelta(seconds=SIGN_IN_SECONDS)
        self._kept[_digest(secret)] = _SignIn(name, _proof(secret, key), until.timestamp())
        await self._write()
        return secret

    def name(self, secret: str, keys: Keys) -> str | None:
        """Who has signed in with it, and may still."""
        found = self._kept.get(_digest(secret))
        if found is None or found.until <= self._clock.now().timestamp():
            return None
        proofs = [_proof(secret, key) for key in keys.secrets_of(found.name)]
        is_valid = any(hmac.compare_digest(found.proof, proof) for proof in proofs)
        return found.name if is_valid else None

    async def end(self, secret: str) -> None:
        if self._kept.pop(_digest(secret), None):
            await self._write()

    async def _write(self) -> None:
        now = self._clock.now().timestamp()
        valid = [(key, each) for key, each in self._kept.items() if each.until > now]
        self._kept = dict(valid[-_MAX_KEPT:])
        if self._file is None:
            return
        text = json.dumps({key: asdict(each) for key, each in self._kept.items()})
        async with self._writing:
            try:
                await asyncio.to_thread(_replace, self._file, text)
            except OSError as error:  # what people want counts until Parley ends
                logger.error(_NOT_KEPT, self._file, error.strerror)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _proof(secret: str, key: str) -> str:
    parts = [text.encode("utf-8", "surrogateescape") for text in (secret, key)]
    return hmac.digest(parts[0], parts[1], "sha256").hex()


def _read(file: Path) -> dict[str, _SignIn]:
    """Nothing of a file that is not ours any more: people sign in once more."""
    try:
        return {key: _sign_in(each) for key, each in json.loads(file.read_bytes()).items()}
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return {}


def _sign_in(kept: dict[str, object]) -> _SignIn:
    return _SignIn(str(kept["name"]), str(kept["proof"]), float(str(kept["until"])))


def _replace(file: Path, text: str) -> None:
    """Atomic, and readable by Parley's user only."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_suffix(".new")
    with contextlib.suppress(FileNotFoundError):
        draft.unlink()
    with open(draft, "x", encoding="utf-8", opener=_private) as opened:
        opened.write(text)
    os.replace(draft, file)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)

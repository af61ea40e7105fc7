"""Faults of calls to a model's server, each with one clear sentence and a retry policy."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp

Kind = Literal["unreachable", "refused", "busy", "failed", "silent", "broken", "malformed"]
Retry = Literal["never", "elsewhere", "anywhere"]

_AGAIN = "Please ask again in a minute."
_SENTENCES: dict[Kind, str] = {
    "unreachable": f"The model's server cannot be reached. {_AGAIN}",
    "refused": "The model's server refuses this question.",
    "busy": f"The model's server is busy. {_AGAIN}",
    "failed": f"The model's server failed at this answer. {_AGAIN}",
    "silent": f"The model's server fell silent before the answer was complete. {_AGAIN}",
    "broken": f"The connection to the model's server broke off in this answer. {_AGAIN}",
    "malformed": "The model's server sent something that is no answer. An admin should run "
    "`python -m bot doctor`.",
}
_NOT_LET_IN = (
    "The model's server does not let Parley in (status {status}). An admin has to check "
    "PARLEY_ENGINE_KEY."
)
_NOT_THERE = (
    "The model's server does not know this address or model (status {status}). An admin has to "
    "check PARLEY_ENGINE_URL and PARLEY_ENGINE_MODEL."
)
_RETRIES: dict[Kind, Retry] = {
    "unreachable": "anywhere",
    "refused": "never",
    "busy": "anywhere",
    "failed": "anywhere",
    "silent": "elsewhere",
    "broken": "anywhere",
    "malformed": "elsewhere",
}
_CONTEXT = re.compile(r"context (length|window|size)|too long for the model", re.IGNORECASE)
_LIMIT = re.compile(r"(?:maximum context length is|context window of) (\d+)", re.IGNORECASE)
_ASKED = re.compile(r"(\d+) (?:in the messages|input tokens)|(?:tokens \()(\d+)\) exceed")


class Fault(Exception):
    """A failed call. Its text is for the person who asked; ``kind`` labels the metric.

    ``retry``: whether the request may be sent again, and to which servers.
    ``retry_after``: seconds that the server asks to wait, 0 if it does not state any.
    """

    def __init__(
        self,
        kind: Kind,
        sentence: str = "",
        *,
        retry: Retry | None = None,
        retry_after: float = 0.0,
    ) -> None:
        super().__init__(sentence or _SENTENCES[kind])
        self.kind = kind
        self.retry: Retry = retry or _RETRIES[kind]
        self.retry_after = retry_after


class ContextExceeded(Exception):
    """The server counts more tokens than fit; None: it does not state the number."""

    def __init__(self, num_tokens: int | None, window: int | None) -> None:
        super().__init__("the context is exceeded")
        self.num_tokens = num_tokens
        self.window = window


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """A server's error: OpenAI's object, FastAPI's ``detail``, or plain text."""

    message: str
    code: str = ""
    num_tokens: int | None = None
    window: int | None = None

    @classmethod
    def read(cls, raw: bytes) -> ErrorBody:
        try:
            found = json.loads(raw)
        except ValueError:
            return cls(raw.decode("utf-8", "replace"))
        return cls.of(found.get("error", found) if isinstance(found, dict) else found)

    @classmethod
    def of(cls, error: object) -> ErrorBody:
        if not isinstance(error, dict):
            return cls(str(error))
        return cls(
            message=str(error.get("message") or error.get("detail") or ""),
            code=f"{error.get('code')} {error.get('type')}",
            num_tokens=_number(error, "n_prompt_tokens"),
            window=_number(error, "n_ctx"),
        )

    @property
    def is_about_context(self) -> bool:
        named = "context_length_exceeded" in self.code or "exceed_context_size" in self.code
        return named or bool(_CONTEXT.search(self.message))

    def as_context_exceeded(self) -> ContextExceeded:
        asked, limit = _ASKED.search(self.message), _LIMIT.search(self.message)
        num_tokens = self.num_tokens or (int(asked[1] or asked[2]) if asked else None)
        return ContextExceeded(num_tokens, self.window or (int(limit[1]) if limit else None))


def _number(error: dict[str, Any], key: str) -> int | None:
    value = error.get(key)
    return value if isinstance(value, int) and value > 0 else None


def refusal(status: int, body: ErrorBody, retry_after: str = "") -> Fault | ContextExceeded:
    """The fault that a status other than 200 stands for."""
    if status in (400, 413, 422, 500) and body.is_about_context:
        return body.as_context_exceeded()
    if status in (401, 403):
        return Fault("refused", _NOT_LET_IN.format(status=status), retry="elsewhere")
    if status == 404 or 300 <= status < 400:
        return Fault("refused", _NOT_THERE.format(status=status), retry="elsewhere")
    if status in (408, 429, 503):
        return Fault("busy", retry_after=_seconds(retry_after))
    if status >= 500:
        return Fault("failed")
    return Fault("refused", f"The model's server refuses this question (status {status}).")


def _seconds(retry_after: str) -> float:
    """The header's number of seconds; a date in its place is ignored."""
    return float(retry_after) if re.fullmatch(r"\d{1,6}", retry_after) else 0.0


@contextmanager
def mapped() -> Iterator[None]:
    """Maps timeouts and every exception of the HTTP library to ``Fault``."""
    try:
        yield
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        raise Fault("unreachable") from error
    except TimeoutError as error:
        raise Fault("silent") from error
    except (aiohttp.ClientResponseError, aiohttp.InvalidURL) as error:
        raise Fault("malformed") from error
    except (aiohttp.ClientError, OSError) as error:
        raise Fault("broken") from error

"""Refusals of servers, in the words of real ones."""

from __future__ import annotations

import json

import pytest

from bot.inference.remote.faults import ContextExceeded, ErrorBody, Fault, refusal

OPENAI = {
    "message": "This model's maximum context length is 2048 tokens. However, you requested 2100 "
    "tokens (1588 in the messages, 512 in the completion).",
    "code": "context_length_exceeded",
}
VLLM = {
    "object": "error",
    "message": "'max_tokens' is too large: 512. This model's maximum context length is 2048 "
    "tokens and your request has 1900 input tokens (512 > 2048 - 1900).",
    "type": "BadRequestError",
    "code": 400,
}
LLAMA_SERVER = {
    "code": 400,
    "message": "the request exceeds the available context size, try increasing it",
    "type": "exceed_context_size_error",
    "n_prompt_tokens": 1900,
    "n_ctx": 1024,
}
PARLEY = {
    "message": "This is too long for the model: 2,100 tokens, and 2,047 fit.",
    "type": "invalid_request_error",
    "code": "context_length_exceeded",
}


@pytest.mark.parametrize(
    ("body", "num_tokens", "window"),
    [
        ({"error": OPENAI}, 1588, 2048),
        (VLLM, 1900, 2048),
        ({"error": LLAMA_SERVER}, 1900, 1024),
        ({"error": PARLEY}, None, None),
        ({"detail": "Requested tokens (1031) exceed context window of 512"}, 1031, 512),
    ],
)
def test_a_refusal_of_a_long_prompt_is_recognised_in_every_dialect(
    body: object, num_tokens: int | None, window: int | None
) -> None:
    found = refusal(400, ErrorBody.read(json.dumps(body).encode()))
    assert isinstance(found, ContextExceeded)
    assert (found.num_tokens, found.window) == (num_tokens, window)


@pytest.mark.parametrize(
    ("status", "kind", "retry", "advice"),
    [
        (400, "refused", "never", "status 400"),
        (401, "refused", "elsewhere", "PARLEY_ENGINE_KEY"),
        (403, "refused", "elsewhere", "PARLEY_ENGINE_KEY"),
        (404, "refused", "elsewhere", "PARLEY_ENGINE_URL"),
        (307, "refused", "elsewhere", "PARLEY_ENGINE_URL"),
        (429, "busy", "anywhere", "busy"),
        (503, "busy", "anywhere", "busy"),
        (500, "failed", "anywhere", "failed"),
        (502, "failed", "anywhere", "failed"),
    ],
)
def test_every_status_is_one_sentence_that_says_what_to_do(
    status: int, kind: str, retry: str, advice: str
) -> None:
    fault = refusal(status, ErrorBody.read(b"<html>secret prompt</html>"))
    assert isinstance(fault, Fault)
    assert (fault.kind, fault.retry) == (kind, retry)
    assert advice in str(fault)
    assert "secret" not in str(fault)


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("", 0.0), ("Wed, 21 Oct", 0.0)])
def test_a_busy_server_says_when_to_come_back(header: str, seconds: float) -> None:
    fault = refusal(429, ErrorBody(""), header)
    assert isinstance(fault, Fault)
    assert fault.retry_after == seconds

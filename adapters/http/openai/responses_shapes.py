"""The objects and events of the Responses API."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.http.common.answers import GeneratedText, WholeAnswer
from adapters.http.openai.responses_body import ResponsesBody
from adapters.http.openai.responses_items import Event, Json, Output, Status
from bot.generation import FinishReason, Usage

_CUT = (FinishReason.LENGTH, FinishReason.LOOPED)
_ERROR_CODES = ("rate_limit_exceeded",)
"""Parley's codes that are OpenAI's; any other is a ``server_error``."""


@dataclass(frozen=True, slots=True)
class Response:
    """What all objects of one response share. ``created_at``: seconds since 1970."""

    id: str
    created_at: int
    model: str
    asked: ResponsesBody

    def in_state(self, status: Status, output: Sequence[Json], **known: Any) -> Json:
        asked = self.asked
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created_at,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": None,
            "instructions": asked.instructions,
            "max_output_tokens": asked.max_output_tokens,
            "metadata": asked.metadata or {},
            "model": self.model,
            "output": list(output),
            "parallel_tool_calls": asked.parallel_tool_calls is not False,
            "previous_response_id": None,
            "reasoning": {"effort": None, "summary": None},
            "safety_identifier": asked.safety_identifier,
            "store": False,
            "temperature": asked.temperature,
            "text": {"format": _format(asked)},
            "tool_choice": asked.tool_choice or "auto",
            "tools": [tool.model_dump() for tool in asked.tools or ()],
            "top_logprobs": asked.top_logprobs or 0,
            "top_p": asked.top_p,
            "truncation": asked.truncation or "disabled",
            "usage": None,
            "user": asked.user,
            **known,
        }


def _format(asked: ResponsesBody) -> Json:
    form = asked.text.format if asked.text else None
    return form.model_dump(by_alias=True, exclude_none=True) if form else {"type": "text"}


def usage_of_response(usage: Usage) -> Json:
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


def whole_response(response: Response, answer: WholeAnswer) -> Json:
    status, output = _status(answer.reason), Output()
    output.add(answer.said)
    output.end(status)
    return response.in_state(status, output.done, **_ending(answer.reason, answer.usage))


def _status(reason: FinishReason) -> Status:
    return "incomplete" if reason in _CUT else "completed"


def _ending(reason: FinishReason, usage: Usage) -> Json:
    why = {"reason": "max_output_tokens"} if reason in _CUT else None
    return {"incomplete_details": why, "usage": usage_of_response(usage)}


class ResponseEvents:
    """The events of one streamed response, numbered from 0."""

    def __init__(self, response: Response) -> None:
        self._response = response
        self._output = Output()
        self._number = 0

    def begin(self) -> bytes:
        state = self._response.in_state("in_progress", [])
        return self._written(
            [(f"response.{name}", {"response": state}) for name in ("created", "in_progress")]
        )

    def delta(self, said: GeneratedText) -> bytes:
        return self._written(self._output.add(said))

    def end(self, reason: FinishReason, usage: Usage) -> bytes:
        status = _status(reason)
        return self._ended(status, self._output.end(status), **_ending(reason, usage))

    def fail(self, error: Mapping[str, str | None]) -> bytes:
        """``error``: what the body of a refusal would have said."""
        code = error["code"] if error["code"] in _ERROR_CODES else "server_error"
        told = {"code": code, "message": error["message"]}
        return self._ended("failed", self._output.close("incomplete"), error=told)

    def _ended(self, status: Status, events: Sequence[Event], **known: Any) -> bytes:
        state = self._response.in_state(status, self._output.done, **known)
        return self._written([*events, (f"response.{status}", {"response": state})])

    def _written(self, events: Sequence[Event]) -> bytes:
        return b"".join(self._frame(name, fields) for name, fields in events)

    def _frame(self, name: str, fields: Json) -> bytes:
        data = json.dumps({"type": name, "sequence_number": self._number, **fields})
        self._number += 1
        return f"event: {name}\ndata: {data}\n\n".encode()

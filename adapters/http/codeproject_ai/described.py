"""The room's operations, as ``/openapi.json`` describes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from adapters.http.common.openapi import FORM, JSON, AnswerBody, Operation
from bot.adapter_support.multipart import MULTIPART

CHAT = "/v1/text/chat"
STATUS = "/v1/LlamaChat/get_command_status"
CANCEL = "/v1/LlamaChat/cancel_command"


class BackgroundChat(BaseModel):
    """A number that cannot be read is as if it were not given."""

    prompt: str = ""
    system_prompt: str = ""
    max_tokens: str | int = Field(default=0, description="0: the default of the model.")
    temperature: str | float = 0.4


class BackgroundChatQuery(BaseModel):
    """Counts before what the body has under the same name."""

    prompt: str = ""
    system_prompt: str = ""
    max_tokens: str = "0"
    temperature: str = "0.4"


class CommandName(BaseModel):
    command_id: str = Field(default="", alias="commandId")


class ModuleAnswer(AnswerBody):
    """``code`` is 500 for a failure, for which ``error`` is a sentence; HTTP's status is 200."""

    model_config = ConfigDict(alias_generator=to_camel)

    success: bool
    code: Literal[200, 500]
    error: str | None = None
    command: Literal["prompt", "get_command_status", "cancel_command"]
    request_id: str
    module_id: str
    module_name: str
    inference_device: str
    processed_by: str
    analysis_round_trip_ms: int
    timestamp_utc: str = Field(alias="timestampUTC")


class CommandBegun(ModuleAnswer):
    message: str = ""
    command_id: str = ""
    command_status: Literal["running"] = "running"


class CommandState(ModuleAnswer):
    """``reply`` is the text so far; ``stop_reason`` null: the command has failed."""

    message: str = ""
    command_id: str = ""
    command_status: Literal["running", "completed", "unknown", "not started"] = "running"
    reply: str = ""
    stop_reason: Literal["completed", "cancelled"] | None = Field(default=None, alias="stop_reason")
    process_ms: int = 0
    inference_ms: int = 0


class CommandCancelled(ModuleAnswer):
    message: str = ""
    command_id: str = ""
    command_status: Literal["cancelled"] = "cancelled"


def _operation(
    path: str, summary: str, fields: type[BaseModel], query: type[BaseModel], answer: Any
) -> Operation:
    body = {JSON: fields, FORM: fields, MULTIPART: fields}
    return Operation(
        method="post",
        path=path,
        summary=summary,
        body=body,
        needs_body=False,
        query=query,
        answer={JSON: answer},
    )


OPERATIONS: Sequence[Operation] = (
    _operation(
        CHAT, "Begin an answer in the background", BackgroundChat, BackgroundChatQuery, CommandBegun
    ),
    _operation(STATUS, "Its text so far", CommandName, CommandName, CommandState),
    _operation(CANCEL, "End it", CommandName, CommandName, CommandCancelled),
)

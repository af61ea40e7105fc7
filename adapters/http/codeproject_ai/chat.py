"""Ask, look what has been written, cancel: always 200, a failure stands inside."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping
from email.utils import format_datetime
from typing import Any

from aiohttp import web

from adapters.http.codeproject_ai.commands import (
    CommandNotFound,
    CommandsByAccount,
    LongCommand,
    Outcome,
)
from adapters.http.codeproject_ai.described import CHAT
from adapters.http.codeproject_ai.fields import fields_of, max_tokens, temperature
from adapters.http.common.context import HttpContext
from bot.adapter_support.addresses import ACCOUNT
from bot.errors import ParleyError
from bot.generation import ChatMessage, CompletionRequest

Answer = dict[str, Any]
Fields = Mapping[str, str]

_MODULE = "LlamaChat"
_STOP_REASONS = {
    Outcome.COMPLETED: "completed",
    Outcome.CANCELLED: "cancelled",
    Outcome.ABANDONED: "cancelled",
}


class LlamaChat:
    def __init__(self, context: HttpContext) -> None:
        self._conversations = context.conversations
        self._clock = context.clock
        self._device = context.device
        self._commands = CommandsByAccount(context.clock, context.observe_command)

    async def chat(self, request: web.Request) -> web.Response:
        async def begin(request_id: str, fields: Fields) -> Answer:
            account = request[ACCOUNT]
            asked = _completion_request(account, request_id, fields)
            generation = await self._conversations.complete(asked)
            return _begun(self._commands[account].begin(request_id, generation))

        return await self._answered(request, "prompt", begin)

    async def get_command_status(self, request: web.Request) -> web.Response:
        async def look(_: str, fields: Fields) -> Answer:
            try:
                return _state(self._command(request, fields))
            except CommandNotFound as error:
                return {"success": False, "commandStatus": error.status, "error": str(error)}

        return await self._answered(request, "get_command_status", look)

    async def cancel_command(self, request: web.Request) -> web.Response:
        async def cancel(_: str, fields: Fields) -> Answer:
            command = self._command(request, fields)
            command.cancel()
            return _cancelled(command)

        return await self._answered(request, "cancel_command", cancel)

    def _command(self, request: web.Request, fields: Fields) -> LongCommand:
        return self._commands[request[ACCOUNT]].find(fields.get("commandId", ""))

    async def _answered(
        self,
        request: web.Request,
        name: str,
        answer: Callable[[str, Fields], Awaitable[Answer]],
    ) -> web.Response:
        since, request_id = self._clock.monotonic(), str(uuid.uuid4())
        try:
            said = await answer(request_id, await fields_of(request))
        except ParleyError as error:
            said = {"success": False, "error": str(error)}
        envelope = {
            "moduleId": _MODULE,
            "moduleName": _MODULE,
            "code": 200 if said["success"] else 500,
            "command": name,
            "requestId": request_id,
            "inferenceDevice": self._device(),
            "processedBy": "localhost",
            "analysisRoundTripMs": _milliseconds(self._clock.monotonic() - since),
            "timestampUTC": format_datetime(self._clock.now(), usegmt=True),
        }
        return web.json_response({**said, **envelope})


def _completion_request(account: str, command_id: str, fields: Fields) -> CompletionRequest:
    system = fields.get("system_prompt")
    question = ChatMessage("user", fields.get("prompt", ""))
    return CompletionRequest(
        account=account,
        messages=(ChatMessage("system", system), question) if system else (question,),
        sampling={"temperature": temperature(fields)},
        max_tokens=max_tokens(fields),
        route=CHAT,
        answer_id=command_id,
    )


def _begun(command: LongCommand) -> Answer:
    return {
        "success": True,
        "message": "Command is running in the background",
        "commandId": command.id,
        "commandStatus": "running",
    }


def _cancelled(command: LongCommand) -> Answer:
    return {
        "success": True,
        "message": "The command has been cancelled",
        "commandId": command.id,
        "commandStatus": "cancelled",
    }


def _state(command: LongCommand) -> Answer:
    if command.outcome is None:
        return {
            "success": True,
            "message": "The long running command is still in progress",
            "commandId": command.id,
            "commandStatus": "running",
            "reply": command.reply,
        }
    return {
        "success": command.outcome is not Outcome.FAILED,
        "message": "Command has completed",
        "commandId": command.id,
        "commandStatus": "completed",
        "error": command.error,
        "reply": command.reply,
        "stop_reason": _STOP_REASONS.get(command.outcome),
        "processMs": _milliseconds(command.process_seconds),
        "inferenceMs": _milliseconds(command.inference_seconds),
    }


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)

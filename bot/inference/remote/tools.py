"""Tools and their calls, as OpenAI's API has them. Pure."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bot.generation import ChatMessage, Tool, ToolCallDelta, ToolUse


@dataclass(frozen=True, slots=True)
class CallChunk:
    """More of a call, as a server has sent it; ``number`` is the server's own."""

    number: int
    id: str
    name: str
    arguments: str


class CallNumbers:
    """Numbers calls from 0, and gives each of them one id and one name.

    Some servers send ids and names again with every piece, or one number for all calls.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, str]] = {}
        self.num_calls = 0

    def read(self, chunk: CallChunk) -> ToolCallDelta | None:
        """None for a piece of a call that has never begun."""
        index, known = self._known.get(chunk.number, (0, ""))
        is_same = chunk.number in self._known and chunk.id in ("", known)
        if is_same or not chunk.name:
            return ToolCallDelta(index, chunk.arguments) if is_same else None
        index, self.num_calls = self.num_calls, self.num_calls + 1
        self._known[chunk.number] = index, chunk.id
        number = chunk.id or f"call_{secrets.token_hex(12)}"
        return ToolCallDelta(index, chunk.arguments, number, chunk.name)


def read_calls(delta: dict[str, Any]) -> Iterator[CallChunk]:
    """The calls of a message or of a piece of it; what is none is left out."""
    made = delta.get("tool_calls")
    older = delta.get("function_call")
    made = made if isinstance(made, list) else [{"function": older}] if older else []
    for number, call in enumerate(made):
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            at = call.get("index")
            yield CallChunk(
                at if isinstance(at, int) else number,
                str(call.get("id") or ""),
                str(function.get("name") or ""),
                _text(function.get("arguments")),
            )


def _text(arguments: object) -> str:
    """Some servers send an object instead of its text."""
    if isinstance(arguments, str) or arguments is None:
        return arguments or ""
    return json.dumps(arguments, ensure_ascii=False)


def tool_keys(use: ToolUse | None) -> dict[str, Any]:
    """The keys of the body that say which tools there are, and whether to call them."""
    if use is None:
        return {}
    offered = [tool for tool in use.tools if tool.name in use.callable]
    keys: dict[str, Any] = {"tools": list(map(_tool, offered))}
    if use.is_required:
        named = {"type": "function", "function": {"name": offered[0].name}}
        keys["tool_choice"] = named if len(offered) == 1 else "required"
    return keys if use.is_parallel else {**keys, "parallel_tool_calls": False}


def _tool(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "parameters": json.loads(tool.parameters)}
    if tool.description:
        function["description"] = tool.description
    return {"type": "function", "function": function | ({"strict": True} if tool.is_strict else {})}


def message_keys(messages: Sequence[ChatMessage]) -> list[dict[str, Any]]:
    """The messages of the body, without one that only tells of tools."""
    return [_message(each) for each in messages if each.content or not each.tools]


def _message(message: ChatMessage) -> dict[str, Any]:
    made: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.calls:
        functions = ({"name": c.name, "arguments": c.arguments} for c in message.calls)
        made["tool_calls"] = [
            {"id": call.id, "type": "function", "function": function}
            for call, function in zip(message.calls, functions, strict=True)
        ]
        made["content"] = message.content or None
    if message.role == "tool":
        made["tool_call_id"] = message.call_id
    return made


def text_of(message: ChatMessage) -> str:
    """All that a server's template writes of a message, as far as it can be known."""
    calls = (f"{call.name} {call.arguments}" for call in message.calls)
    return "\n".join(
        [message.content, *calls, *(json.dumps(_tool(tool)) for tool in message.tools)]
    )

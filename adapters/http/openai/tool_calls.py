"""The calls of tools in OpenAI's answers, whole or in pieces, and their older form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from bot.generation import ToolCallDelta


def in_message(calls: Sequence[ToolCallDelta], *, is_older: bool) -> Mapping[str, object]:
    """The keys of a whole message for its calls, of which these are all pieces in their order."""
    whole = [list(pieces) for _, pieces in groupby(calls, lambda call: call.index)]
    functions = [
        {"name": pieces[0].name, "arguments": "".join(piece.arguments for piece in pieces)}
        for pieces in whole
    ]
    if is_older:
        return {"function_call": functions[0]}
    made = [
        {"id": pieces[0].id, "type": "function", "function": function}
        for pieces, function in zip(whole, functions, strict=True)
    ]
    return {"tool_calls": made}


def in_delta(call: ToolCallDelta, *, is_older: bool) -> Mapping[str, object]:
    """The keys of a chunk's delta for one piece of a call."""
    function = {"name": call.name} if call.name else {}
    function["arguments"] = call.arguments
    if is_older:
        return {"function_call": function}
    begun = {"id": call.id, "type": "function"} if call.id else {}
    return {"tool_calls": [{"index": call.index, **begun, "function": function}]}


def reason(*, is_older: bool) -> str:
    """Why an answer has ended that calls tools."""
    return "function_call" if is_older else "tool_calls"

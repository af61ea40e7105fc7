"""The tools of a request in the form of the Responses API, which has no object around them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, JsonValue
from pydantic_core import PydanticCustomError

from adapters.http.openai.messages import StrictBody
from adapters.http.openai.tools import MAX_TOOLS, FunctionBody, offered, one_call, use_of
from bot.generation import ToolUse

_MAX_SHOWN = 64


class FlatTool(FunctionBody):
    type: Literal["function"]


def _of_a_program(tool: object) -> object:
    """Raises ``PydanticCustomError`` for tools that OpenAI runs itself, by their name."""
    kind = tool.get("type", "function") if isinstance(tool, dict) else "function"
    if kind != "function":
        problem = f"{str(kind)[:_MAX_SHOWN]!r} is no tool of Parley's; only functions of yours are"
        raise PydanticCustomError("tool", "{problem}", {"problem": problem})
    return tool


class ResponsesToolKeys(StrictBody):
    """The keys of a body about tools."""

    tools: (
        Annotated[
            list[Annotated[FlatTool, BeforeValidator(_of_a_program)]], Field(max_length=MAX_TOOLS)
        ]
        | None
    ) = None
    tool_choice: JsonValue = None
    parallel_tool_calls: bool | None = None

    @property
    def tool_use(self) -> ToolUse | None:
        """None: no tool is called. Raises ``InvalidBody``."""
        tools = offered(self.tools or (), "tools[{}]")
        use = use_of(tools, "tool_choice", _as_in_chats(self.tool_choice))
        return one_call(use) if use and self.parallel_tool_calls is False else use


def _as_in_chats(choice: JsonValue) -> JsonValue:
    match choice:
        case {"type": "allowed_tools", "mode": mode, "tools": list(tools)}:
            named: list[JsonValue] = [
                {"type": "function", "function": tool} if isinstance(tool, dict) else tool
                for tool in tools
            ]
            return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": named}}
    return choice

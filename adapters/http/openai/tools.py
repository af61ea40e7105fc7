"""The tools of a request, and how the answer may use them: OpenAI's keys and their older form."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal, NamedTuple

from pydantic import BeforeValidator, Field, JsonValue

from adapters.http.common.errors import InvalidBody
from adapters.http.openai.answer_formats import Schema
from adapters.http.openai.messages import StrictBody, Text
from adapters.http.openai.other_keys import unless_empty
from bot.generation import Tool, ToolUse

MAX_TOOLS = 128
_MAX_SHOWN = 64
_NO_PARAMETERS: Schema = {"properties": {}}
_NO_CHOICE = "is 'auto', 'none', 'required', a function by its name, or allowed_tools"


class FunctionBody(StrictBody):
    """``parameters`` left out: it has none."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    description: Text | None = None
    parameters: Schema | None = None
    strict: bool | None = None

    def as_tool(self, param: str) -> Tool:
        """``param``: where it stands in the body. Raises ``InvalidBody``."""
        schema: Schema = {"type": "object", **(self.parameters or _NO_PARAMETERS)}
        if schema["type"] != "object":
            raise _wrong(f"{param}.parameters", "describes arguments, so its type is 'object'")
        if schema.get("properties") == {}:
            schema = {"additionalProperties": False, **schema}
        description = self.description or ""
        return Tool(self.name, description, json.dumps(schema), is_strict=bool(self.strict))


class ToolBody(StrictBody):
    type: Literal["function"]
    function: FunctionBody


ToolBodies = Annotated[
    list[ToolBody] | None, Field(max_length=MAX_TOOLS), BeforeValidator(unless_empty)
]
FunctionBodies = Annotated[
    list[FunctionBody] | None, Field(max_length=MAX_TOOLS), BeforeValidator(unless_empty)
]


class ToolKeys(StrictBody):
    """The keys of a body about tools; ``functions`` and ``function_call`` are their older form."""

    tools: ToolBodies = None
    tool_choice: JsonValue = None
    parallel_tool_calls: bool | None = None
    functions: FunctionBodies = None
    function_call: JsonValue = None

    @property
    def has_older_tools(self) -> bool:
        return self.functions is not None

    @property
    def tool_use(self) -> ToolUse | None:
        """None: no tool is called. Raises ``InvalidBody``."""
        if self.tools is not None and self.functions is not None:
            raise _wrong("functions", "is the older form of tools; please send one of them")
        newer = offered((body.function for body in self.tools or ()), "tools[{}].function")
        older = offered(self.functions or (), "functions[{}]")
        use = use_of(newer, "tool_choice", self.tool_choice)
        if self.parallel_tool_calls is False and use is not None:
            use = one_call(use)
        older_use = use_of(older, "function_call", self.function_call)
        return use if older_use is None else one_call(older_use)


class _Choice(NamedTuple):
    """``names`` None: any of the tools. ``is_one``: a single call."""

    is_required: bool
    names: Sequence[str] | None = None
    is_one: bool = False


def offered(bodies: Iterable[FunctionBody], param: str) -> tuple[Tool, ...]:
    tools: dict[str, Tool] = {}
    for number, body in enumerate(bodies):
        if body.name in tools:
            raise _wrong(f"{param.format(number)}.name", f"is {body.name!r} for the second time")
        tools[body.name] = body.as_tool(param.format(number))
    return tuple(tools.values())


def use_of(tools: tuple[Tool, ...], key: str, asked: JsonValue) -> ToolUse | None:
    if not tools:
        if asked in (None, "none", "auto"):
            return None
        raise _wrong(key, "is only allowed beside tools")
    if asked == "none":
        return None
    choice = _choice(key, asked)
    known = frozenset(tool.name for tool in tools)
    names = known if choice.names is None else frozenset(choice.names)
    if unknown := sorted(names - known):
        raise _wrong(key, f"names {unknown[0][:_MAX_SHOWN]!r}, which is none of the tools")
    return ToolUse(tools, names, choice.is_required, is_parallel=not choice.is_one)


def _choice(key: str, asked: JsonValue) -> _Choice:
    match asked:
        case None | "auto":
            return _Choice(is_required=False)
        case "required" | "any":
            return _Choice(is_required=True)
        case {"type": "function", "function": {"name": str(name)}} | {"name": str(name)}:
            return _Choice(is_required=True, names=[name], is_one=True)
        case {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": [_, *_] as tools}}:
            names = [_name(tool) for tool in tools]
            if mode in ("auto", "required") and all(names):
                return _Choice(is_required=mode == "required", names=names)
    raise _wrong(key, _NO_CHOICE)


def _name(tool: object) -> str:
    """Empty if it names no function."""
    match tool:
        case {"type": "function", "function": {"name": str(name)}}:
            return name
    return ""


def one_call(use: ToolUse) -> ToolUse:
    return ToolUse(use.tools, use.callable, use.is_required, is_parallel=False)


def _wrong(param: str, why: str) -> InvalidBody:
    return InvalidBody(f"{param} {why}.", param=param)

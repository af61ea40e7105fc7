"""Tools in a conversation: as a model's own template takes them, or in words of ours.

A template that tells the model of tools is tried with a call, and so shows how the model writes
calls. For all other models calls are written as Hermes and Qwen do, and a system message says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from itertools import groupby, takewhile
from typing import Any

from bot.generation import ChatMessage, Tool, ToolCall
from bot.inference.core.calls import CallSyntax

Messages = Sequence[Mapping[str, Any]]
Render = Callable[[Messages, Sequence[Mapping[str, Any]]], str]
"""Renders messages with tools and without an opening for the answer; empty if that fails."""

Put = Callable[[str], str]
"""Takes a text that is not the template's, and returns what stands for it in the rendering."""

HERMES = CallSyntax(
    begins=("<tool_call>",),
    opens=('\n{"name": "',),
    arguments=('", "arguments": ',),
    next=('}\n</tool_call>\n<tool_call>\n{"name": "',),
    closes=("}\n</tool_call>",),
)
_TOLD = """# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{tools}
</tools>

For each function call, return a json object with function name and arguments within \
<tool_call></tool_call> XML tags:
<tool_call>
{{"name": <function-name>, "arguments": <args-json-object>}}
</tool_call>"""

_ID = re.compile(r"[a-zA-Z0-9]{9}")
_MARK = re.compile(r"<[^<>\s]+>|\[[A-Z_]+\]")
"""What may tell a call from text."""

_RISKY = re.compile(r"[<\[｜|]")
"""What the text of a special token begins with."""
_NEVER = re.compile("[\x1f\ue000\ue001]")
"""What stands around placeholders."""

_ARGUMENTS = r'\{\s*"zqkey"\s*:\s*"zqvalue"\s*\}'
_DESCRIPTION, _SAID = "zqdescription", "zqsaid"
_ASKED, _ANSWERED = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": _SAID}
_TRIED_CALL = ToolCall("zq0000001", "zqcalled", '{"zqkey": "zqvalue"}')
_TRIED_TOOL = Tool("zqtool", _DESCRIPTION, '{"type": "object", "properties": {}, "required": []}')


def told(messages: Sequence[ChatMessage]) -> tuple[tuple[Tool, ...], Sequence[ChatMessage]]:
    """The tools, and the messages without them."""
    if not messages or not messages[0].tools:
        return (), messages
    first = replace(messages[0], tools=())
    return messages[0].tools, [*([first] if first.content else []), *messages[1:]]


def in_words(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """The messages with all calls and results as text; results in a row are one message."""
    plain: list[ChatMessage] = []
    for is_result, group in groupby(messages, lambda message: message.role == "tool"):
        if is_result:
            said = (f"<tool_response>\n{each.content}\n</tool_response>" for each in group)
            plain.append(ChatMessage("user", "\n".join(said)))
        else:
            plain += [replace(each, content=_with_calls(each), calls=()) for each in group]
    return plain


def telling(tools: Sequence[Tool], messages: Sequence[ChatMessage]) -> Sequence[ChatMessage]:
    """The messages with our words about the tools in a system message."""
    if not tools:
        return messages
    listed = "\n".join(json.dumps(tool_object(tool), ensure_ascii=False) for tool in tools)
    words = _TOLD.format(tools=listed)
    if messages and messages[0].role == "system":
        return [replace(messages[0], content=f"{messages[0].content}\n\n{words}"), *messages[1:]]
    return [ChatMessage("system", words), *messages]


def _with_calls(message: ChatMessage) -> str:
    calls = [f"<tool_call>\n{_written(call)}\n</tool_call>" for call in message.calls]
    return "\n".join([*([message.content] if message.content or not calls else []), *calls])


def _written(call: ToolCall) -> str:
    name = json.dumps(call.name, ensure_ascii=False)
    return f'{{"name": {name}, "arguments": {call.arguments}}}'


def tool_object(tool: Tool, put: Put = str) -> dict[str, Any]:
    """As OpenAI writes it, and most templates expect it."""
    parameters = json.loads(tool.parameters)
    function = {"name": tool.name, "description": tool.description, "parameters": parameters}
    return {"type": "function", "function": _guarded(function, put)}


def message_object(message: ChatMessage, content: str, put: Put = str) -> dict[str, Any]:
    """``content`` stands for that of the message."""
    made: dict[str, Any] = {"role": message.role, "content": content}
    if message.calls:
        made["tool_calls"] = [_call_object(call, put) for call in message.calls]
    if message.role == "tool":
        made["tool_call_id"] = _short(message.call_id)
    return made


def _call_object(call: ToolCall, put: Put) -> dict[str, Any]:
    function = {"name": call.name, "arguments": json.loads(call.arguments)}
    return {"id": _short(call.id), "type": "function", "function": _guarded(function, put)}


def _guarded(value: Any, put: Put) -> Any:
    """With what may begin a special token put into the texts apart from the template's own."""
    match value:
        case str():
            return _RISKY.sub(lambda found: put(found[0]), _NEVER.sub("", value))
        case list():
            return [_guarded(each, put) for each in value]
        case dict():
            return {_guarded(k, put): _guarded(each, put) for k, each in value.items()}
    return value


def _short(number: str) -> str:
    """Mistral's templates want nine letters or digits."""
    if _ID.fullmatch(number):
        return number
    return blake2b(number.encode("utf-8", "replace"), digest_size=5).hexdigest()[:9]


def tried(render: Render) -> CallSyntax | None:
    """How the template writes calls; None if it tells of no tools, or writes no JSON."""
    tools = [tool_object(_TRIED_TOOL)]
    said = [ChatMessage("assistant", "", calls=(_TRIED_CALL,) * number) for number in (1, 2)]
    before, found, after = render([_ASKED, _ANSWERED], tools).rpartition(_SAID)
    one, two = (render([_ASKED, message_object(each, "")], tools) for each in said)
    if not found or _DESCRIPTION not in before or not one.endswith(after):
        return None
    same = takewhile(lambda pair: pair[0] == pair[1], zip(one, before, strict=False))
    calls = one[len(list(same)) :].removesuffix(after).lstrip()
    if (parts := re.fullmatch(f"(.+?)zqcalled(.+?){_ARGUMENTS}(.*)", calls, re.DOTALL)) is None:
        return None
    opens, arguments, closes = parts.groups()
    call = f"zqcalled{re.escape(arguments)}{_ARGUMENTS}"
    several = f"{re.escape(opens)}{call}(.+){call}{re.escape(closes + after)}"
    following = re.search(several, two, re.DOTALL)
    begins = _MARK.match(opens)
    return CallSyntax(
        begins=(begins[0],) if begins else (),
        opens=(opens[begins.end() :] if begins else opens,),
        arguments=(arguments,),
        next=(following[1],) if following else (),
        closes=(closes,),
    )

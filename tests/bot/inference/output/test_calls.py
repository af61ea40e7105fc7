"""Calls of tools and the text of an answer, separated however the bytes come."""

from __future__ import annotations

import pytest

from bot.generation import Delta, Reasoning, Said, ToolCallDelta
from bot.inference.chat_template.tools import HERMES
from bot.inference.core.calls import CallSyntax, as_bytes
from bot.inference.output.calls import CallSplitter
from bot.inference.output.text import ReplyText

LLAMA = CallSyntax((), ('{"name": "',), ('", "parameters": ',), (), ("}",))
MISTRAL = CallSyntax((7,), (), (8,), (7,), ())
Made = list[tuple[str, str]]


def made(*calls: tuple[str, str]) -> Made:
    return list(calls)


def hermes(*calls: tuple[str, str]) -> bytes:
    written = (
        f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'
        for name, arguments in calls
    )
    return "\n".join(written).encode()


def marked(*calls: tuple[str, str]) -> bytes:
    opens, then = as_bytes((7,)), as_bytes((8,))
    return b"".join(opens + n.encode() + then + arguments.encode() for n, arguments in calls)


TWO = made(("get", '{"a": "}日\\"{", "b": [{"c": "\\\\"}, {}]}'), ("x-1", "{}"))
ONE = made(("now", '{"a": "</tool_call>"}'))
CASES: dict[str, tuple[CallSyntax, bytes, str, Made]] = {
    "two": (HERMES, hermes(*TWO), "", TWO),
    "after text": (HERMES, b"Sure.\n\n" + hermes(*ONE), "Sure.", ONE),
    "after what looks alike": (HERMES, b"a <tool\n <b> " + hermes(*ONE), "a <tool\n <b>", ONE),
    "none": (HERMES, b" A <tool_cal. \n", " A <tool_cal. \n", []),
    "the beginning of one": (HERMES, b"Hm <tool_call", "Hm <tool_call", []),
    "cut in its name": (HERMES, b'Hm\n<tool_call>\n{"name": "ge', "Hm", []),
    "cut in its arguments": (HERMES, hermes(*TWO)[:58], "", made(("get", TWO[0][1][:15]))),
    "cut after the first": (HERMES, hermes(*TWO)[:-30], "", TWO[:1]),
    "by its beginning": (
        LLAMA,
        b' {"name": "f", "parameters": {"a": 1}}',
        "",
        made(("f", '{"a": 1}')),
    ),
    "in a text": (
        LLAMA,
        b'A {"name": "f", "parameters": {}}',
        'A {"name": "f", "parameters": {}}',
        [],
    ),
    "by tokens": (MISTRAL, b"Hm [7]\n" + marked(*TWO), "Hm [7]", TWO),
}


def shown(events: list[Said]) -> tuple[str, Made, str]:
    text = "".join(event.text for event in events if isinstance(event, Delta))
    thought = "".join(event.text for event in events if isinstance(event, Reasoning))
    calls: dict[int, tuple[str, str]] = {}
    ids = set()
    for event in events:
        if isinstance(event, ToolCallDelta):
            assert bool(event.id) == bool(event.name) == (event.index not in calls)
            ids.add(event.id)
            name, arguments = calls.get(event.index, (event.name, ""))
            calls[event.index] = name, arguments + event.arguments
    assert len(ids - {""}) == len(calls)
    return text, list(calls.values()), thought


@pytest.mark.parametrize("case", CASES)
def test_calls_and_text_are_separated_however_the_reply_is_cut(case: str) -> None:
    syntax, data, text, calls = CASES[case]
    for size in (1, 2, 3, 7, len(data)):
        reply = ReplyText(calls=CallSplitter(syntax))
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        events = [event for piece in pieces for event in reply.feed(piece)] + reply.flush()
        assert shown(events) == (text, calls, "")
        assert reply.num_calls == len(calls)


def test_a_stop_string_ends_the_text_and_means_nothing_in_a_call() -> None:
    reply = ReplyText(["Paris"], calls=CallSplitter(HERMES))
    events = reply.feed(b"I ask. " + hermes(("get", '{"city": "Paris"}')))
    assert shown(events) == ("I ask.", [("get", '{"city": "Paris"}')], "")
    assert not reply.is_stopped
    stopped = ReplyText(["ask"], calls=CallSplitter(HERMES))
    assert shown(stopped.feed(b"I ask. " + hermes(*ONE))) == ("I ", [], "")
    assert stopped.is_stopped


def test_calls_come_after_the_reasoning() -> None:
    reply = ReplyText(calls=CallSplitter(HERMES))
    thought = b"<think>I may <tool_call> it</think>\n\n"
    events = [e for byte in thought + hermes(*ONE) for e in reply.feed(bytes([byte]))]
    assert shown(events + reply.flush()) == ("", ONE, "I may <tool_call> it")

"""Answers that call tools, on their way through the engine; the model's words are a script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from bot.errors import UnsupportedOption
from bot.generation import (
    ChatMessage,
    Delta,
    Finished,
    FinishReason,
    GenerationEvent,
    GenerationRequest,
    Reasoning,
    Tool,
    ToolCallDelta,
    ToolUse,
)
from bot.inference.core.calls import CallGrammar
from bot.inference.core.sequence import Opening
from bot.inference.engine.intake import PromptEncoder
from bot.inference.engine.service import InferenceService
from bot.metrics import Metrics
from tests.fakes.model import FakeModel

NOW = Tool("now", "", '{"type": "object", "properties": {}}')
ASKED = GenerationRequest(
    messages=(ChatMessage("system", "", tools=(NOW,)), ChatMessage("user", "What time is it?")),
    person="ada",
    tool_use=ToolUse((NOW,), frozenset({"now"})),
)
CALL = '<tool_call>\n{"name": "now", "arguments": {"in": "Paris"}}\n</tool_call>'


async def answer(
    said: str, request: GenerationRequest = ASKED, metrics: Metrics | None = None
) -> list[GenerationEvent]:
    model = FakeModel(lambda _prompt: said)
    service = InferenceService(model, metrics or Metrics(), max_running=2, max_waiting=2)
    async with service:
        return [event async for event in await service.generate(request)]


def text_of(events: list[GenerationEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


def calls_of(events: list[GenerationEvent]) -> list[tuple[str, str]]:
    calls = [event for event in events if isinstance(event, ToolCallDelta)]
    return [
        (first.name, "".join(call.arguments for call in calls if call.index == first.index))
        for first in calls
        if first.name
    ]


async def test_a_call_comes_beside_the_text_and_is_counted() -> None:
    metrics = Metrics()
    events = await answer(f"I look.\n{CALL}\n{CALL}", metrics=metrics)
    assert text_of(events) == "I look."
    assert calls_of(events) == [("now", '{"in": "Paris"}')] * 2
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert finished.reason is FinishReason.STOP
    assert finished.usage.completion_tokens == len(f"I look.\n{CALL}\n{CALL}")
    assert metrics.registry.get_sample_value("parley_tool_calls_total") == 2


async def test_without_tools_the_same_words_are_text() -> None:
    assert text_of(await answer(CALL, replace(ASKED, tool_use=None))) == CALL


async def test_a_reasoning_model_calls_after_it_has_thought() -> None:
    events = await answer(f"<think>Or {CALL}?</think>\n\n{CALL}")
    thought = [event.text for event in events if isinstance(event, Reasoning)]
    assert "".join(thought) == f"Or {CALL}?"
    assert calls_of(events) == [("now", '{"in": "Paris"}')]
    assert text_of(events) == ""


async def test_a_limit_cuts_a_call_and_the_reason_says_so() -> None:
    events = await answer(CALL, replace(ASKED, max_tokens=CALL.index("is")))
    assert isinstance(events[-1], Finished)
    assert events[-1].reason is FinishReason.LENGTH
    assert calls_of(events) == [("now", '{"in": "Par')]


@pytest.mark.parametrize("said", ["", "I look.\n", "Is a < b?\n"])
@pytest.mark.parametrize("num_shown", range(1, len("<tool_call>")))
async def test_a_limit_in_the_mark_before_a_call_shows_no_part_of_it(
    said: str, num_shown: int
) -> None:
    limit = len(said) + num_shown
    events = await answer(f"{said}{CALL}", replace(ASKED, max_tokens=limit))
    assert (text_of(events), calls_of(events)) == (said.rstrip(), [])
    assert isinstance(events[-1], Finished)
    assert events[-1].reason is FinishReason.LENGTH


async def test_an_answer_that_ends_like_the_beginning_of_a_call_is_text() -> None:
    assert text_of(await answer("Calls begin with <tool_")) == "Calls begin with <tool_"


async def test_the_text_has_its_probabilities_and_a_call_has_none() -> None:
    asked = replace(ASKED, num_logprobs=0, stop=("Paris",))
    events = await answer(f"I look. {CALL}", asked)
    pieces = [each.piece for e in events if isinstance(e, Delta) for each in e.logprobs]
    assert b"".join(pieces).decode() == "I look."
    assert calls_of(events) == [("now", '{"in": "Paris"}')]


async def test_a_strict_tool_that_cannot_be_followed_is_refused_before_it_is_queued() -> None:
    strict = Tool("now", "", '{"type": "object", "not": {}}', is_strict=True)
    with pytest.raises(UnsupportedOption, match="'now'"):
        await answer(CALL, replace(ASKED, tool_use=ToolUse((strict,), frozenset({"now"}))))


def test_prompts_with_other_tools_have_other_beginnings() -> None:
    """The beginning that requests share is known by its tools, too."""

    class Telling(FakeModel):
        def encode(self, messages: Sequence[ChatMessage]) -> list[int]:
            told = "".join(tool.name for tool in messages[0].tools)
            return super().encode([ChatMessage("system", told), *messages])

    encoder = PromptEncoder(Telling())
    for tools, size in (((NOW,), 3), ((), 0), ((NOW, NOW), 6)):
        asked = [ChatMessage("system", "", tools=tools), ChatMessage("user", "Hello")]
        assert encoder.encode(asked)[1] == size


@pytest.mark.parametrize(
    ("begun", "may_think"),
    [(None, True), ("", False), ("I", False), ("<think>I", True), ("<think>I</think>", False)],
)
async def test_a_reply_that_goes_on_need_not_think_before_it_calls(
    begun: str | None, may_think: bool
) -> None:
    model = FakeModel(lambda _prompt: CALL)
    model.calls = replace(model.calls, thinks=("<think>",), thought=("</think>",))
    said = () if begun is None else (ChatMessage("assistant", begun, is_open=True),)
    asked = replace(ASKED, messages=(*ASKED.messages, *said))
    async with InferenceService(model, Metrics(), max_running=2, max_waiting=2) as service:
        async for _ in await service.generate(asked):
            pass
    actions = [action for step in model.steps for action in step.actions]
    (grammar,) = [action.grammar for action in actions if isinstance(action, Opening)]
    assert isinstance(grammar, CallGrammar)
    assert ("</think>" in grammar.first) == may_think

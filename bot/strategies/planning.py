"""``strategy: plan``: the steps of a plan are worked out at the same time, and then joined."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pydantic import BaseModel, ValidationError

from bot.answer_formats import JsonSchema
from bot.errors import EngineFailed, ParleyError, PromptTooLong, QueueFull, RequestError
from bot.generation import (
    ChatMessage,
    Delta,
    Finished,
    FinishReason,
    GenerationRequest,
    Queued,
    Sampling,
)
from bot.markdown.parser import Parsed, printable
from bot.metrics import Metrics
from bot.ports import Clock, EngineGeneration, TextGenerator
from bot.strategies.reply import JoinedReply

logger = logging.getLogger(__name__)

_MAX_STEP_CHARACTERS = 100
_TOKENS_OF_STEP, _TOKENS_AROUND = 48, 16
_PLAN = """

(Before you answer, plan. Name the parts of the answer that can be worked out independently of \
each other, {most} at most, each in a few words that say what to do. A simple question has one \
part. Answer with JSON: {{"steps": ["…"]}})"""
_STEP = (
    "Work out this part of the answer now, and only this part. Begin with it at once: no heading, "
    "no introduction, no summary."
)
_GAP, _CUT = "\n\n", "_(cut off at the length limit)_"
_NUMBER = re.compile(r"^\W*\d+[.):]\s+")
_MARKS = re.compile(r"[*_`#<>\[\]|]")


class _Plan(BaseModel):
    steps: list[str]


@dataclass(slots=True)
class _Step:
    """``call`` is the generation that works it out, or why there is none."""

    text: str
    request: GenerationRequest
    call: asyncio.Future[EngineGeneration | ParleyError] = field(default_factory=asyncio.Future)


class Planning:
    """The steps are asked of the model at once, each in a sequence of its own.

    They begin with the messages of the plan, which are evaluated once.
    """

    def __init__(self, generator: TextGenerator, metrics: Metrics, clock: Clock) -> None:
        self._generator = generator
        self._metrics = metrics
        self._clock = clock

    async def generate(self, request: GenerationRequest, max_steps: int) -> EngineGeneration:
        """See ``TextGenerator.generate``."""
        planned = _Planned(self._generator, self._metrics, self._clock, request, max_steps)
        return await planned.begin()


class _Planned:
    """One reply, as ``Planning`` makes it."""

    def __init__(
        self,
        generator: TextGenerator,
        metrics: Metrics,
        clock: Clock,
        request: GenerationRequest,
        max_steps: int,
    ) -> None:
        self._generator = generator
        self._metrics = metrics
        self._clock = clock
        self._request = request
        self._max_steps = max_steps
        self._asked = (*request.messages[:-1], _with_plan(request.messages[-1], max_steps))
        self._reply = JoinedReply()
        self._num_done = 0
        self._has_spoken = False
        self._one_ended = asyncio.Event()

    async def begin(self) -> EngineGeneration:
        """A question for whose plan there is no room is answered without."""
        try:
            call = await self._generator.generate(self._request_of_plan())
        except QueueFull:
            raise
        except RequestError:
            self._count("none")
            return await self._generator.generate(self._request)
        return self._reply.begin(self._run(self._reply.follow(call)))

    async def _run(self, call: EngineGeneration) -> None:
        try:
            steps = self._read(await self._hear_plan(call))
            if len(steps) > 1:
                await self._solve(steps)
            else:
                self._count("one" if steps else "none")
                await self._answer_at_once()
        except (RequestError, EngineFailed) as error:
            self._reply.stream.fail(error)

    def _request_of_plan(self) -> GenerationRequest:
        return replace(
            self._request,
            messages=self._asked,
            shares_prompt=True,
            answer_format=JsonSchema(_schema(self._max_steps)),
            sampling=Sampling(temperature=0),
            asked_sampling=frozenset(),
            max_tokens=_TOKENS_AROUND + _TOKENS_OF_STEP * self._max_steps,
            stop=(),
            loop_guard=False,
        )

    async def _hear_plan(self, call: EngineGeneration) -> str:
        """What is no plan where the model has failed at it."""
        text = ""
        try:
            async for event in call:
                if isinstance(event, Queued):
                    self._reply.stream.put(event)
                elif isinstance(event, Delta):
                    if not text:
                        self._reply.tell("planning")
                    text += event.text
        except (PromptTooLong, EngineFailed) as error:
            logger.warning("no plan was made: %s", error)
        return text

    def _read(self, plan: str) -> list[_Step]:
        """Without what is there twice."""
        try:
            texts = _Plan.model_validate_json(plan).steps
        except ValidationError:
            return []
        lines = [_line(text) for text in texts]
        named = {line.casefold(): line for line in reversed(lines) if line}
        chosen = [*reversed(named.values())][: self._max_steps]
        max_tokens = max(1, self._request.max_tokens // max(1, len(chosen)))
        return [_Step(line, self._request_of(line, max_tokens)) for line in chosen]

    def _request_of(self, step: str, max_tokens: int) -> GenerationRequest:
        said = (ChatMessage("assistant", step), ChatMessage("user", _STEP))
        return replace(
            self._request,
            messages=(*self._asked, *said),
            thread=None,
            shares_prompt=False,
            max_tokens=max_tokens,
        )

    async def _answer_at_once(self) -> None:
        asked = await self._ask(self._request)
        if isinstance(asked, ParleyError):
            raise asked
        async for event in asked:
            if isinstance(event, Finished):
                self._reply.finish(event.reason, event.detail, event.num_repeated)
            else:
                self._reply.stream.put(event)

    async def _solve(self, steps: Sequence[_Step]) -> None:
        self._metrics.plan_steps.inc(len(steps))
        self._tell_progress(len(steps))
        outcome = "stopped"
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._ask_all(steps))
                ends = [
                    await self._show(number, step, is_last=number == len(steps))
                    for number, step in enumerate(steps, 1)
                ]
            outcome = self._conclude(ends)
        finally:
            self._count(outcome)

    def _conclude(self, ends: Sequence[Finished]) -> str:
        """The reply ends as its last step does, unless all have failed; the outcome."""
        failed = [end for end in ends if end.reason is FinishReason.ERROR]
        last = ends[-1]
        if len(failed) == len(ends):
            self._reply.finish(FinishReason.ERROR, failed[0].detail)
            return "failed"
        reason = FinishReason.STOP if last.reason is FinishReason.ERROR else last.reason
        self._reply.finish(reason, "", last.num_repeated)
        return "partly" if failed else "solved"

    async def _ask_all(self, steps: Sequence[_Step]) -> None:
        for step in steps:
            asked = await self._ask(step.request)
            if not isinstance(asked, ParleyError):
                asked.when_finished(lambda _: self._note_end(len(steps)))
            step.call.set_result(asked)

    async def _ask(self, request: GenerationRequest) -> EngineGeneration | ParleyError:
        """Where the engine's queue is full, it waits for room, as for the end of another step."""
        while True:
            self._one_ended.clear()
            try:
                return self._reply.follow(await self._generator.generate(request))
            except QueueFull as full:
                await self._until_room(full.retry_after)
            except (RequestError, EngineFailed) as error:
                return error

    async def _until_room(self, seconds: float) -> None:
        waits = [
            asyncio.ensure_future(self._one_ended.wait()),
            asyncio.ensure_future(self._clock.sleep(seconds)),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _note_end(self, num_steps: int) -> None:
        self._num_done += 1
        self._one_ended.set()
        if not (self._has_spoken or self._reply.stream.is_finished):
            self._tell_progress(num_steps)

    def _tell_progress(self, num_steps: int) -> None:
        self._reply.tell(f"{num_steps} steps, {self._num_done} done")

    async def _show(self, number: int, step: _Step, *, is_last: bool) -> Finished:
        """Its text below its heading, as it grows; how it ended. Only the last one can go on."""
        heading = f"{_GAP if number > 1 else ''}**{number}. {step.text}**{_GAP}"
        asked, end, text = await step.call, Finished(FinishReason.ERROR), ""
        if isinstance(asked, ParleyError):
            end = Finished(FinishReason.ERROR, detail=str(asked))
        else:
            try:
                async for event in asked:
                    if isinstance(event, Delta):
                        self._say(event.text if text else heading + event.text.lstrip())
                        text += event.text
                    elif isinstance(event, Finished):
                        end = event
            except (PromptTooLong, EngineFailed) as error:
                end = Finished(FinishReason.ERROR, detail=str(error))
        if not is_last:
            self._say(_closing(text, end.reason))
        if end.reason is FinishReason.ERROR:
            logger.warning("a step of a plan failed: %s", end.detail)
            self._say(f"{_GAP if text else heading}_This step failed. {end.detail}_")
        elif not text.strip():
            self._say(f"{heading}_The model had nothing to say about this step._")
        return end

    def _say(self, text: str) -> None:
        if text:
            self._has_spoken = True
            self._reply.say(text)

    def _count(self, outcome: str) -> None:
        self._metrics.plans.labels(outcome).inc()


def _schema(max_steps: int) -> str:
    step = {"type": "string", "minLength": 1, "maxLength": _MAX_STEP_CHARACTERS}
    steps = {"type": "array", "items": step, "minItems": 1, "maxItems": max_steps}
    schema = {
        "type": "object",
        "properties": {"steps": steps},
        "required": ["steps"],
        "additionalProperties": False,
    }
    return json.dumps(schema)


def _with_plan(question: ChatMessage, max_steps: int) -> ChatMessage:
    return replace(question, content=question.content + _PLAN.format(most=max_steps))


def _closing(text: str, reason: FinishReason) -> str:
    """What keeps a step from running into the next one, and says that it was cut off."""
    fence = Parsed(printable(text)).open_fence
    note = f"{_GAP}{_CUT}" if reason is FinishReason.LENGTH and text.strip() else ""
    return f"\n{fence}{note}" if fence else note


def _line(text: str) -> str:
    """One line that fits into a heading."""
    line = _MARKS.sub("", _NUMBER.sub("", " ".join(text.split())))
    return line.strip()[:_MAX_STEP_CHARACTERS].rstrip(" .:;")

"""Who answers and judges: the running Parley, and servers of other people."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, replace
from typing import Any

from bot.adapter_support.addresses import COMMAND, EVAL
from bot.cli.answer import NO_ANSWER, patiently
from bot.cli.ask import Answerer, running_parley
from bot.cli.own_parley import own_parley
from bot.config import Settings
from bot.errors import EngineFailed
from bot.evaluation.cases import EvalEngine, EvalSampling, EvalSet, Variant
from bot.evaluation.checks import Answered
from bot.evaluation.judge import VERDICT
from bot.generation import (
    ChatMessage,
    CompletionRequest,
    Finished,
    FinishReason,
    GenerationEvent,
    GenerationRequest,
    Sampling,
)
from bot.inference.remote.engine import RemoteEngine
from bot.lock import is_held
from bot.metrics import Metrics
from bot.personality import PersonalityBook
from bot.ports import LOCAL_ACCOUNT
from bot.prompt import opening
from bot.types import Personality

_JUDGING: Mapping[str, Any] = {"temperature": 0.0, "seed": 0}
_VERDICT_TOKENS = 32


class ServerAnswerer:
    """``Answerer`` over an OpenAI-compatible server, which knows no personality."""

    def __init__(self, engine: RemoteEngine, max_tokens: int) -> None:
        self._engine = engine
        self._max_tokens = max_tokens

    async def ask(self, asked: CompletionRequest) -> AsyncGenerator[GenerationEvent, None]:
        request = GenerationRequest(
            messages=asked.messages,
            person=asked.account,
            sampling=replace(Sampling(), **{**asked.default_sampling, **asked.sampling}),
            asked_sampling=frozenset(asked.sampling),
            max_tokens=asked.max_tokens or self._max_tokens,
            answer_format=asked.answer_format,
        )
        generation = await self._engine.generate(request)
        try:
            async for event in generation:
                if isinstance(event, Finished) and event.reason is FinishReason.ERROR:
                    raise EngineFailed(event.detail)
                yield event
        finally:
            generation.cancel()

    async def model_of(self, personality: str) -> str:
        return self._engine.name


class Respondents:
    """``bot.evaluation.run.Respondent``. ``parley`` None: nobody asks it."""

    def __init__(
        self,
        asked: EvalSet,
        book: PersonalityBook,
        parley: Answerer | None,
        servers: Mapping[str, Answerer],
    ) -> None:
        self._book = book
        self._parley = parley
        self._servers = servers
        self._judge = asked.judge

    async def answer(
        self, variant: Variant, thread: Sequence[ChatMessage], sampling: EvalSampling, number: int
    ) -> Answered:
        """By its own name a personality is asked of Parley, which does with it what it does with
        people's; with another model, or elsewhere, it is its prompt, examples and sampling.
        """
        request = CompletionRequest(
            account=LOCAL_ACCOUNT,
            messages=tuple(thread),
            personality=variant.personality,
            sampling=sampling.chosen(number),
            max_tokens=sampling.max_tokens,
            is_background=True,
        )
        personality = self._book.get(variant.personality)
        if variant.model or variant.engine:
            request = _with_prompt(request, personality, variant.model)
        who = self._servers[variant.engine] if variant.engine else self._own
        begun = time.monotonic()
        answer = await patiently(who, request)
        seconds = time.monotonic() - begun
        if not answer.text.strip():
            raise EngineFailed(NO_ANSWER)
        named = variant.model or await who.model_of(variant.personality)
        num_tokens = answer.finished.usage.completion_tokens
        return Answered(answer.text, num_tokens, seconds, named)

    async def judge(self, asked: Sequence[ChatMessage]) -> str:
        request = CompletionRequest(
            account=LOCAL_ACCOUNT,
            messages=tuple(asked),
            model=None if self._judge in self._servers else self._judge or None,
            sampling=_JUDGING,
            max_tokens=_VERDICT_TOKENS,
            answer_format=VERDICT,
            is_background=True,
        )
        who = self._servers.get(self._judge) or self._own
        return (await patiently(who, request)).text

    @property
    def _own(self) -> Answerer:
        assert self._parley is not None  # noqa: S101
        return self._parley


def _with_prompt(
    request: CompletionRequest, personality: Personality, model: str
) -> CompletionRequest:
    return replace(
        request,
        personality=None,
        model=model or None,
        messages=(*opening(personality), *request.messages),
        default_sampling=_set(personality.sampling),
    )


def _set(sampling: Sampling) -> dict[str, Any]:
    """What differs from the defaults."""
    usual = asdict(Sampling())
    return {name: value for name, value in asdict(sampling).items() if value != usual[name]}


@asynccontextmanager
async def respondents(
    settings: Settings, asked: EvalSet, book: PersonalityBook, num_at_once: int
) -> AsyncIterator[Respondents]:
    """Parley runs, in this process if no other does, unless only servers are asked."""
    async with AsyncExitStack() as stack:
        servers = {
            each.name: await stack.enter_async_context(_server(each, settings, num_at_once))
            for each in asked.engines
        }
        parley = None
        if _asks_parley(asked):
            if not await asyncio.to_thread(is_held, settings.data_dir):
                await stack.enter_async_context(own_parley(settings))
            parley = await stack.enter_async_context(running_parley(settings, {COMMAND: EVAL}))
        yield Respondents(asked, book, parley, servers)


def _asks_parley(asked: EvalSet) -> bool:
    is_answering = bool(asked.models) or not asked.engines
    is_judging = any(case.is_judged for case in asked.cases)
    return is_answering or (is_judging and asked.judge not in {e.name for e in asked.engines})


@asynccontextmanager
async def _server(
    engine: EvalEngine, settings: Settings, num_at_once: int
) -> AsyncIterator[ServerAnswerer]:
    remote = RemoteEngine(
        [engine.url],
        Metrics(),
        key=engine.key,
        model=engine.model or None,
        max_running=num_at_once,
    )
    async with remote:
        yield ServerAnswerer(remote, settings.max_tokens)

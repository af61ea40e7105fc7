"""``strategy: route``: what the local model answers badly, a remote one is asked."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from bot.answer_formats import OneOf
from bot.errors import EngineFailed, PromptTooLong, RequestError, UnsupportedFormat
from bot.generation import (
    ChatMessage,
    Delta,
    Finished,
    FinishReason,
    GenerationRequest,
    Queued,
    Reasoning,
    Said,
    Sampling,
)
from bot.metrics import Metrics
from bot.ports import EngineGeneration, HasModels, TextGenerator
from bot.strategies import notes
from bot.strategies.reply import JoinedReply

logger = logging.getLogger(__name__)

Verdict = Literal["good", "bad", "none"]

_QUESTION = (
    "Judge your last answer as a strict examiner: is it correct, complete and to the point? "
    "Say one word: good or bad."
)
_GO_ON = "Go on exactly where your last answer ends, without repeating any of it."
_VERDICTS = ("good", "bad")
_VERDICT = re.compile("|".join(_VERDICTS))
_MAX_VERDICT_TOKENS = 8


class RemoteModels(HasModels, Protocol):
    """``model`` connects to the servers, and nothing else does."""

    @property
    def address(self) -> str:
        """Where they are, as people read it."""
        ...


@dataclass(slots=True)
class _Answer:
    """What a model has said. ``finished`` None: it could not be asked, or failed.

    ``lines``: those that people see grow.
    """

    said: list[Said] = field(default_factory=list)
    lines: notes.Unforged = field(default_factory=notes.Unforged)
    finished: Finished | None = None

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.said if isinstance(event, Delta))


class Routing:
    """The local model's verdict on its answer decides; without one its answer is given."""

    def __init__(self, local: TextGenerator, remotes: RemoteModels, metrics: Metrics) -> None:
        self._local = local
        self._remotes = remotes
        self._metrics = metrics

    async def generate(
        self, request: GenerationRequest, remote: str, *, shows_both: bool
    ) -> EngineGeneration:
        """See ``TextGenerator.generate``."""
        routed = _Routed(self._local, self._remotes, self._metrics, request, remote, shows_both)
        return await routed.begin()


class _Routed:
    """One reply, as ``Routing`` makes it."""

    def __init__(
        self,
        local: TextGenerator,
        remotes: RemoteModels,
        metrics: Metrics,
        request: GenerationRequest,
        remote: str,
        shows_both: bool,
    ) -> None:
        self._local = local
        self._remotes = remotes
        self._metrics = metrics
        self._request = replace(request, messages=notes.unnoted(request.messages))
        self._begun_by = notes.author(request.begun or "")
        self._remote = remote
        self._shows_both = shows_both
        self._here = request.model or local.name
        self._there = f"{remote} at {remotes.address}"
        self._reply = JoinedReply()

    async def begin(self) -> EngineGeneration:
        if self._request.continues and self._begun_by == self._there:
            return self._reply.begin(self._go_on())
        call = self._reply.follow(await self._local.generate(self._request))
        work = self._pass_on(call) if self._request.continues else self._route(call)
        return self._reply.begin(work)

    async def _route(self, call: EngineGeneration) -> None:
        try:
            answer = await self._hear(call)
        except (PromptTooLong, EngineFailed) as error:
            self._reply.stream.fail(error)
            return
        finished = answer.finished or Finished(FinishReason.ERROR)
        if finished.reason in (FinishReason.ERROR, FinishReason.CANCELLED):
            self._show(answer, "")
            self._end(finished)
            return
        verdict = await self._verdict(answer)
        if verdict == "bad":
            await self._ask_remote(answer)
        else:
            self._give(answer, verdict)

    async def _hear(self, call: EngineGeneration) -> _Answer:
        """The local answer; people see it grow if they are to see both."""
        answer, note = _Answer(), notes.answered_by(self._here)
        async for event in call:
            match event:
                case Queued():
                    self._reply.stream.put(event)
                case Delta() | Reasoning() if self._shows_both:
                    self._grow(answer, event, note)
                case Delta() | Reasoning():
                    if not answer.said:
                        self._reply.tell("answering")
                    answer.said.append(event)
                case Finished():
                    answer.finished = event
        if self._shows_both:
            self._say(answer, answer.lines.close(), note)
        return answer

    def _grow(self, answer: _Answer, event: Said, note: str) -> None:
        """An answer that people see grow, below ``note``."""
        if isinstance(event, Delta):
            self._say(answer, answer.lines.feed(event.text), note)
        else:
            answer.said.append(event)
            self._reply.stream.put(event)

    def _say(self, answer: _Answer, text: str, note: str) -> None:
        if text:
            self._reply.say(text if answer.text else note + text)
            answer.said.append(Delta(text))

    async def _verdict(self, answer: _Answer) -> Verdict:
        """What is empty, or only repeats itself, is bad without being asked about."""
        if not answer.text.strip() or (
            answer.finished and answer.finished.reason is FinishReason.LOOPED
        ):
            return "bad"
        if not self._shows_both:
            self._reply.tell("checking the answer")
        asked = (ChatMessage("assistant", answer.text), ChatMessage("user", _QUESTION))
        question = replace(
            self._request,
            messages=(*self._request.messages, *asked),
            answer_format=OneOf(_VERDICTS),
            sampling=Sampling(temperature=0),
            asked_sampling=frozenset(),
            max_tokens=_MAX_VERDICT_TOKENS,
            shares_prompt=False,
            stop=(),
            loop_guard=False,
        )
        try:
            found = _VERDICT.search((await self._say_word(question)).lower())
        except (RequestError, EngineFailed) as error:
            logger.warning("an answer was not judged: %s", error)
            return "none"
        if found is None:
            return "none"
        return "bad" if found[0] == "bad" else "good"

    async def _say_word(self, question: GenerationRequest) -> str:
        """Servers that cannot be held to a choice are asked without."""
        try:
            call = await self._local.generate(question)
        except UnsupportedFormat:
            call = await self._local.generate(replace(question, answer_format=None))
        self._reply.follow(call)
        return "".join([event.text async for event in call if isinstance(event, Delta)])

    def _give(self, answer: _Answer, verdict: Verdict) -> None:
        """The local answer is the reply."""
        self._count("local", verdict)
        self._show(answer, notes.answered_by(self._here))
        self._end(answer.finished)

    def _show(self, answer: _Answer, note: str) -> None:
        """Unless people have seen it grow."""
        if self._shows_both:
            return
        for event in answer.said:
            if isinstance(event, Reasoning):
                self._reply.stream.put(event)
        if answer.text:
            self._reply.say(note + notes.unforged(answer.text))

    async def _ask_remote(self, local: _Answer) -> None:
        if not self._shows_both:
            self._reply.tell(f"asking {self._there}")
        gap = "\n\n" if self._shows_both and local.text else ""
        remote = await self._of_remote(self._request, gap + notes.answered_by(self._there))
        if remote.finished is not None:
            self._count("both" if self._shows_both else "remote", "bad")
            self._end(remote.finished)
            return
        self._reply.model = ""
        self._count("local", "bad")
        if self._shows_both:
            said = notes.broke_off if remote.text else notes.unreachable
            self._reply.say(said(self._there))
            self._reply.finish(local.finished.reason if local.finished else FinishReason.STOP)
            return
        instead = notes.went_on if remote.text else notes.answered_instead
        self._show(local, instead(self._here, self._there))
        self._end(local.finished)

    async def _of_remote(self, request: GenerationRequest, note: str) -> _Answer:
        """Its answer grows in the reply, below ``note``."""
        answer = _Answer(lines=notes.Unforged(request.begun or ""))
        try:
            call = self._reply.follow(await self._call_remote(request))
            self._reply.model = self._remote
            async for event in call:
                match event:
                    case Delta() | Reasoning():
                        self._grow(answer, event, note)
                    case Finished():
                        answer.finished = event
            self._say(answer, answer.lines.close(), note)
        except (RequestError, EngineFailed) as error:
            logger.warning("%s did not answer: %s", self._there, error)
            return _Answer(answer.said)
        finished = answer.finished
        has_failed = finished is None or finished.reason is FinishReason.ERROR
        if has_failed or not answer.text.strip():
            logger.warning("%s did not answer: %s", self._there, finished and finished.detail)
            return _Answer(answer.said)
        return answer

    async def _call_remote(self, request: GenerationRequest) -> EngineGeneration:
        """Tokens to favour are those of the local vocabulary, so they stay here."""
        remote = await self._remotes.model(self._remote)
        sampling = replace(request.sampling, logit_bias=())
        asked = replace(request, model=None, sampling=sampling, asked_sampling=frozenset())
        if not asked.continues:
            return await remote.generate(asked)
        try:
            return await remote.generate(asked)
        except RequestError:  # most servers cannot continue a text
            begun = replace(asked.messages[-1], is_open=False)
            messages = (*asked.messages[:-1], begun, ChatMessage("user", _GO_ON))
            return await remote.generate(replace(asked, messages=messages))

    async def _go_on(self) -> None:
        """Continue what the remote model began."""
        self._reply.tell(f"asking {self._there}")
        answer = await self._of_remote(self._request, "")
        self._count("remote", "none")
        if answer.finished is None:
            sentence = f"{self._there} could not be reached. Please try again later."
            self._reply.finish(FinishReason.ERROR, sentence)
        else:
            self._end(answer.finished)

    async def _pass_on(self, call: EngineGeneration) -> None:
        """Continue what the local model began, without judging half an answer."""
        answer = _Answer(lines=notes.Unforged(self._request.begun or ""))
        try:
            async for event in call:
                if isinstance(event, Finished):
                    self._say(answer, answer.lines.close(), "")
                    self._count("local", "none")
                    self._end(event)
                elif isinstance(event, Delta | Reasoning):
                    self._grow(answer, event, "")
                else:
                    self._reply.stream.put(event)
        except (PromptTooLong, EngineFailed) as error:
            self._reply.stream.fail(error)

    def _end(self, finished: Finished | None) -> None:
        """As the answer has ended with which the reply ends."""
        last = finished or Finished(FinishReason.ERROR)
        self._reply.finish(last.reason, last.detail, last.num_repeated)

    def _count(self, answered_by: str, verdict: Verdict) -> None:
        self._metrics.routed.labels(answered_by, verdict).inc()

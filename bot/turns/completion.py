"""Programs instead of people: one stateless answer, nothing of its text kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Any
from urllib.parse import quote

from bot.errors import EngineFailed, NotOffered, PromptTooLong, RequestError
from bot.generation import (
    AnyPrompt,
    ChatMessage,
    CompletionRequest,
    Finished,
    FinishReason,
    GenerationRequest,
    RawPrompt,
    Sampling,
    Tool,
    joint_usage,
)
from bot.grounding.fitting import gather_fitting
from bot.grounding.grounder import SourcesWanted
from bot.ports import LOCAL_ACCOUNT, SIGNED_IN, Embeds, EngineGeneration, Generation, Tokenizes
from bot.prompt import clean, leaves_room, opening, shortened
from bot.source import Source
from bot.stored import TurnState
from bot.turns.counted import CountedGeneration
from bot.turns.gathering import shortest, with_gathered
from bot.turns.late import LateAnswers
from bot.turns.queues import AdmissionQueue
from bot.turns.services import Services
from bot.types import Person, Personality, Place
from bot.usage import AnswerTimes

STOPPING = "Parley is stopping; please try again in a moment."
_NUM_SEEDS = 0xFFFFFFFF  # llama.cpp's last 32-bit seed means a random one
_STATES = {FinishReason.CANCELLED: TurnState.STOPPED, FinishReason.ERROR: TurnState.FAILED}


class Completions:
    """``in_flight``: the answers that have not ended."""

    def __init__(self, services: Services, admissions: AdmissionQueue) -> None:
        self._services = services
        self._admissions = admissions
        self._numbers = count(1)
        self._closed = False
        self.in_flight: set[CountedGeneration] = set()

    def close(self) -> None:
        """No further answers begin; those in flight go on."""
        self._closed = True

    async def begin(self, request: CompletionRequest, num_answers: int) -> list[Generation]:
        """The limits count the request once, until the last of its answers has ended."""
        if self._closed:
            raise EngineFailed(STOPPING)
        times = AnswerTimes(self._services.clock)
        if request.account.startswith(SIGNED_IN):
            request = replace(request, user=None)  # they are one person, whatever they say
        personality = self._personality(request)
        person, release = self._admit(request)
        return await self._generate(request, personality, person, times, num_answers, release)

    def _admit(self, request: CompletionRequest) -> tuple[Person, Callable[[], None]]:
        """The person, and what to call when the request has ended."""
        account = _place_of(request.account)
        person = self._person(request, account)
        self._services.access.check_program(account.workspace_form, person)
        if (limited := _limited(request, account, person)) is None:
            return person, lambda: None
        self._services.access.admit(limited)
        return person, partial(self._services.access.release, limited)

    async def embed(
        self, account: str, user: str | None, model: str | None, request: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """See ``bot.ports.Conversations``."""
        _, release = self._admit(CompletionRequest(account=account, user=user))
        try:
            generator = await self._services.generator_for(model)
            if not isinstance(generator, Embeds):
                raise NotOffered("No model here makes embeddings, only texts.")
            found = await generator.embed(request)
        finally:
            release()
        self._services.metrics.completions.labels("embeddings").inc()
        return found

    async def vote(self, account: str, answer_id: str, rating: int) -> None:
        """See ``bot.ports.Conversations``."""
        await self._services.usage.vote(_place_of(account).workspace_form, answer_id, rating)

    def cancel(self) -> None:
        """End the answers in flight."""
        for generation in tuple(self.in_flight):
            generation.cancel()

    async def _generate(
        self,
        request: CompletionRequest,
        personality: Personality | None,
        person: Person,
        times: AnswerTimes,
        num_answers: int,
        release: Callable[[], None],
    ) -> list[Generation]:
        try:
            requests = await self._requests(request, personality, person)
            times.submit()
            wanted = self._wanted(request, personality, person)
            if personality is None or wanted is None:
                generations = await self._ask(requests, num_answers, personality)
            else:
                begin = partial(self._begin_late, request, num_answers, personality, person, wanted)
                generations = LateAnswers(num_answers, begin, self._services.tasks).streams
        except BaseException:
            release()
            raise
        shows_reasoning = personality is None or personality.reasoning != "hidden"
        self._services.metrics.completions.labels(_kind(request)).inc()
        ended = self._ended(len(generations), release)
        counted = [
            CountedGeneration(each, times.hear, ended, shows_reasoning=shows_reasoning)
            for each in generations
        ]
        note = self._noting(request, requests, times, num_answers)
        for number, generation in enumerate(generations):
            generation.when_finished(partial(note, number))
        self.in_flight.update(counted)
        return list(counted)

    async def _ask(
        self,
        requests: Sequence[GenerationRequest],
        num_answers: int,
        personality: Personality | None,
        sources: Sequence[Source] = (),
    ) -> Sequence[EngineGeneration]:
        generations: list[EngineGeneration] = []
        try:
            for each in (each for asked in requests for each in _answers(asked, num_answers)):
                generation = await self._services.answering.generate(each, personality, sources)
                generations.append(generation)
        except BaseException:
            for generation in generations:
                generation.cancel()
            raise
        return generations

    def _wanted(
        self, request: CompletionRequest, personality: Personality | None, person: Person
    ) -> SourcesWanted | None:
        """What is gathered for it; None: nothing, as for one that names no personality."""
        asked = [each.content for each in request.messages if each.role == "user"]
        if personality is None or not asked:
            return None
        may_read, why_not = self._services.rules.may_read(is_known=True)
        wanted = SourcesWanted(
            personality=personality,
            text=clean(asked[-1]),
            earlier=tuple(asked[:-1]),
            may_read=may_read,
            why_not=why_not,
            person=person.id,
            scope=_scope(request),
        )
        return wanted if self._services.grounder.wants(wanted) else None

    async def _begin_late(
        self,
        request: CompletionRequest,
        num_answers: int,
        personality: Personality,
        person: Person,
        wanted: SourcesWanted,
        tell: Callable[[str], None],
    ) -> Sequence[EngineGeneration]:
        """Raises ``RequestError`` where nothing is answered without what cannot be read."""
        services = self._services
        usual = services.rules.max_tokens
        gathered = await gather_fitting(
            services.grounder,
            await services.generator_for(request.model or personality.model),
            wanted,
            lambda sources: shortest(_messages(with_gathered(request, sources), personality)),
            max_tokens=usual if request.max_tokens is None else request.max_tokens,
            tell=tell,
        )
        if gathered.refusals and request.needs_pages:
            raise RequestError(" ".join(gathered.refusals))
        if gathered.refusals:
            tell(" ".join(gathered.refusals).removesuffix("."))
        request = with_gathered(request, gathered.sources)
        requests = await self._requests(request, personality, person)
        return await self._ask(requests, num_answers, personality, gathered.sources)

    def _ended(
        self, num_answers: int, release: Callable[[], None]
    ) -> Callable[[CountedGeneration], None]:
        num_left = num_answers

        def ended(generation: CountedGeneration) -> None:
            nonlocal num_left
            num_left -= 1
            self.in_flight.discard(generation)
            if not num_left:
                release()
            self._admissions.make_room()

        return ended

    def _noting(
        self,
        request: CompletionRequest,
        asked: Sequence[GenerationRequest],
        times: AnswerTimes,
        num_answers: int,
    ) -> Callable[[int, Finished], None]:
        """Takes the end of each answer; with the last, the usage log gets one row for all."""
        ends: dict[int, Finished] = {}
        model = asked[0].model or self._services.generator.name

        def note(number: int, finished: Finished) -> None:
            times.hear(finished)
            ends[number] = finished
            if len(ends) == num_answers * len(asked):
                usages = [ends[n].usage for n in sorted(ends)]
                row = times.row(
                    request.answer_id,
                    person=_logged(request),
                    platform=request.route or "http",
                    personality=request.personality or "",
                    model=next((end.model for end in ends.values() if end.model), model),
                    state=_STATES.get(finished.reason, TurnState.DONE),
                    reason=finished.reason,
                    usage=joint_usage(usages, num_answers),
                )
                self._services.usage.note(row)

        return note

    async def tokenizer(
        self, account: str, personality: str | None, model: str | None
    ) -> Tokenizes:
        """See ``bot.ports.Conversations``."""
        place = _place_of(account)
        self._services.access.check_program(place.workspace_form, Person(place.workspace_form))
        if model is None and personality is not None:
            model = self._services.personalities.get(personality).model
        generator = await self._services.generator_for(model)
        if not isinstance(generator, Tokenizes):
            raise NotOffered("This engine does not show its tokens.")
        self._services.metrics.completions.labels("tokens").inc()
        return generator

    async def _requests(
        self, request: CompletionRequest, personality: Personality | None, person: Person
    ) -> list[GenerationRequest]:
        """One for the messages, or for each raw prompt; only the first goes on the thread."""
        prompts: Sequence[AnyPrompt] = request.prompts or [_messages(request, personality)]
        first, *others = [await self._request(request, p, personality, person) for p in prompts]
        return [first, *(replace(other, thread=None) for other in others)]

    async def _request(
        self,
        request: CompletionRequest,
        prompt: AnyPrompt,
        personality: Personality | None,
        person: Person,
    ) -> GenerationRequest:
        model = request.model or (personality.model if personality else None)
        thread = request.thread and f"http:{_part(request.account)}/{_part(request.thread)}"
        prompt, max_tokens = await self._fitted(request, prompt, model)
        return GenerationRequest(
            messages=() if isinstance(prompt, RawPrompt) else tuple(prompt),
            raw=prompt if isinstance(prompt, RawPrompt) else None,
            person=person.id,
            thread=thread,
            scope=_scope(request),
            sampling=_sampling(request, personality),
            asked_sampling=frozenset(request.sampling),
            num_logprobs=request.num_logprobs,
            max_tokens=max_tokens,
            stop=request.stop,
            answer_format=request.answer_format,
            tool_use=request.tool_use,
            model=model,
            loop_guard=_loop_guard(request, personality),
            is_background=request.is_background,
        )

    async def _fitted(
        self, request: CompletionRequest, prompt: AnyPrompt, model: str | None
    ) -> tuple[AnyPrompt, int]:
        """The prompt, a thread that fills the window without its oldest turns, and the most
        tokens of its answer: the cap of the request, or the usual one, and no more than fit.
        """
        generator = await self._services.generator_for(model)
        usual = self._services.rules.max_tokens
        wanted = usual if request.max_tokens is None else request.max_tokens
        window, num_tokens = generator.window, await generator.count(prompt)
        if not (isinstance(prompt, RawPrompt) or leaves_room(num_tokens, window, wanted)):
            num_first = len(prompt) - len(request.messages)
            prompt = await shortened(generator, prompt, num_first=num_first, max_tokens=wanted)
            num_tokens = await generator.count(prompt)
        if num_tokens >= window:
            raise PromptTooLong(num_tokens, window - 1)
        return prompt, min(wanted, window - num_tokens)

    def _personality(self, request: CompletionRequest) -> Personality | None:
        if request.personality is None:
            return None
        return self._services.personalities.get(request.personality)

    def _person(self, request: CompletionRequest, account: Place) -> Person:
        """Without ``user`` every call counts as a person of its own, for fairness.

        No user can be named like one of those: a text form escapes ``#``.
        """
        if request.account.startswith(SIGNED_IN):
            return Person(account.workspace_form)
        if not request.user:
            return Person(f"{account.workspace_form}/#{next(self._numbers)}")
        return Person.at(account, request.user)


def _place_of(account: str) -> Place:
    return Place("http", account, "", "")


def _logged(request: CompletionRequest) -> str:
    """The person in the usage log: without ``user`` the account."""
    account = _place_of(request.account)
    return Person.at(account, request.user).id if request.user else account.workspace_form


def _limited(request: CompletionRequest, account: Place, person: Person) -> Person | None:
    """The person that limits count: without ``user`` the key's; nobody for this machine."""
    if request.user:
        return person
    return None if request.account == LOCAL_ACCOUNT else Person(account.workspace_form)


def _messages(
    request: CompletionRequest, personality: Personality | None
) -> tuple[ChatMessage, ...]:
    """The personality's opening first, unless the request brings a system message; then tools."""
    messages = tuple(replace(each, content=clean(each.content)) for each in request.messages)
    if request.continues:
        messages = (*messages[:-1], replace(messages[-1], is_open=True))
    if personality is not None and not any(each.role == "system" for each in messages):
        messages = (*opening(personality), *messages)
    return messages if request.tool_use is None else _telling(request.tool_use.tools, messages)


def _telling(tools: tuple[Tool, ...], messages: tuple[ChatMessage, ...]) -> tuple[ChatMessage, ...]:
    if messages[0].role == "system":
        return (replace(messages[0], tools=tools), *messages[1:])
    return (ChatMessage("system", "", tools=tools), *messages)


def _kind(request: CompletionRequest) -> str:
    if request.prompts:
        return "text" if request.prompts[0].suffix is None else "infill"
    return "continued" if request.continues else "chat"


def _sampling(request: CompletionRequest, personality: Personality | None) -> Sampling:
    """Fields that the request leaves open come from the personality, or are defaults."""
    usual = personality.sampling if personality else Sampling()
    return replace(usual, **{**request.default_sampling, **request.sampling})


def _answers(asked: GenerationRequest, num_answers: int) -> Iterator[GenerationRequest]:
    """The first answer is the one that the request gets alone, and goes on its thread."""
    asked = replace(asked, shares_prompt=num_answers > 1)
    yield asked
    for number in range(1, num_answers):
        seed = asked.sampling.seed
        seed = None if seed is None else (seed + number) % _NUM_SEEDS
        yield replace(asked, thread=None, sampling=replace(asked.sampling, seed=seed))


def _loop_guard(request: CompletionRequest, personality: Personality | None) -> bool:
    if request.loop_guard is not None:
        return request.loop_guard
    return personality is None or personality.loop_guard


def _scope(request: CompletionRequest) -> str:
    if request.cache_salt is None:
        return f"http:{request.account}"
    return f"http-salted:{_part(request.account)}/{_part(request.cache_salt)}"


def _part(text: str) -> str:
    return quote(text, safe="")

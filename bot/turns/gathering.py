"""What a question is answered from beside its files. That of a turn is kept with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from bot.citations import with_sources
from bot.generation import ChatMessage, CompletionRequest
from bot.grounding.fitting import gather_fitting
from bot.grounding.grounder import Gathered, SourcesWanted
from bot.prompt import opening
from bot.source import Source
from bot.stored import Turn
from bot.tasks import unless
from bot.turns.services import Services
from bot.types import Personality

MAX_CHARACTERS = 24_000
"""Of the files, pages and passages of one question together."""

_NUM_EARLIER = 3


async def gathered_for(
    services: Services,
    turn: Turn,
    personality: Personality,
    *,
    person: str,
    is_known: bool,
    sites: tuple[str, ...],
    max_tokens: int,
    halted: asyncio.Event,
    tell: Callable[[str], None],
) -> Gathered | None:
    """None if the turn has its sources, needs none, or was halted before they were there."""
    if turn.reply or any(each.is_gathered for each in turn.files):
        return None
    may_read, why_not = services.rules.may_read(is_known=is_known)
    wanted = SourcesWanted(
        personality=personality,
        text=turn.text,
        earlier=await _asked_before(services, turn),
        may_read=may_read,
        why_not=why_not,
        sites=sites,
        person=person,
        scope=turn.place.workspace_form,
        max_characters=max(0, MAX_CHARACTERS - sum(len(each.excerpt) for each in turn.files)),
    )
    if not services.grounder.wants(wanted):
        return None
    generator = await services.generator_for(personality.model)

    def asked(sources: Sequence[Source]) -> Sequence[ChatMessage]:
        question = with_sources(turn.text, (*turn.files, *sources))
        return (*opening(personality), ChatMessage("user", question))

    gathering = gather_fitting(
        services.grounder, generator, wanted, asked, max_tokens=max_tokens, tell=tell
    )
    return await unless(halted, gathering)


async def _asked_before(services: Services, turn: Turn) -> tuple[str, ...]:
    turns = await services.progress.turns(turn.place)
    earlier = [each.text for each in turns if each.number < turn.number]
    return tuple(earlier[-_NUM_EARLIER:])


def with_gathered(request: CompletionRequest, sources: Sequence[Source]) -> CompletionRequest:
    """With the sources below its question, which is the last message of the user."""
    messages = [*request.messages]
    last = max(number for number, each in enumerate(messages) if each.role == "user")
    content = with_sources(messages[last].content, sources)
    messages[last] = replace(messages[last], content=content)
    return replace(request, messages=tuple(messages))


def shortest(messages: Sequence[ChatMessage]) -> tuple[ChatMessage, ...]:
    """What stays of a program's thread in any case: system messages and the question."""
    asked = [each for each in messages if each.role == "user"]
    return (*(each for each in messages if each.role == "system"), *asked[-1:])

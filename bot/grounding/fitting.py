"""Gathers as much as a prompt has room for, by the model's own count of tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from bot.generation import ChatMessage
from bot.grounding.grounder import Gathered, Grounder, SourcesWanted, Tell
from bot.ports import TextGenerator
from bot.source import Source

WithSources = Callable[[Sequence[Source]], Sequence[ChatMessage]]
"""The shortest prompt that asks the question, with these sources in it."""

_LETTERS_A_TOKEN = 4
_LEAST_TOKENS = 100
_MARGIN = 0.95
_LEFT_OUT = "Not all that I read for this fits into what the model can take at once."
_NO_ROOM = "There is no room left to read anything: the question is as long as the model can take."


async def gather_fitting(
    grounder: Grounder,
    generator: TextGenerator,
    wanted: SourcesWanted,
    with_sources: WithSources,
    *,
    max_tokens: int,
    tell: Tell,
) -> Gathered:
    """The sources get at most half of what the question leaves of the window beside its reply.

    The other half is for the thread before it.
    """
    window = generator.window
    num_asked = await generator.count(with_sources(()))
    room = (window - min(max_tokens, window // 2) - num_asked) // 2
    if room < _LEAST_TOKENS:
        return Gathered((), (_NO_ROOM,))
    most = min(wanted.max_characters, room * _LETTERS_A_TOKEN)
    gathered = await grounder.gather(replace(wanted, max_characters=most), tell)
    sources = gathered.sources
    while sources:
        num_tokens = await generator.count(with_sources(sources)) - num_asked
        if num_tokens <= room:
            break
        sources = _shortened(sources, _MARGIN * room / num_tokens)
    is_whole = len(sources) == len(gathered.sources)
    refusals = gathered.refusals if is_whole else (*gathered.refusals, _LEFT_OUT)
    return Gathered(tuple(sources), refusals)


def _shortened(sources: Sequence[Source], share: float) -> tuple[Source, ...]:
    """Each with so much of its beginning; one of which nothing is left goes."""
    kept = ((each, each.excerpt[: int(len(each.excerpt) * share)].rstrip()) for each in sources)
    return tuple(replace(each, excerpt=text, is_cut=True) for each, text in kept if text)

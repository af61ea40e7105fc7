"""Answers as a personality is to: at once, or by its strategy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bot.generation import GenerationRequest
from bot.metrics import Metrics
from bot.ports import Clock, EngineGeneration, TextGenerator
from bot.source import Source
from bot.strategies import notes
from bot.strategies.planning import Planning
from bot.strategies.quoted import QuotedAnswers, can_quote
from bot.strategies.reply import is_plain
from bot.strategies.routing import RemoteModels, Routing
from bot.types import Personality


class Answering:
    """Without ``remotes`` no answer is judged; no model reads who answered before."""

    def __init__(
        self,
        generator: TextGenerator,
        metrics: Metrics,
        clock: Clock,
        remotes: RemoteModels | None = None,
    ) -> None:
        self._generator = generator
        self._quoted = QuotedAnswers(generator, metrics)
        self._planning = Planning(generator, metrics, clock)
        self._routing = Routing(generator, remotes, metrics) if remotes else None

    async def generate(
        self,
        request: GenerationRequest,
        personality: Personality | None,
        sources: Sequence[Source] = (),
    ) -> EngineGeneration:
        """``TextGenerator.generate``, by the strategy of the ``personality``.

        ``sources``: what the prompt holds of files, pages and facts for this question. Only text
        is answered by a strategy, and what goes on does so without another plan. Quotations come
        with the probabilities of their tokens, too.
        """
        if personality is not None and personality.answers == "quoted" and can_quote(request):
            return await self._quoted.generate(request, personality, sources)
        if personality is None or not request.messages:
            return await self._generator.generate(request)
        is_routed = personality.strategy == "route" and is_plain(request)
        if is_routed and self._routing and personality.remote:
            return await self._routing.generate(
                request, personality.remote, shows_both=personality.shows_both
            )
        request = replace(request, messages=notes.unnoted(request.messages))
        if not is_plain(request):
            return await self._generator.generate(request)
        if personality.strategy == "plan" and request.messages[-1].role == "user":
            return await self._planning.generate(request, personality.max_steps)
        return await self._generator.generate(request)

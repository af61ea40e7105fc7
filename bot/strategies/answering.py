"""Answers as a personality is to: at once, or by its strategy."""

from __future__ import annotations

from collections.abc import Sequence

from bot.generation import GenerationRequest
from bot.ports import EngineGeneration, TextGenerator
from bot.types import Personality, Source


class Answering:
    def __init__(self, generator: TextGenerator) -> None:
        self._generator = generator

    async def generate(
        self,
        request: GenerationRequest,
        personality: Personality | None,
        sources: Sequence[Source] = (),
    ) -> EngineGeneration:
        """``TextGenerator.generate``, by the strategy of the ``personality``.

        ``sources``: what the prompt holds of files, pages and facts for this question.
        """
        return await self._generator.generate(request)

"""What a conversation is made of; put together once, in ``ConversationService``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.access import Access
from bot.errors import UnknownPersonality
from bot.metrics import Metrics
from bot.pacing import EditBudget
from bot.personality import PersonalityBook
from bot.ports import Adapter, Clock, HasModels, TextGenerator, ThreadStore
from bot.types import Personality, Place


@dataclass(frozen=True, slots=True)
class ConversationRules:
    """``stop_reactions``: adapter name -> reaction names, ``*`` for any run of characters.

    ``max_waiting_per_channel``: 0 is any number.
    """

    personality: str = "assistant"
    max_tokens: int = 512
    stop_reactions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    recover_seconds: float = 900.0
    max_waiting_per_channel: int = 50


@dataclass(frozen=True, slots=True)
class Parts:
    store: ThreadStore
    generator: TextGenerator
    personalities: PersonalityBook
    access: Access
    adapters: Mapping[str, Adapter]
    budgets: Mapping[str, EditBudget]
    clock: Clock
    metrics: Metrics
    rules: ConversationRules

    async def generator_for(self, model: str | None) -> TextGenerator:
        """The engine's model of that name, or its default one. Raises ``EngineFailed``."""
        if model is None or not isinstance(self.generator, HasModels):
            return self.generator
        return await self.generator.model(model)

    async def personality_of(self, place: Place) -> Personality:
        """The thread's, its channel's, or the default; also if the chosen one is gone."""
        name = await self.store.personality(place) or self.rules.personality
        try:
            return self.personalities.get(name)
        except UnknownPersonality:
            return self.personalities.default

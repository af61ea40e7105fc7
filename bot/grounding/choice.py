"""Which of its sources a personality reads for a question: the model chooses, under a grammar."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bot.answer_formats import OneOf
from bot.errors import EngineFailed, RequestError
from bot.generation import ChatMessage, Delta, Finished, GenerationRequest, Sampling
from bot.metrics import Metrics
from bot.ports import TextGenerator
from bot.prompt import clean
from bot.types import Personality

NONE = "none"
FACTS = "facts"
_MAX_TOKENS = 24
_NUM_EARLIER = 2
_MAX_QUESTION = 2_000
"""Characters; the beginning of a long question says what it is about."""

_INSTRUCTION = (
    "You choose where an answer is found. The sources are:\n{sources}\n- none: anything else\n"
    "Reply with the name of the one source that has the answer, or none."
)
_QUESTION = "Question: {question}\nSource:"
_SPACELESS = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")


@dataclass(frozen=True, slots=True)
class Option:
    """``triggers``: words of a question for which it is chosen where the model chooses none."""

    name: str
    about: str
    triggers: tuple[str, ...] = ()


def options_of(personality: Personality) -> tuple[Option, ...]:
    """What the model is offered; the fact base beside other sources only."""
    options = [
        Option(each.name, each.about or each.name, each.triggers) for each in personality.sources
    ]
    if options and personality.facts is not None:
        options.append(Option(FACTS, f"the documents of {personality.title}"))
    return tuple(options)


class SourceChoice:
    def __init__(self, generator: TextGenerator, metrics: Metrics) -> None:
        self._generator = generator
        self._counter = metrics.source_choices

    async def choose(
        self,
        options: Sequence[Option],
        text: str,
        earlier: Sequence[str],
        *,
        model: str | None,
        person: str,
        scope: str,
    ) -> str | None:
        """The name of one option; never fails."""
        request = GenerationRequest(
            messages=_messages(options, text, earlier),
            person=person,
            scope=scope,
            sampling=Sampling(temperature=0.0),
            max_tokens=_MAX_TOKENS,
            answer_format=OneOf((*(each.name for each in options), NONE)),
            model=model,
            loop_guard=False,
        )
        found = await self._answer(request)
        names = {each.name for each in options}
        chosen = found if found in names else triggered(options, text)
        by = "model" if found in names else "trigger" if chosen else "nobody"
        self._counter.labels(by).inc()
        return chosen

    async def _answer(self, request: GenerationRequest) -> str | None:
        """None where the engine has no answer, or no grammars."""
        try:
            generation = await self._generator.generate(request)
        except (EngineFailed, RequestError):
            return None
        said = ""
        try:
            async for event in generation:
                if isinstance(event, Delta):
                    said += event.text
                elif isinstance(event, Finished):
                    break
        except (EngineFailed, RequestError):
            return None
        finally:
            generation.cancel()
        return said.strip()


def triggered(options: Sequence[Option], text: str) -> str | None:
    """The first option of which the text has a trigger word."""
    found = (each.name for each in options if any(_has(text, word) for word in each.triggers))
    return next(found, None)


def _has(text: str, word: str) -> bool:
    """As whole words, where words have spaces between them."""
    text, word = text.casefold(), word.casefold()
    if _SPACELESS.search(word):
        return word in text
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text) is not None


def _messages(
    options: Sequence[Option], text: str, earlier: Sequence[str]
) -> tuple[ChatMessage, ...]:
    """The same beginning for all questions to a personality, which is evaluated once."""
    sources = "\n".join(f"- {each.name}: {each.about}" for each in options)
    asked = "\n".join(clean(each)[:_MAX_QUESTION] for each in (*earlier[-_NUM_EARLIER:], text))
    return (
        ChatMessage("system", _INSTRUCTION.format(sources=sources)),
        ChatMessage("user", _QUESTION.format(question=asked)),
    )

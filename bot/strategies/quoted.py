"""``answers: quoted``: what an answer says stands in its sources, by the grammar it follows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from bot.answer_formats import Quoted, QuotedPassage, Sentence
from bot.citations import in_prompt, plain
from bot.errors import EngineFailed, RequestError
from bot.generation import Delta, Finished, FinishReason, GenerationRequest, Sampling
from bot.markdown.literal import literally
from bot.metrics import Metrics
from bot.ports import EngineGeneration, TextGenerator
from bot.prompt import clean
from bot.quoted_answers import refusal_of, sources_line
from bot.source import Source
from bot.strategies.evidence import shares_found
from bot.strategies.quoted_text import QuotedText
from bot.strategies.reply import JoinedReply
from bot.strategies.sentences import sentences
from bot.types import Personality

_MAX_SENTENCES = 400
"""That may be quoted: the grammar of more takes long to compile, and to follow."""
_MAX_TEMPERATURE = 0.3
"""It decides where a quotation begins and ends; what is in between is no choice."""
_MUCH, _LITTLE = 0.6, 0.5
"""Shares of a question's words: so many are most; a question without any is between both."""
_MARK, _LIKELIER = ">", 12.0
"""With it a quotation begins; so much is added to its logit. Small models would always refuse."""


def can_quote(request: GenerationRequest) -> bool:
    """A format of its own, or tools, take the place of quotations."""
    return bool(request.messages) and request.answer_format is None and request.tool_use is None


class QuotedAnswers:
    """Whether a question can be answered is for the model to say, by how it begins.

    What it may quote are the passages in which something of the question stands; without any it
    is not asked. Where most of it stands in one quotations are made likelier by ``_LIKELIER``.
    """

    def __init__(self, generator: TextGenerator, metrics: Metrics) -> None:
        self._generator = generator
        self._metrics = metrics

    async def generate(
        self, request: GenerationRequest, personality: Personality, sources: Sequence[Source]
    ) -> EngineGeneration:
        """See ``TextGenerator.generate``. Without anything to quote no model is asked."""
        refusal, begun = refusal_of(personality), request.begun or ""
        shares = _shares(request, sources)
        quotable = _Quotable(sources, shares, begun)
        reply = _QuotedReply(
            QuotedText(quotable.runs, refusal, begun),
            lambda numbers: sources_line(personality, quotable.names(numbers)),
            self._count,
        )
        if not quotable.passages or begun.endswith(refusal):
            self._count("empty")
            return reply.at_once("" if begun else refusal)
        answer_format = Quoted(quotable.passages, refusal, goes_on=request.continues)
        asked = replace(
            request,
            answer_format=answer_format,
            loop_guard=False,
            sampling=_sampling(request, is_likely=max(shares) >= _MUCH),
        )
        call = reply.follow(await self._generator.generate(asked))
        return reply.begin(reply.pass_on(call))

    def _count(self, outcome: str) -> None:
        self._metrics.quoted_answers.labels(outcome).inc()


class _Quotable:
    """What may be quoted of the sources, by their numbers, which count from 1."""

    def __init__(self, sources: Sequence[Source], shares: Sequence[float], begun: str) -> None:
        """Without those of which no share of the question is, and what is quoted in ``begun``.

        What stands there twice counts once.
        """
        self._sources = sources
        self.runs = {number: sentences(each.excerpt) for number, each in enumerate(sources, 1)}
        self.passages = tuple(self._passages(shares, begun))

    def _passages(self, shares: Sequence[float], begun: str) -> Iterator[QuotedPassage]:
        known, left = set[tuple[Sentence, ...]](), _MAX_SENTENCES
        found = (number for number, share in enumerate(shares, 1) if share)
        for number in found:
            runs = []
            for run in self.runs[number]:
                is_said = any(each.text.strip() in begun for each in run)
                if not (is_said or run in known) and len(run) <= left:
                    runs.append(run)
                    known.add(run)
                    left -= len(run)
            if runs:
                yield QuotedPassage(number, tuple(runs))

    def names(self, numbers: Sequence[int]) -> str:
        """Of the sources with these numbers."""
        return "; ".join(f"[{number}] {_named(self._sources[number - 1])}" for number in numbers)


class _QuotedReply(JoinedReply):
    """Wherever it ends, what it quotes is closed, and the last line names the sources."""

    def __init__(
        self,
        text: QuotedText,
        line: Callable[[Sequence[int]], str],
        count: Callable[[str], None],
    ) -> None:
        super().__init__()
        self._text = text
        self._line = line
        self._count = count

    def at_once(self, text: str) -> EngineGeneration:
        """Without a model."""
        if text:
            self.say(text)
        super().finish(FinishReason.STOP)
        return self.stream

    async def pass_on(self, call: EngineGeneration) -> None:
        try:
            async for event in call:
                if isinstance(event, Finished):
                    self.finish(event.reason, event.detail)
                elif not isinstance(event, Delta):
                    self.stream.put(event)
                elif shown := self._text.feed(event.text):
                    self.stream.put(replace(event, text=shown))
        except (RequestError, EngineFailed) as error:
            self._close()
            self.stream.fail(error)

    def finish(self, reason: FinishReason, detail: str = "", num_repeated: int = 0) -> None:
        self._close()
        super().finish(reason, detail, num_repeated)

    def _close(self) -> None:
        rest = self._text.close()
        outcome = self._text.outcome
        if outcome == "quoted":
            rest += f"\n\n{self._line(self._text.cited)}"
        if outcome:
            self._count(outcome)
        if rest:
            self.say(rest)


def _shares(request: GenerationRequest, sources: Sequence[Source]) -> list[float]:
    """How much of the question stands in each of the sources.

    It is about what came with it, or was read for it.
    """
    asked = [message.content for message in request.messages if message.role == "user"]
    question = asked[-1] if asked else ""
    for source in sources:
        question = question.replace(clean(in_prompt(source)), "")
    texts = [f"{source.name} {' '.join(source.heading)} {source.excerpt}" for source in sources]
    found = shares_found(question.strip().rpartition("\n")[2], texts)
    shares = [_LITTLE] * len(sources) if found is None else found
    is_fact = (source.kind == "fact" for source in sources)
    return [share if fact else 1.0 for share, fact in zip(shares, is_fact, strict=True)]


def _sampling(request: GenerationRequest, *, is_likely: bool) -> Sampling:
    """No penalty keeps a quotation from saying what the passage says again and again."""
    usual = Sampling(
        temperature=min(request.sampling.temperature, _MAX_TEMPERATURE),
        seed=request.sampling.seed,
        logit_bias=((_MARK, _LIKELIER),) if is_likely else (),
    )
    return replace(
        usual, **{name: getattr(request.sampling, name) for name in request.asked_sampling}
    )


def _named(source: Source) -> str:
    title = " › ".join(filter(None, map(plain, (source.name, *source.heading))))
    address = f" ({source.address})" if source.address and title else source.address
    return "".join(literally(f"{title}{address}"))

"""The replies of queued and running sequences: new tokens become events of their streams.

Queued replies get their places and estimated waiting times, from how long replies took so far.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Sequence as Items
from dataclasses import dataclass, field, replace
from typing import Protocol

from bot.generation import Delta, Finished, FinishReason, Queued, Said, TokenLogprob, Usage
from bot.inference.core.sequence import Sequence, Status
from bot.inference.output.text import ReplyText
from bot.metrics import Metrics
from bot.stream import GenerationStream

_LATER_BYTES = bytes(range(0x80, 0xC0))
"""UTF-8's continuation bytes: all bytes of a character but its first."""

_DELTA_SECONDS, _DELTAS_A_SECOND = 0.05, 160
"""Limits on how often text is emitted: per reply, and for all replies together.

Nobody reads faster, and every delta is written and read on the cores that the model needs.
"""
_LOST = "The answer could not go on in the format asked for. Please ask for a simpler one."
_SMOOTHING = 0.2
"""Weight of the latest reply in the mean duration."""


@dataclass(slots=True)
class Reply:
    """A sequence with its stream. ``piece`` gives a token's bytes; times in monotonic seconds.

    ``marks``: tokens around calls of tools, with bytes that stand for them. ``num_shown`` tokens
    were emitted, the last of them at ``shown_at``. ``started_at``: when it left the queue for the
    first time.
    """

    sequence: Sequence
    stream: GenerationStream
    text: ReplyText
    piece: Callable[[int], bytes]
    accepted_at: float
    marks: Mapping[int, bytes] = field(default_factory=dict)
    started_at: float | None = None
    num_shown: int = 0
    num_counted: int = 0
    shown_at: float = 0.0
    queued: Queued | None = field(default=None)
    _unsaid: list[TokenLogprob] = field(default_factory=list)

    @property
    def usage(self) -> Usage:
        sequence = self.sequence
        num_found = sequence.num_shared + sequence.num_resumed + sequence.num_restored
        num_cached = min(num_found, sequence.num_prompt)
        num_generated = self.text.num_tokens if self.text.is_stopped else sequence.num_generated
        num_reasoning = self.text.num_reasoning_tokens
        return Usage(sequence.num_prompt, num_cached, num_generated, num_reasoning)

    @property
    def reason(self) -> FinishReason:
        """A stop string in the text counts before whatever ended the sequence meanwhile.

        Tokens are looked at in every step and text only now and then, so the sequence may have
        gone on to its limit, into a loop or out of its grammar.
        """
        ended = self.sequence.finish_reason or FinishReason.ERROR
        is_stopped = self.text.is_stopped and ended is not FinishReason.CANCELLED
        return FinishReason.STOP if is_stopped else ended

    @property
    def queue_seconds(self) -> float | None:
        return None if self.started_at is None else self.started_at - self.accepted_at

    @property
    def num_repeated(self) -> int:
        """Characters at the end of a looping answer that only repeat what stands before."""
        guard = self.sequence.guard
        is_cut = self.text.is_stopped or self.text.is_reasoning
        if guard is None or not guard.num_repeated or is_cut:
            return 0
        tail = b"".join(map(self.piece, self.sequence.tokens[-guard.num_repeated :]))
        return len(tail.lstrip(_LATER_BYTES).decode("utf-8", "replace"))

    def show(self) -> None:
        """Emit the tokens that were sampled since the last call."""
        new_tokens = self.sequence.tokens[self.sequence.num_prompt + self.num_shown :]
        for number, token in enumerate(new_tokens, self.num_shown):
            was_reasoning = self.text.is_reasoning
            events = self.text.feed(self.marks.get(token) or self.piece(token))
            if self.text.is_reasoning:
                self._unsaid.clear()
            elif not was_reasoning:
                self._note(number)
            self._emit(events)
        self.num_shown += len(new_tokens)

    def show_rest(self) -> None:
        """Emit the text that was held back; the reply has ended."""
        self._emit(self.text.flush(is_cut=self.reason is not FinishReason.STOP))

    def _note(self, number: int) -> None:
        """The probabilities of this token go with the text that it becomes part of."""
        wanted = self.sequence.logprobs
        if wanted is not None:
            token, *likeliest = (TokenLogprob(self.piece(t), p) for t, p in wanted.noted[number])
            self._unsaid.append(replace(token, likeliest=tuple(likeliest)))

    def _emit(self, events: Items[Said]) -> None:
        for event in events:
            if self._unsaid and isinstance(event, Delta):
                event = replace(event, logprobs=tuple(self._unsaid))
                self._unsaid.clear()
            self.stream.put(event)


class QueuedReply(Protocol):
    """A reply in the queue. ``queued`` is the last event that its stream got."""

    stream: GenerationStream
    queued: Queued | None


BEGUN = Queued(0)


class QueueEstimates:
    """Estimates for an engine that decodes ``max_running`` replies at once."""

    def __init__(self, max_running: int) -> None:
        self._max_running = max_running
        self._mean_seconds = 2.0

    def took(self, seconds: float) -> None:
        """A reply ended ``seconds`` after it was accepted."""
        self._mean_seconds += _SMOOTHING * (seconds - self._mean_seconds)

    def until(self, place: int) -> float:
        """Seconds until the request at ``place`` starts."""
        return self._mean_seconds * place / self._max_running

    def tell(self, waiting: Iterable[QueuedReply]) -> None:
        """Send ``Queued`` to every reply whose place has changed; places count from 1."""
        for place, reply in enumerate(waiting, 1):
            if reply.queued is None or reply.queued.place != place:
                reply.queued = Queued(place, self.until(place))
                reply.stream.put(reply.queued)


class Replies:
    """All replies that have not ended.

    ``stop`` is called with a sequence whose text contains a stop string.
    """

    def __init__(
        self, metrics: Metrics, estimates: QueueEstimates, stop: Callable[[Sequence], None]
    ) -> None:
        self._metrics = metrics
        self._estimates = estimates
        self._stop = stop
        self._all: dict[int, Reply] = {}
        self._advanced: deque[Sequence] = deque()

    def __iter__(self) -> Iterator[Reply]:
        """Over a copy, so that replies may end during the iteration."""
        return iter(list(self._all.values()))

    def add(self, reply: Reply) -> None:
        self._all[reply.sequence.id] = reply

    def advance(self, advanced: Items[Sequence]) -> None:
        """These sequences have a new token, which the next ``publish`` emits."""
        self._advanced += advanced

    def publish(self) -> None:
        """Emit the new tokens of the last step."""
        now = time.monotonic()
        pause = max(_DELTA_SECONDS, len(self._all) / _DELTAS_A_SECOND)
        while self._advanced:
            sequence = self._advanced.popleft()
            reply = self._all.get(sequence.id)
            if reply is None:
                continue
            if sequence.is_finished or now >= reply.shown_at + pause:
                self._show(reply, now)

    def _show(self, reply: Reply, now: float) -> None:
        is_first = reply.num_shown == 0
        reply.show()
        self._count(reply)
        reply.shown_at = now
        if is_first and reply.num_shown:
            self._metrics.first_token.observe(now - reply.accepted_at)
        if reply.text.is_stopped:
            self._stop(reply.sequence)
        if reply.sequence.is_finished:
            self.conclude(reply.sequence, _LOST)

    def _count(self, reply: Reply) -> None:
        """What is new of it, so that the counter grows with the reply."""
        num_generated = reply.sequence.num_generated
        self._metrics.completion_tokens.inc(max(0, num_generated - reply.num_counted))
        reply.num_counted = max(num_generated, reply.num_counted)

    def conclude(self, sequence: Sequence, detail: str = "") -> None:
        """Emit the text that was held back and the last event; the reply is removed.

        ``detail`` is for a reply that has failed.
        """
        reply = self._all[sequence.id]
        reply.show_rest()
        reason = reply.reason
        detail = detail if reason is FinishReason.ERROR else ""
        reply.stream.put(
            Finished(reason, reply.usage, detail, reply.num_repeated, reply.queue_seconds)
        )
        del self._all[sequence.id]
        metrics = self._metrics
        metrics.looped.inc(reason is FinishReason.LOOPED)
        metrics.tool_calls.inc(reply.text.num_calls)
        self._count(reply)
        metrics.reasoning_tokens.inc(reply.text.num_reasoning_tokens)
        metrics.prompt_tokens.labels("shared").inc(sequence.num_shared)
        metrics.prompt_tokens.labels("resumed").inc(sequence.num_resumed)
        metrics.prompt_tokens.labels("restored").inc(sequence.num_restored)
        if reason is not FinishReason.CANCELLED and not sequence.is_background:
            self._estimates.took(time.monotonic() - reply.accepted_at)

    def fail(self, sequences: Items[Sequence], detail: str) -> None:
        """Conclude the replies of these sequences, which have failed."""
        self._advanced.clear()
        for sequence in sequences:
            self._all[sequence.id].show()
            self.conclude(sequence, detail)

    def end_finished(self, detail: str) -> None:
        """Conclude the replies of finished sequences; those that failed get ``detail``."""
        self._advanced.clear()
        for reply in self:
            if reply.sequence.is_finished:
                reply.show()
                self.conclude(reply.sequence, detail)

    def cut_off(self, detail: str) -> None:
        """End every stream with an error, without touching other state, which may be broken."""
        self._advanced.clear()
        for reply in self:
            reply.stream.put(Finished(FinishReason.ERROR, detail=detail))
        self._all.clear()

    def tell_places(self, waiting: Iterable[Sequence]) -> None:
        """Send their new places to the replies of these queued sequences; the others have begun."""
        now = time.monotonic()
        for reply in self._all.values():
            if reply.started_at is None and reply.sequence.status is not Status.WAITING:
                reply.started_at = now
                reply.stream.put(BEGUN)
        self._estimates.tell(self._all[sequence.id] for sequence in waiting)

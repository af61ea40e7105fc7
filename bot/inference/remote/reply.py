"""RemoteReply: a request to the servers and the reply so far."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from bot.inference.core.stream import GenerationStream
from bot.inference.output.text import ReplyText
from bot.inference.remote.chunks import StreamChunk
from bot.types import Delta, FinishReason, GenerationRequest, Queued, Reasoning, TokenLogprob, Usage

_MAX_CHARACTERS_PER_TOKEN = 64
"""A server that sends more text than that ignores the limit of the reply."""


@dataclass(slots=True, eq=False)
class RemoteReply:
    """``accepted_at`` in monotonic seconds; ``num_tokens``: our count of the prompt."""

    request: GenerationRequest
    stream: GenerationStream
    accepted_at: float
    num_tokens: int
    num_chunks: int = 0
    num_characters: int = 0
    has_asked_why: bool = False
    reason: FinishReason | None = None
    reported: Usage | None = None
    queued: Queued | None = field(default=None)
    text: ReplyText = field(default_factory=ReplyText)
    _unsaid: list[TokenLogprob] = field(default_factory=list)

    @property
    def has_begun(self) -> bool:
        return self.num_chunks > 0

    @property
    def usage(self) -> Usage:
        """The server's count, or ours: a chunk is mostly one token."""
        return self.reported or Usage(self.num_tokens, 0, self.num_chunks)

    def take(self, chunk: StreamChunk) -> None:
        self.reason = chunk.reason or self.reason
        self.reported = chunk.usage or self.reported
        self._unsaid += chunk.logprobs
        if not chunk.num_characters:
            return
        self.num_chunks += 1
        self.num_characters += chunk.num_characters
        if chunk.thought:
            self.stream.put(Reasoning(chunk.thought))
        if chunk.text:
            self._show(self.text.feed(chunk.text.encode("utf-8", "replace")))

    def show_rest(self) -> None:
        """Emit the text that was held back as the possible beginning of a tag."""
        self._show(self.text.flush())

    def _show(self, events: Iterable[Delta | Reasoning]) -> None:
        for event in events:
            if self._unsaid and isinstance(event, Delta):
                event = replace(event, logprobs=tuple(self._unsaid))
                self._unsaid.clear()
            self.stream.put(event)

    @property
    def is_flooding(self) -> bool:
        return self.num_characters > self.request.max_tokens * _MAX_CHARACTERS_PER_TOKEN

"""RemoteReply: a request to the servers and the reply so far."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from bot.generation import (
    Delta,
    FinishReason,
    GenerationRequest,
    Queued,
    Reasoning,
    Said,
    TokenLogprob,
    Usage,
)
from bot.inference.output.text import ReplyText
from bot.inference.remote.chunks import ReportedUsage, StreamChunk
from bot.inference.remote.tools import CallNumbers
from bot.stream import GenerationStream

_MAX_CHARACTERS_PER_TOKEN = 64
"""A server that sends more text than that ignores the limit of the reply."""


class SurrogatePairs:
    """Joins surrogate pairs that a server has cut between two chunks."""

    def __init__(self) -> None:
        self._high = ""

    def feed(self, text: str) -> str:
        if not text:
            return ""
        text, self._high = self._high + text, ""
        if "\ud800" <= text[-1] <= "\udbff":
            text, self._high = text[:-1], text[-1]
        return _paired(text)

    def flush(self) -> str:
        text, self._high = self._high, ""
        return _paired(text)


def _paired(text: str) -> str:
    """A surrogate without its other half becomes U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class Repeated:
    """Leaves out the text that a reply continues, if the server says it again first."""

    def __init__(self, begun: str = "") -> None:
        self._begun = begun
        self._heard = ""

    def feed(self, text: str) -> str:
        self._heard += text
        if len(self._heard) < len(self._begun) and self._begun.startswith(self._heard):
            return ""
        heard, begun = self._heard, self._begun
        self._heard = self._begun = ""
        return heard.removeprefix(begun)

    def flush(self) -> str:
        heard, self._heard = self._heard, ""
        return heard


@dataclass(slots=True, eq=False)
class RemoteReply:
    """``accepted_at``, and ``started_at`` when it left our queue, in monotonic seconds.

    ``num_tokens``: our count of the prompt.
    """

    request: GenerationRequest
    stream: GenerationStream
    accepted_at: float
    num_tokens: int
    started_at: float | None = None
    num_chunks: int = 0
    num_characters: int = 0
    has_asked_why: bool = False
    reason: FinishReason | None = None
    reported: ReportedUsage = field(default_factory=ReportedUsage)
    queued: Queued | None = field(default=None)
    text: ReplyText = field(init=False)
    pairs: SurrogatePairs = field(default_factory=SurrogatePairs)
    thought_pairs: SurrogatePairs = field(default_factory=SurrogatePairs)
    call_pairs: SurrogatePairs = field(default_factory=SurrogatePairs)
    calls: CallNumbers = field(default_factory=CallNumbers)
    repeated: Repeated = field(default_factory=Repeated)
    _unsaid: list[TokenLogprob] = field(default_factory=list)

    def __post_init__(self) -> None:
        request = self.request
        is_exact, is_raw = request.answer_format is not None, request.raw is not None
        self.text = ReplyText(begun=request.begun, is_exact=is_exact, is_raw=is_raw)

    @property
    def has_begun(self) -> bool:
        return self.num_chunks > 0

    @property
    def queue_seconds(self) -> float | None:
        return None if self.started_at is None else self.started_at - self.accepted_at

    @property
    def usage(self) -> Usage:
        """The server's counts, or ours where it does not say: a chunk is mostly one token."""
        said = self.reported
        prompt = self.num_tokens if said.prompt_tokens is None else said.prompt_tokens
        reply = self.num_chunks if said.completion_tokens is None else said.completion_tokens
        cached = min(said.cached_tokens or 0, prompt)
        return Usage(prompt, cached, reply, min(said.reasoning_tokens or 0, reply))

    def take(self, chunk: StreamChunk) -> None:
        self.reason = chunk.reason or self.reason
        self.reported = chunk.usage or self.reported
        self._unsaid += chunk.logprobs
        if not chunk.num_characters:
            return
        self.num_chunks += 1
        self.num_characters += chunk.num_characters
        self._think(self.thought_pairs.feed(chunk.thought))
        self._say(self.repeated.feed(self.pairs.feed(chunk.text)))
        for call in chunk.calls:
            if (more := self.calls.read(call)) is not None:
                arguments = self.call_pairs.feed(more.arguments)
                self.stream.put(replace(more, arguments=arguments))

    def show_rest(self) -> None:
        """Emit the text that was held back as the possible beginning of a tag, or of a pair."""
        self._think(self.thought_pairs.flush())
        self._say(self.repeated.feed(self.pairs.flush()) + self.repeated.flush())
        self._show(self.text.flush())

    def _think(self, thought: str) -> None:
        if thought:
            self.stream.put(Reasoning(thought))

    def _say(self, text: str) -> None:
        if text:
            self._show(self.text.feed(text.encode()))

    def _show(self, events: Iterable[Said]) -> None:
        for event in events:
            if self._unsaid and isinstance(event, Delta):
                event = replace(event, logprobs=tuple(self._unsaid))
                self._unsaid.clear()
            self.stream.put(event)

    @property
    def is_flooding(self) -> bool:
        return self.num_characters > self.request.max_tokens * _MAX_CHARACTERS_PER_TOKEN

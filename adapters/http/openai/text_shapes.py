"""The response objects of OpenAI's older completions."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass

from adapters.http.common.answers import GeneratedText, WholeAnswer
from adapters.http.openai.shapes import DONE, Envelope, event, usage_object
from bot.generation import FinishReason, TokenLogprob, Usage, joint_usage

_KIND = "text_completion"


@dataclass(frozen=True, slots=True)
class TextReply:
    """What all parts of a reply share.

    ``prompts`` have ``num_answers`` each, one prompt after the other; of a prompt whose text
    nobody needs it may be left out.
    """

    envelope: Envelope
    prompts: Sequence[str]
    num_answers: int
    echoes: bool = False

    def prompt_of(self, index: int) -> str:
        return self.prompts[index // self.num_answers]

    def usage(self, usages: Sequence[Usage]) -> dict[str, object]:
        return usage_object(joint_usage(usages, self.num_answers))


class LogprobLists:
    """The tokens of one answer; ``start`` is where it begins in the whole text."""

    def __init__(self, start: int) -> None:
        self._at = start
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def of(self, tokens: Sequence[TokenLogprob]) -> dict[str, object] | None:
        if not tokens:
            return None
        return {
            "tokens": [_name(token.piece) for token in tokens],
            "token_logprobs": [token.logprob for token in tokens],
            "top_logprobs": [_likeliest(token) for token in tokens],
            "text_offset": [self._offset(token.piece) for token in tokens],
        }

    def _offset(self, piece: bytes) -> int:
        """Where it begins; the rest of a character begins where the next one does."""
        at = self._at
        self._at += len(self._decoder.decode(piece))
        return at


def _likeliest(token: TokenLogprob) -> dict[str, float]:
    """The chosen token is always among them."""
    found: dict[str, float] = {}
    for each in (*token.likeliest, token):
        found.setdefault(_name(each.piece), each.logprob)
    return found


def _name(piece: bytes) -> str:
    """As OpenAI writes tokens that are no whole characters."""
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in piece)


def text_completion(reply: TextReply, answers: Sequence[WholeAnswer]) -> dict[str, object]:
    choices = [_choice(reply, index, answer) for index, answer in enumerate(answers)]
    usage = reply.usage([answer.usage for answer in answers])
    return {**reply.envelope.fields(_KIND), "choices": choices, "usage": usage}


def _choice(reply: TextReply, index: int, answer: WholeAnswer) -> dict[str, object]:
    prompt = reply.prompt_of(index)
    return {
        "index": index,
        "text": (prompt if reply.echoes else "") + answer.said.text,
        "logprobs": LogprobLists(len(prompt)).of(answer.said.logprobs),
        "finish_reason": _finish_reason(answer.reason),
    }


def _finish_reason(reason: FinishReason) -> str:
    """An answer that was cut short must not be taken for complete."""
    return "length" if reason in (FinishReason.LENGTH, FinishReason.LOOPED) else "stop"


class TextChunks:
    """The events of one streamed reply with ``num`` answers."""

    def __init__(self, reply: TextReply, num: int, *, include_usage: bool) -> None:
        self._reply = reply
        self._fields = reply.envelope.fields(_KIND)
        self._null_usage = {"usage": None} if include_usage else {}
        self._include_usage = include_usage
        self.num = num
        self._lists = [LogprobLists(len(reply.prompt_of(index))) for index in range(num)]
        self._unsaid = {index: reply.prompt_of(index) for index in range(num) if reply.echoes}
        self._usages: dict[int, Usage] = {}

    def delta(self, index: int, said: GeneratedText) -> bytes:
        """The echo comes with the first text."""
        if not said.text:
            return b""
        text = self._unsaid.pop(index, "") + said.text
        return self._chunk(index, text, None, self._lists[index].of(said.logprobs))

    def end(self, index: int, reason: FinishReason, usage: Usage) -> bytes:
        self._usages[index] = usage
        return self._chunk(index, self._unsaid.pop(index, ""), _finish_reason(reason))

    @property
    def have_ended(self) -> bool:
        return len(self._usages) == self.num

    def close(self) -> bytes:
        if not self._include_usage:
            return DONE
        usage = self._reply.usage([self._usages[index] for index in range(self.num)])
        return event({**self._fields, "choices": [], "usage": usage}) + DONE

    def _chunk(self, index: int, text: str, reason: str | None, logprobs: object = None) -> bytes:
        choice = {"index": index, "text": text, "logprobs": logprobs, "finish_reason": reason}
        return event({**self._fields, "choices": [choice], **self._null_usage})

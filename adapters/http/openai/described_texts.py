"""The answers to raw prompts and of the tokenizer as ``/openapi.json`` describes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from adapters.http.common.errors import ErrorAnswer
from adapters.http.common.openapi import EVENTS, JSON, AnswerBody, Operation
from adapters.http.openai.completion_body import CompletionBody
from adapters.http.openai.described import ThreadHeader, UsageObject
from adapters.http.openai.embeddings import EmbeddingBody
from adapters.http.openai.token_bodies import InputBody, TokenizeBody, TokensBody


class LogprobListsObject(AnswerBody):
    """``text_offset``: where in the whole text each token begins, in characters."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


class TextChoice(AnswerBody):
    """Answer j to prompt i has the index i * n + j."""

    index: int
    text: str
    logprobs: LogprobListsObject | None
    finish_reason: Literal["stop", "length"]


class TextCompletionObject(AnswerBody):
    """``created``: seconds since 1970."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[TextChoice]
    usage: UsageObject


class TextChunkChoice(AnswerBody):
    index: int
    text: str
    logprobs: LogprobListsObject | None
    finish_reason: Literal["stop", "length"] | None


class TextChunkObject(AnswerBody):
    """``usage`` is null but in the last chunk of a stream that includes it."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[TextChunkChoice]
    usage: UsageObject | None = None


TEXT_EVENT = TextChunkObject | ErrorAnswer


class PieceObject(AnswerBody):
    """``piece``: its bytes, where they are no whole characters."""

    id: int
    piece: str | list[int]


class TokensObject(AnswerBody):
    tokens: list[int]


class PiecesObject(AnswerBody):
    tokens: list[PieceObject]


class CountedTokensObject(AnswerBody):
    count: int
    max_model_len: int
    tokens: list[int]
    token_strs: list[str] | None


class DetokenizedObject(AnswerBody):
    """The same text under the names of llama-server and of vLLM."""

    content: str
    prompt: str


class TextObject(AnswerBody):
    text: str


class CountObject(AnswerBody):
    count: int


def _post(path: str, summary: str, body: Any, answer: Any) -> Operation:
    return Operation(
        method="post", path=path, summary=summary, body={JSON: body}, answer={JSON: answer}
    )


TEXT_OPERATIONS: Sequence[Operation] = (
    Operation(
        method="post",
        path="/v1/completions",
        summary="Continue raw prompts",
        headers=ThreadHeader,
        body={JSON: CompletionBody},
        answer={JSON: TextCompletionObject, EVENTS: TEXT_EVENT},
    ),
    Operation(
        method="post",
        path="/v1/embeddings",
        summary="Embeddings by the server of the model, if it makes them",
        body={JSON: EmbeddingBody},
        answer={JSON: dict[str, Any]},
    ),
    _post(
        "/tokenize",
        "The tokens of a text or chat, as llama-server and vLLM give them",
        TokenizeBody,
        TokensObject | PiecesObject | CountedTokensObject,
    ),
    _post("/detokenize", "The text of tokens", TokensBody, DetokenizedObject),
    _post("/extras/tokenize", "The tokens of a text", InputBody, TokensObject),
    _post("/extras/tokenize/count", "The number of tokens of a text", InputBody, CountObject),
    _post("/extras/detokenize", "The text of tokens, but for special ones", TokensBody, TextObject),
)

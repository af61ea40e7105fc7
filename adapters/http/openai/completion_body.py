"""The body of POST /v1/completions, OpenAI's older API: a prompt without a chat around it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from adapters.http.common.errors import InvalidBody
from adapters.http.openai.body import GenerationBody
from adapters.http.openai.token_bodies import MAX_TOKEN, Token
from bot.generation import RawPrompt

_MAX_PROMPTS = 2_048  # as many as OpenAI makes embeddings of at once
_MAX_ANSWERS = 128
_USUAL_TOKENS = 16
_KINDS = "should be a text, a list of texts, a list of tokens or a list of lists of tokens"


def _of_one_kind(prompt: object) -> object:
    if isinstance(prompt, str) or _are_tokens(prompt):
        return prompt
    if not isinstance(prompt, list) or not prompt:
        raise _wrong(_KINDS)
    if not all(isinstance(each, str) for each in prompt) and not all(map(_are_tokens, prompt)):
        raise _wrong(_KINDS)
    if len(prompt) > _MAX_PROMPTS:
        raise _wrong(f"should have at most {_MAX_PROMPTS:,} texts")
    return prompt


def _are_tokens(prompt: object) -> bool:
    return (
        isinstance(prompt, list)
        and bool(prompt)
        and all(type(each) is int and 0 <= each <= MAX_TOKEN for each in prompt)
    )


def _wrong(problem: str) -> PydanticCustomError:
    return PydanticCustomError("prompt", "{problem}", {"problem": problem})


Tokens = Annotated[list[Token], Field(min_length=1)]
ManyTexts = Annotated[list[str], Field(min_length=1, max_length=_MAX_PROMPTS)]
ManyTokens = Annotated[list[Tokens], Field(min_length=1, max_length=_MAX_PROMPTS)]
Prompts = Annotated[str | Tokens | ManyTexts | ManyTokens, BeforeValidator(_of_one_kind)]


class CompletionBody(GenerationBody):
    """``logprobs`` is a number here. ``max_tokens`` 0 only reads the prompt."""

    prompt: Prompts | None = None
    suffix: str | None = None
    echo: bool | None = None
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None
    best_of: Annotated[int, Field(ge=1)] | None = None
    max_tokens: Annotated[int, Field(ge=0)] | None = None
    add_special_tokens: bool | None = None

    def model_post_init(self, context: Any) -> None:
        """Raises ``InvalidBody`` for keys that do not go together."""
        if self.best_of is not None and self.best_of != self.num_answers:
            raise InvalidBody("best_of is only supported if it equals n.", param="best_of")
        if self.echo and self.logprobs is not None:
            raise InvalidBody(
                "echo is not supported together with logprobs: the probabilities of a prompt's "
                "tokens are not kept.",
                param="echo",
                code="unsupported_parameter",
            )
        if self.num_answers * len(self.prompts) > _MAX_ANSWERS:
            name = "prompt" if self.num_answers == 1 else "n"
            raise InvalidBody(
                f"{name}: at most {_MAX_ANSWERS} answers are given to all prompts together.",
                param=name,
            )

    @property
    def num_answers(self) -> int:
        """To each prompt."""
        return self.n or 1

    @property
    def prompts(self) -> tuple[RawPrompt, ...]:
        given = "" if self.prompt is None else self.prompt
        is_one = isinstance(given, str) or isinstance(given[0], int)
        contents: list[Any] = [given] if is_one else list(given)
        return tuple(
            RawPrompt(
                content if isinstance(content, str) else tuple(content),
                suffix=self.suffix or None,
                adds_special=self.add_special_tokens is not False,
            )
            for content in contents
        )

    @property
    def token_limit(self) -> int | None:
        """Without a limit OpenAI stops after 16 tokens."""
        is_open = self.model_fields_set & {"n_predict", "num_predict"}
        limit = super().token_limit
        return _USUAL_TOKENS if limit is None and not is_open else limit

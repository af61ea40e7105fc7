"""The bodies of what is asked of a tokenizer, in the forms of three servers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from adapters.http.common.errors import InvalidBody
from adapters.http.openai.messages import MessageBody, Name, StrictBody, chat_messages
from adapters.http.openai.other_keys import describe_in_body
from bot.generation import AnyPrompt, RawPrompt

_MAX_TEXT = _MAX_TOKENS = 1 << 18
"""More would keep the prompts of others waiting for longer than half a second."""
_MAX_MESSAGES = 4096
MAX_TOKEN = 2**31 - 1

LongText = Annotated[str, Field(max_length=_MAX_TEXT)]
Token = Annotated[int, Field(ge=0, le=MAX_TOKEN)]
Messages = Annotated[list[MessageBody], Field(min_length=1, max_length=_MAX_MESSAGES)]
ManyTokens = Annotated[list[Token], Field(max_length=_MAX_TOKENS)]


class TokenizerBody(StrictBody):
    """What all of them have."""

    model_config = ConfigDict(json_schema_extra=describe_in_body)

    model: Name | None = None


class TokenizeBody(TokenizerBody):
    """``content`` as llama-server reads it; ``prompt`` or ``messages`` as vLLM does."""

    content: LongText | None = None
    add_special: bool = False
    parse_special: bool = True
    with_pieces: bool = False
    prompt: LongText | None = None
    messages: Messages | None = None
    add_generation_prompt: Literal[True] = True
    continue_final_message: Literal[False] = False
    add_special_tokens: bool = True
    return_token_strs: bool | None = None

    @property
    def asked(self) -> AnyPrompt:
        """Raises ``InvalidBody`` unless exactly one of three is given."""
        given = [key for key in _TEXTS if getattr(self, key) is not None]
        if len(given) != 1:
            raise InvalidBody(
                f"Please send one of {', '.join(_TEXTS)}.", param=given[1] if given else "content"
            )
        if self.messages is not None:
            return chat_messages(self.messages)
        if self.content is not None:
            return RawPrompt(
                self.content, adds_special=self.add_special, parses_special=self.parse_special
            )
        return RawPrompt(self.prompt or "", adds_special=self.add_special_tokens)


_TEXTS = ("content", "prompt", "messages")


class TokensBody(TokenizerBody):
    tokens: ManyTokens


class InputBody(TokenizerBody):
    """As llama_cpp.server reads it."""

    input: LongText

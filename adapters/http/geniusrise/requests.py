"""Requests as Geniusrise took them: generously, and read into the body of OpenAI's chat.

A key that its server never had is ignored, as there. One that it had and that would change the
answer is honoured or refused by name. Numbers may be texts, and null is what is not set.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from adapters.http.common.errors import InvalidBody
from adapters.http.common.json_bodies import NO_JSON, OTHER_TYPE, json_object
from adapters.http.geniusrise.runtimes import UNLIMITED
from adapters.http.openai.body import ChatBody
from adapters.http.openai.completion_body import CompletionBody
from adapters.http.openai.messages import Text
from adapters.http.openai.other_keys import refuse_in_body
from adapters.http.openai.reading import first_problem

T = TypeVar("T", bound=BaseModel)

_KEYS = frozenset(
    {
        *("model", "user", "stream", "n", "max_tokens", "stop", "seed", "logit_bias"),
        *("temperature", "top_p", "top_k", "min_p", "typical_p", "tfs_z"),
        *("presence_penalty", "frequency_penalty", "repeat_penalty", "repetition_penalty"),
        *("mirostat_mode", "mirostat_tau", "mirostat_eta", "logprobs", "top_logprobs"),
        *("response_format", "grammar", "tools", "tool_choice", "functions", "function_call"),
        *("logits_processor", "best_of", "use_beam_search", "length_penalty", "ignore_eos"),
        *("stop_token_ids", "include_stop_str_in_output", "skip_special_tokens"),
        *("spaces_between_special_tokens", "add_generation_prompt", "echo", "chat_template"),
    }
)
"""What its runtimes took beside the messages."""

_RAW_KEYS = frozenset({"prompt", "suffix"})


class PromptBody(BaseModel):
    """A question without messages; ``prompt`` is its name in the documentation."""

    user_prompt: Text | None = None
    prompt: Text | None = None
    system_prompt: Text | None = None

    @property
    def question(self) -> str:
        asked = [text for text in (self.user_prompt, self.prompt) if text is not None]
        if not asked:
            raise InvalidBody("user_prompt: Field required.", param="user_prompt")
        if len(set(asked)) > 1:
            raise InvalidBody(
                "user_prompt and prompt contradict each other; please send one of them.",
                param="prompt",
            )
        return asked[0]

    @property
    def messages(self) -> list[dict[str, str]]:
        system = [{"role": "system", "content": self.system_prompt}] if self.system_prompt else []
        return [*system, {"role": "user", "content": self.question}]


async def read(request: web.Request) -> dict[str, Any]:
    """The keys that are set. What is no JSON is refused as its web framework did."""
    if request.content_type not in ("application/json", "text/javascript"):
        raise web.HTTPUnsupportedMediaType(text=OTHER_TYPE)
    try:
        found = json_object(await request.read(), allow_inf_nan=False)
    except ValueError:
        raise web.HTTPBadRequest(text=f"{NO_JSON}.") from None
    return {name: value for name, value in found.items() if value is not None}


def prompt_body(sent: Mapping[str, Any]) -> PromptBody:
    return _validated(PromptBody, sent)


def chat_body(sent: Mapping[str, Any], max_tokens: int | None) -> ChatBody:
    """Raises ``InvalidBody``, which names the first wrong key. ``max_tokens``: if none are set."""
    known = _known(sent, _KEYS, max_tokens)
    body = _validated(ChatBody, {**known, **_spoken(sent.get("messages"))})
    refuse_in_body(body.model_extra or {})
    return body


def completion_body(sent: Mapping[str, Any], max_tokens: int | None) -> CompletionBody:
    """As ``chat_body``, of a request with a prompt and no messages."""
    body = _validated(CompletionBody, _known(sent, _KEYS | _RAW_KEYS, max_tokens))
    refuse_in_body(body.model_extra or {})
    return body


def may_stream(request: web.Request) -> bool:
    """Its server never streamed: a client that sets ``stream`` may still want a whole answer."""
    return "text/event-stream" in ",".join(request.headers.getall("Accept", [])).lower()


def _validated(kind: type[T], sent: Mapping[str, Any]) -> T:
    try:
        return kind.model_validate(sent, strict=False)
    except ValidationError as error:
        raise first_problem(error) from None


def _known(
    sent: Mapping[str, Any], names: frozenset[str], max_tokens: int | None
) -> dict[str, Any]:
    """A limit below 1 is none, as in llama.cpp."""
    known = {name: value for name, value in sent.items() if name in names}
    if _is_unlimited(known.setdefault("max_tokens", max_tokens)):
        known["max_tokens"] = UNLIMITED
    return known


def _is_unlimited(limit: object) -> bool:
    if isinstance(limit, bool) or not isinstance(limit, int | float | str):
        return False
    try:
        return float(limit) <= 0
    except ValueError:
        return False


def _spoken(messages: object) -> dict[str, object]:
    """The messages with replies under their right role, and whether the last is to be continued.

    Pages of this API store a reply as ``system``, so that one is an answer if it comes after the
    first of ``user``. As the last message it is the beginning of the answer.
    """
    if not isinstance(messages, list):
        return {} if messages is None else {"messages": messages}
    said: list[object] = []
    has_user = begins = False
    for message in messages:
        role = message.get("role") if isinstance(message, dict) else None
        begins = has_user and role == "system"
        said.append({**message, "role": "assistant"} if begins else message)
        has_user |= role == "user"
    continued = {"continue_final_message": True, "add_generation_prompt": False}
    return {"messages": said, **(continued if begins else {})}

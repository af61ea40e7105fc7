"""What a tokenizer makes of texts and of tokens, in the forms of three servers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from aiohttp import web

from adapters.http.common.context import HttpContext
from adapters.http.common.errors import to_response
from adapters.http.openai.other_keys import refuse_in_body
from adapters.http.openai.reading import json_bytes, read_as
from adapters.http.openai.token_bodies import InputBody, TokenizeBody, TokensBody
from bot.adapter_support.addresses import ACCOUNT
from bot.errors import ParleyError
from bot.generation import RawPrompt
from bot.ports import Tokenizes

Handler = Callable[[web.Request], Awaitable[web.Response]]
Body = TypeVar("Body", TokenizeBody, TokensBody, InputBody)
Answer = Callable[[Tokenizes, Body], Awaitable[dict[str, object]]]


def token_routes(context: HttpContext) -> list[web.RouteDef]:
    """``/extras`` is llama_cpp.server's."""

    def answering(kind: type[Body], answer: Answer[Body]) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            try:
                body = read_as(kind, await json_bytes(request))
                refuse_in_body(body.model_extra or {})
                model = context.models.resolve(body.model)
                asked = request[ACCOUNT], model.personality, model.model
                tokenizer = await context.conversations.tokenizer(*asked)
                found = await answer(tokenizer, body)
                text = await asyncio.to_thread(json.dumps, found)  # it may be long
                return web.json_response(text=text)
            except ParleyError as error:
                return to_response(error)

        return handle

    return [
        web.post("/tokenize", answering(TokenizeBody, _tokenized)),
        web.post("/detokenize", answering(TokensBody, _detokenized)),
        web.post("/extras/tokenize", answering(InputBody, _tokenized_input)),
        web.post("/extras/tokenize/count", answering(InputBody, _counted_input)),
        web.post("/extras/detokenize", answering(TokensBody, _plain_text)),
    ]


async def _tokenized(tokenizer: Tokenizes, body: TokenizeBody) -> dict[str, object]:
    """llama-server answers with the tokens, or with their pieces; vLLM with more about them."""
    tokens = await tokenizer.tokenize(body.asked)
    if body.content is not None:
        if not body.with_pieces:
            return {"tokens": list(tokens)}
        texts = await tokenizer.texts(tokens)
        return {"tokens": await asyncio.to_thread(_pieces, tokens, texts)}
    strings = await _strings(tokenizer, tokens) if body.return_token_strs else None
    return {
        "count": len(tokens),
        "max_model_len": tokenizer.window,
        "tokens": list(tokens),
        "token_strs": strings,
    }


async def _strings(tokenizer: Tokenizes, tokens: Sequence[int]) -> list[str]:
    return [text.decode("utf-8", "replace") for text in await tokenizer.texts(tokens)]


def _pieces(tokens: Sequence[int], texts: Sequence[bytes]) -> list[dict[str, object]]:
    named = zip(tokens, texts, strict=True)
    return [{"id": token, "piece": _piece(text)} for token, text in named]


def _piece(text: bytes) -> str | list[int]:
    """The bytes of what is no whole character."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return list(text)


async def _detokenized(tokenizer: Tokenizes, body: TokensBody) -> dict[str, object]:
    """Under llama-server's name and under vLLM's."""
    text = await tokenizer.detokenize(body.tokens)
    return {"content": text, "prompt": text}


async def _tokenized_input(tokenizer: Tokenizes, body: InputBody) -> dict[str, object]:
    return {"tokens": list(await tokenizer.tokenize(RawPrompt(body.input)))}


async def _counted_input(tokenizer: Tokenizes, body: InputBody) -> dict[str, object]:
    return {"count": len(await tokenizer.tokenize(RawPrompt(body.input)))}


async def _plain_text(tokenizer: Tokenizes, body: TokensBody) -> dict[str, object]:
    return {"text": await tokenizer.detokenize(body.tokens, shows_special=False)}

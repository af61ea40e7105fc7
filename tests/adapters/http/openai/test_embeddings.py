"""Embeddings by the server of a model, through the official client."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from openai.types import CreateEmbeddingResponse

from bot.errors import NotOffered
from tests.adapters.http.conftest import MODEL, Connect, Serve
from tests.fakes.conversations import FakeConversations


@pytest.mark.parametrize(
    "texts", ["Once", ["Once", "Twice"], [5, 7], [[5], [7]], ["x"] * 2_048, [[5]] * 1_000]
)
async def test_a_request_for_embeddings_is_passed_on(
    serve: Serve, connect: Connect, texts: Any
) -> None:
    conversations = FakeConversations()
    client = connect(await serve(conversations))
    answer = await client.embeddings.create(
        model=MODEL, input=texts, encoding_format="float", user="ada"
    )
    assert answer.data[0].embedding == [0.5, -0.5]
    assert answer.model == MODEL
    assert conversations.embedded == [{"input": texts, "encoding_format": "float"}]


async def test_who_makes_no_embeddings_says_so_in_one_sentence(
    serve: Serve, connect: Connect
) -> None:
    refusal = NotOffered("No model here makes embeddings, only texts.")
    client = connect(await serve(FakeConversations(refusal=refusal)))
    with pytest.raises(openai.BadRequestError, match="No model here makes embeddings") as error:
        await client.embeddings.create(model=MODEL, input="Once")
    assert error.value.code == "unsupported"


@pytest.mark.parametrize(
    ("keys", "param"),
    [
        ({"input": []}, "input"),
        ({"input": None}, "input"),
        ({"input": ["x"] * 2_049}, "input"),
        ({"encoding_format": "int8"}, "encoding_format"),
        ({"dimensions": 0}, "dimensions"),
        ({"pooling": "mean"}, "pooling"),
    ],
)
async def test_a_wrong_value_is_named(
    serve: Serve, connect: Connect, keys: dict[str, object], param: str
) -> None:
    conversations = FakeConversations()
    client = connect(await serve(conversations))
    body = {"model": MODEL, "input": "Once", **keys}
    with pytest.raises(openai.BadRequestError) as refusal:
        await client.post("/embeddings", body=body, cast_to=CreateEmbeddingResponse)
    assert refusal.value.param == param
    assert conversations.embedded == []

"""The official client's Responses API, as its README and its guides tell people."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import openai
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

MODEL = "gpt-3.5-turbo"
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}}


class Person(BaseModel):
    name: str
    age: int


def whole(client: OpenAI) -> str:
    return client.responses.create(model=MODEL, instructions="Be short.", input="Hi").output_text


def conversation(client: OpenAI) -> str:
    """What was answered goes back as it came, since the server keeps nothing of it."""
    history: list[Any] = [{"role": "user", "content": "Hi"}]
    response = client.responses.create(model=MODEL, input=history, store=False)
    history += response.output
    history.append({"role": "user", "content": "And you?"})
    return client.responses.create(model=MODEL, input=history, store=False).output_text


def streamed(client: OpenAI) -> list[str]:
    stream = client.responses.create(model=MODEL, input="Hi", stream=True)
    return [event.delta for event in stream if event.type == "response.output_text.delta"]


def parsed(client: OpenAI) -> Any:
    response = client.responses.parse(model=MODEL, input="Who was Ada?", text_format=Person)
    assert response.output_parsed
    return response.output_parsed.model_dump()


def events(client: OpenAI) -> dict[str, Any]:
    with client.responses.stream(model=MODEL, input="Who was Ada?", text_format=Person) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert final.output_parsed
    assert final.usage
    return {
        "kinds": list(dict.fromkeys(kinds)),
        "person": final.output_parsed.model_dump(),
        "tokens": final.usage.total_tokens,
    }


def tools(client: OpenAI) -> str:
    """The loop of the guides: call what the model calls, and let it say what came of it."""
    history: list[Any] = [{"role": "user", "content": "How is the weather?"}]
    offered: list[Any] = [{"type": "function", "name": "get_weather", "parameters": WEATHER}]
    response = client.responses.create(model=MODEL, input=history, tools=offered)
    history += response.output
    for item in response.output:
        if item.type == "function_call":
            said = f"Sun, {json.loads(item.arguments)['city']}"
            output = {"type": "function_call_output", "call_id": item.call_id, "output": said}
            history.append(output)
    return client.responses.create(model=MODEL, input=history, tools=offered).output_text


def failure(client: OpenAI, text: str, **further: Any) -> list[str | None]:
    """The class of the error, its code and the key it names."""
    try:
        client.responses.create(model=MODEL, input=text, **further)
    except openai.APIStatusError as error:
        return [type(error).__name__, error.code, error.param]
    raise AssertionError(text)


async def asynchronous() -> str:
    async with AsyncOpenAI() as client:
        return (await client.responses.create(model=MODEL, input="Hi")).output_text


def main() -> None:
    client = OpenAI(max_retries=0)
    cut = client.responses.create(model=MODEL, input="Go on and on.", max_output_tokens=16)
    found = {
        "whole": whole(client),
        "conversation": conversation(client),
        "streamed": streamed(client),
        "parsed": parsed(client),
        "events": events(client),
        "tools": tools(client),
        "async": asyncio.run(asynchronous()),
        "cut": [cut.status, cut.incomplete_details and cut.incomplete_details.reason],
        "failures": {
            "too long": failure(client, "too long"),
            "failed": failure(client, "fail"),
            "earlier": failure(client, "Hi", previous_response_id="resp_1"),
        },
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()

"""The official client's chat, as its README and its guides tell people."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any, cast

import openai
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionMessageParam
from pydantic import BaseModel

MODEL = "gpt-3.5-turbo"


class Person(BaseModel):
    name: str
    age: int


class GetWeather(BaseModel):
    """The weather in a city."""

    city: str


def ask(text: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "system", "content": "Be short."}, {"role": "user", "content": text}]


def whole(client: OpenAI) -> str | None:
    completion = client.chat.completions.create(model=MODEL, messages=ask("Hi"))
    return completion.choices[0].message.content


def streamed(client: OpenAI) -> list[str]:
    chunks = client.chat.completions.create(model=MODEL, messages=ask("Hi"), stream=True)
    return [chunk.choices[0].delta.content or "" for chunk in chunks]


def parsed(client: OpenAI) -> Any:
    completion = client.chat.completions.parse(
        model=MODEL, messages=ask("Who was Ada?"), response_format=Person
    )
    person = completion.choices[0].message.parsed
    assert isinstance(person, Person)
    return person.model_dump()


def events(client: OpenAI) -> dict[str, Any]:
    """The helper for streams, which joins the deltas and parses the answer while it grows."""
    with client.chat.completions.stream(
        model=MODEL,
        messages=ask("Who was Ada?"),
        response_format=Person,
        stream_options={"include_usage": True},
    ) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_completion()
    person = final.choices[0].message.parsed
    assert isinstance(person, Person)
    assert final.usage
    return {
        "kinds": list(dict.fromkeys(kinds)),
        "person": person.model_dump(),
        "tokens": final.usage.total_tokens,
    }


def tools(client: OpenAI) -> Any:
    """The loop of the guides: call what the model calls, and let it say what came of it."""
    messages = ask("How is the weather?")
    offered = [openai.pydantic_function_tool(GetWeather)]
    completion = client.chat.completions.parse(model=MODEL, messages=messages, tools=offered)
    message = completion.choices[0].message
    assert message.tool_calls
    messages.append(cast(Any, message))
    for call in message.tool_calls:
        asked = call.function.parsed_arguments
        assert isinstance(asked, GetWeather)
        messages.append({"role": "tool", "tool_call_id": call.id, "content": f"Sun, {asked.city}"})
    again = client.chat.completions.create(model=MODEL, messages=messages, tools=offered)
    return [completion.choices[0].finish_reason, again.choices[0].message.content]


def streamed_tools(client: OpenAI) -> Any:
    with client.chat.completions.stream(
        model=MODEL,
        messages=ask("How is the weather?"),
        tools=[openai.pydantic_function_tool(GetWeather)],
    ) as stream:
        kinds = {event.type for event in stream}
        message = stream.get_final_completion().choices[0].message
    assert message.tool_calls
    asked = message.tool_calls[0].function.parsed_arguments
    assert isinstance(asked, GetWeather)
    return ["tool_calls.function.arguments.done" in kinds, asked.city]


def older(client: OpenAI) -> list[str]:
    """The API before chats."""
    whole = client.completions.create(model=MODEL, prompt=["Once", "Twice"], max_tokens=8)
    stream = client.completions.create(model=MODEL, prompt="Once", stream=True)
    texts = [choice.text for choice in whole.choices]
    return [*texts, "".join(chunk.choices[0].text for chunk in stream)]


def models(client: OpenAI) -> dict[str, Any]:
    names = [model.id for model in client.models.list()]
    return {"names": names, "one": client.models.retrieve(names[0]).id}


def failure(client: OpenAI, text: str, model: str = MODEL) -> list[str | None]:
    """The class of the error, its code and the key it names."""
    try:
        client.chat.completions.create(model=model, messages=ask(text))
    except openai.APIStatusError as error:
        return [type(error).__name__, error.code, error.param]
    raise AssertionError(text)


def cut(client: OpenAI) -> str:
    try:
        client.chat.completions.parse(
            model=MODEL, messages=ask("Go on and on."), response_format=Person
        )
    except openai.LengthFinishReasonError as error:
        return type(error).__name__
    raise AssertionError


async def asynchronous() -> dict[str, Any]:
    async with AsyncOpenAI() as client:
        answers = await asyncio.gather(
            *(
                client.chat.completions.create(model=MODEL, messages=ask(f"Question {number}"))
                for number in range(3)
            )
        )
        stream = await client.chat.completions.create(model=MODEL, messages=ask("Hi"), stream=True)
        return {
            "whole": [answer.choices[0].message.content for answer in answers],
            "streamed": [chunk.choices[0].delta.content or "" async for chunk in stream],
        }


def main() -> None:
    client = OpenAI(max_retries=0)
    stranger = OpenAI(api_key="wrong", max_retries=0)
    found = {
        "whole": whole(client),
        "streamed": streamed(client),
        "parsed": parsed(client),
        "events": events(client),
        "tools": tools(client),
        "streamed tools": streamed_tools(client),
        "older": older(client),
        "models": models(client),
        "async": asyncio.run(asynchronous()),
        "cut": cut(client),
        "failures": {
            "wrong key": failure(stranger, "Hi"),
            "unknown model": failure(client, "Hi", model="gpt-9"),
            "too long": failure(client, "too long"),
            "busy": failure(client, "busy"),
            "failed": failure(client, "fail"),
        },
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()

"""LangChain's ChatOpenAI on a server of one's own."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, Field


class Person(BaseModel):
    """Somebody who has lived."""

    name: str = Field(description="The first name")
    age: int = Field(description="How old they became")


def conversation(llm: ChatOpenAI) -> str:
    messages = [
        SystemMessage("Be short."),
        HumanMessage("Hi"),
        AIMessage("Hello"),
        HumanMessage("How are you?"),
    ]
    return str(llm.invoke(messages).text)


def chain(llm: ChatOpenAI) -> str:
    prompt = ChatPromptTemplate.from_messages([("system", "Be short."), ("human", "{question}")])
    return str((prompt | llm).invoke({"question": "What is Rust?"}).content)


@tool  # type: ignore[untyped-decorator]
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"Sun, {city}"


def tools(llm: ChatOpenAI) -> list[Any]:
    """The loop of the guides, and the calls of a stream."""
    bound = llm.bind_tools([get_weather])
    messages: list[Any] = [HumanMessage("How is the weather?")]
    answer = bound.invoke(messages)
    messages.append(answer)
    messages.extend(get_weather.invoke(call) for call in answer.tool_calls)
    streamed = None
    for chunk in bound.stream("How is the weather?"):
        streamed = chunk if streamed is None else streamed + chunk
    assert streamed
    return [bound.invoke(messages).content, [call["args"] for call in streamed.tool_calls]]


def usage(llm: ChatOpenAI) -> dict[str, Any]:
    """What is counted for an answer, whole and streamed."""
    whole = llm.invoke("Hi").usage_metadata
    streamed = None
    for chunk in llm.stream("Hi", stream_usage=True):
        streamed = chunk if streamed is None else streamed + chunk
    assert whole
    assert streamed
    return {"whole": whole["total_tokens"], "streamed": streamed.usage_metadata["total_tokens"]}


def structured(llm: ChatOpenAI, method: str) -> Any:
    answer = llm.with_structured_output(Person, method=method).invoke("Who was Ada? In JSON.")
    assert isinstance(answer, Person)
    return answer.model_dump()


def main() -> None:
    options = {
        "model": "smollm2",
        "temperature": 0,
        "max_retries": 0,
        "base_url": os.environ["OPENAI_BASE_URL"],
        "api_key": os.environ["OPENAI_API_KEY"],
    }
    llm = ChatOpenAI(**options)
    found = {
        "invoke": llm.invoke("Hi").content,
        "conversation": conversation(llm),
        "chain": chain(llm),
        "stream": [chunk.content for chunk in llm.stream("Hi") if chunk.content],
        "batch": [answer.content for answer in llm.batch(["One", "Two"])],
        "usage": usage(llm),
        "json_schema": structured(llm, "json_schema"),
        "function_calling": structured(llm, "function_calling"),
        "tools": tools(llm),
        "json_mode": structured(llm, "json_mode"),
        "responses": conversation(ChatOpenAI(use_responses_api=True, **options)),
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()

"""A page with a chat, and somebody who talks to it: the page is Gradio's ChatInterface.

The page passes on the history just as Gradio hands it over, and puts its system prompt second
to last.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import gradio
from gradio_client import Client
from openai import OpenAI

openai = OpenAI()
keys: set[str] = set()


def predict(message: str, history: list[Any]) -> Iterator[str]:
    keys.update(key for earlier in history for key in earlier)
    system = {"role": "system", "content": "You are a helpful assistant."}
    messages: list[Any] = [*history, system, {"role": "user", "content": message}]
    stream = openai.chat.completions.create(
        model="gpt-3.5-turbo",
        messages=messages,
        temperature=0,
        stream=True,
    )
    said = ""
    for chunk in stream:
        said += chunk.choices[0].delta.content or ""
        yield said


def type_into(page: Client, text: str, chat: list[Any]) -> list[list[Any]]:
    """The chat as it grows on the page; the calls are those that a browser makes."""
    page.predict(text, api_name="/_clear_and_save_textbox")
    chat = page.predict(chat, api_name="/_append_message_to_history")
    shown = list(page.submit(api_name="/_submit_fn"))
    page.predict(shown[-1], api_name="/lambda")
    return shown


def main() -> None:
    demo = gradio.ChatInterface(predict)
    _, url, _ = demo.launch(server_port=int(sys.argv[1]), quiet=True, prevent_thread_lock=True)
    page = Client(url, verbose=False)
    first = type_into(page, "Hi", [])
    second = type_into(page, "And you?", first[-1])
    program = Client(url, verbose=False)
    called = [list(program.submit(text, api_name="/predict")) for text in ("Hi", "And you?")]
    demo.close()
    found = {
        "first": [chat[-1]["content"][0]["text"] for chat in first],
        "second": second[-1][-1]["content"][0]["text"],
        "keys": sorted(keys),
        "called": [texts[-1] for texts in called],
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()

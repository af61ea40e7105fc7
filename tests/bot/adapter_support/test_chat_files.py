"""Chats as files: what is exported is read again, and what is none is refused in a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from markdown_it import MarkdownIt

from bot.adapter_support.chat_files.read import MAX_BYTES, MAX_TURNS, read_chat
from bot.adapter_support.chat_files.written import as_json, as_markdown, file_name, record
from bot.chats import Chat, ChatAnswer, ChatSummary, ChatTurn, GrowingAnswer
from bot.errors import RequestError
from bot.generation import FinishReason, Usage
from bot.source import Source
from bot.stored import TurnState
from tests.fakes.clock import START

FIRST = ChatAnswer(number=1, question="Wh?", reply="Because.", state=TurnState.DONE)
SECOND = ChatAnswer(
    number=2,
    question="Why is the sky blue? 🌌",
    reply="# Scattering\n\nIt *scatters*.",
    state=TurnState.STOPPED,
    note="Stopped.",
    reasoning="Hm.",
    reason=FinishReason.CANCELLED,
    model="qwen3_4b",
    personality="physicist",
    usage=Usage(20, 10, 5),
    first_token_seconds=0.5,
    total_seconds=2.0,
    rating=-1,
    finished_at=START,
)
ASKED = ChatTurn(
    id="t1",
    number=1,
    question="Why is the sky blue? 🌌",
    asked_at=START,
    answers=(FIRST, SECOND),
    chosen=2,
    files=("a.csv", "b.pdf"),
    sources=(Source("a.csv", "pear,4", is_cut=True),),
    asked_by="Ann",
    remarks=(("Bob", "Look at that."),),
)
SUMMARY = ChatSummary(
    id="c1", title="Sky & co.", personality="physicist", num_turns=1, last_at=START
)
CHAT = Chat(summary=SUMMARY, turns=(ASKED,), model="qwen3", window=4096)


def chat(*turns: ChatTurn) -> Chat:
    return replace(CHAT, turns=turns)


def replying(reply: str, question: str = "Why?") -> ChatTurn:
    answer = replace(FIRST, reply=reply)
    return replace(ASKED, question=question, answers=(answer,), chosen=1, files=(), remarks=())


def refusal(raw: bytes | str | Any) -> str:
    if not isinstance(raw, bytes):
        raw = json.dumps(raw).encode()
    with pytest.raises(RequestError) as refused:
        read_chat(raw, START)
    return str(refused.value)


def test_what_is_exported_is_read_again() -> None:
    growing = replace(
        ASKED,
        answers=(),
        chosen=0,
        files=(),
        sources=(),
        growing=GrowingAnswer(stage="writing", reply="Half of"),
    )
    found = read_chat(as_json(chat(ASKED, growing)).encode(), START)
    assert (found.summary.title, found.summary.personality) == ("Sky & co.", "physicist")
    assert found.summary.num_turns == 2
    first, second = found.turns
    assert first == replace(ASKED, id="")
    assert second == replace(growing, id="", number=2, growing=None)


def test_what_was_gathered_is_exported_with_its_address_and_is_no_file_of_the_question() -> None:
    page = Source("Sky", "It is blue.", kind="page", address="https://sky.example/")
    fact = Source("sky.md", "It scatters.", kind="fact", heading=("Light", "Blue"))
    asked = replace(ASKED, id="", sources=(*ASKED.sources, page, fact))
    assert read_chat(as_json(chat(asked)).encode(), START).turns == (asked,)
    assert "\n\nRead: https://sky.example/, sky.md\n\n" in as_markdown(chat(asked))


@pytest.mark.parametrize("address", ["javascript:alert(1)", "ftp://a", "https://a b", " "])
def test_a_source_of_another_address_than_a_web_page_is_refused(address: str) -> None:
    page = Source("Sky", "It is blue.", kind="page", address=address)
    assert "'address'" in refusal(as_json(chat(replace(ASKED, sources=(page,)))).encode())


def test_a_mark_at_the_beginning_of_a_file_is_none_of_its_text() -> None:
    assert read_chat(b"\xef\xbb\xbf" + as_json(CHAT).encode(), START).summary.title == "Sky & co."


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"", "it is not JSON"),
        (b"\xff\xfe", "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        (b'{"format": NaN}', "it is not JSON"),
        (b'"parley-chat"', "it does not say 'format': 'parley-chat'"),
        (b'{"format": "other"}', "it does not say 'format': 'parley-chat'"),
        (b'{"format": "parley-chat"}', "version of this file must be a whole number"),
        (b'{"format": "parley-chat", "version": 0}', "version of this file must be"),
        (b'{"format": "parley-chat", "version": true}', "version of this file must be"),
        (b'{"format": "parley-chat", "version": 2}', "exported by a newer Parley"),
        (b" " * (MAX_BYTES + 1), "larger than 16 MB"),
    ],
)
def test_another_file_is_refused(raw: bytes, sentence: str) -> None:
    assert sentence in refusal(raw)


def _turn(found: Any) -> Any:
    return found["turns"][0]


def _answer(found: Any) -> Any:
    return found["turns"][0]["answers"][1]


FAULTS: dict[str, tuple[Callable[[Any], object], str]] = {
    "a key too few": (lambda f: f.pop("title"), "In this file, 'title' is missing."),
    "a key too many": (
        lambda f: _answer(f).update(system="Obey."),
        "In turn 1, answer 2, 'system' is no part of such a file.",
    ),
    "no list": (lambda f: f.update(turns={}), "In this file, 'turns' must be a list."),
    "no turn": (lambda f: f.update(turns=[]), "This file holds a chat without a single turn."),
    "too many turns": (
        lambda f: f.update(turns=f["turns"] * (MAX_TURNS + 1)),
        "In this file, 'turns' has more than 10,000 entries.",
    ),
    "no object": (lambda f: f["turns"].append(7), "Turn 2 of this file must be an object."),
    "no text": (lambda f: _turn(f).update(question=7), "In turn 1, 'question' must be a text."),
    "no number": (
        lambda f: _answer(f).update(rating=True),
        "In turn 1, answer 2, 'rating' must be a whole number.",
    ),
    "a large number": (
        lambda f: _answer(f).update(prompt_tokens=2**63),
        "In turn 1, answer 2, 'prompt_tokens' must be less than or equal to 2147483647.",
    ),
    "half a letter": (
        lambda f: _turn(f).update(question="\ud83c"),
        "This file is no chat that Parley exported: it is not JSON.",
    ),
    "a state of ours only": (
        lambda f: _answer(f).update(state="running"),
        "In turn 1, an answer has not ended.",
    ),
    "a long name": (
        lambda f: f.update(title="x" * 1_001),
        "In this file, 'title' has more than 1,000 characters.",
    ),
    "no time": (
        lambda f: _turn(f).update(asked_at="yesterday"),
        "In turn 1, 'asked_at' must be a time, as 2026-11-27T12:00:00+00:00.",
    ),
    "no zone": (
        lambda f: _turn(f).update(asked_at="2026-01-01T12:00:00"),
        "In turn 1, 'asked_at' must be a time with its zone, as 2026-11-27T12:00:00+00:00.",
    ),
    "the future": (
        lambda f: _answer(f).update(finished_at="2126-01-01T12:00:00Z"),
        "In turn 1, a time lies in the future.",
    ),
    "an answer that is not there": (
        lambda f: _turn(f).update(chosen=3),
        "In turn 1, 'chosen' is not the number of an answer.",
    ),
    "none of the answers": (
        lambda f: _turn(f).update(chosen=0),
        "In turn 1, 'chosen' is not the number of an answer.",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_with_its_place(fault: str) -> None:
    found = json.loads(as_json(CHAT))
    change, sentence = FAULTS[fault]
    change(found)
    assert refusal(found) == sentence


def test_people_read_who_said_what_with_which_model() -> None:
    assert as_markdown(CHAT) == (
        "# Sky & co.\n\n"
        "**Bob:**\n\n> Look at that.\n\n"
        "## Ann, 2026-01-05 09:00 UTC\n\n"
        "> Why is the sky blue? 🌌\n\n"
        "Attached: a.csv, b.pdf\n\n"
        "### physicist, qwen3\\_4b (2 of 2)\n\n"
        "# Scattering\n\nIt *scatters*.\n\n"
        "*Stopped.*\n"
    )


@pytest.mark.parametrize(
    "reply",
    [
        "````\n```\ncode\n```\n````",
        "```python\nx = 1",
        "- a list\n  ```\n  code",
        "1. one\n\n   ~~~~\n   code\n   ~~~",
        "> quoted\n> ```\n> code",
        "A comment: <!-- without an end",
        "<!-- without an end",
        "<script>",
        "text\n---",
        "```\n<!--\n",
        "    indented\n    ```",
        "\u2028```\n",
        "",
    ],
)
def test_whatever_a_text_holds_the_next_question_stands_outside_of_it(reply: str) -> None:
    text = as_markdown(chat(replying(reply), replying("Fine.", question=reply or "?")))
    tokens = MarkdownIt("commonmark").parse(text)
    headings = [
        tokens[index + 1].content
        for index, token in enumerate(tokens)
        if token.type == "heading_open" and token.level == 0
    ]
    assert headings.count("Ann, 2026-01-05 09:00 UTC") == 2
    assert [h for h in headings if h == "Answer"] == ["Answer", "Answer"]


def test_code_in_a_reply_stays_as_it_is() -> None:
    reply = "Look:\n\n````md\n```python\nx = 1\n```\n````\n\nThat is it."
    assert reply in as_markdown(chat(replying(reply)))


def test_a_question_that_nobody_answered_says_so() -> None:
    assert "*Not answered.*" in as_markdown(chat(replace(ASKED, answers=(), chosen=0)))


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Sky & co.", "Sky-co.json"),
        ("../../etc/passwd", "etc-passwd.json"),
        ("Äpfel und 梨", "Äpfel-und-梨.json"),
        ("...", "chat.json"),
        ("a" * 300, f"{'a' * 60}.json"),
    ],
)
def test_a_download_is_called_as_its_chat(title: str, name: str) -> None:
    named = replace(CHAT, summary=replace(SUMMARY, title=title))
    assert file_name(named, "json") == name


def test_the_version_is_in_the_file() -> None:
    assert list(record(CHAT))[:2] == ["format", "version"]

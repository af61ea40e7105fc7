"""A chat of many long answers is open at once: what is older comes when somebody gets there."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from adapters.web.shapes import MAX_AT_ONCE
from bot.adapter_support.chat_files.written import as_json
from bot.chats import Chat, ChatAnswer, ChatSummary, ChatTurn
from bot.stored import TurnState
from tests.adapters.web.browser import Browser
from tests.adapters.web.conftest import Open, Serve
from tests.fakes.clock import START

NUM, LENGTH = 60, 2_000
NUM_READ = MAX_AT_ONCE // LENGTH + 1
FIRST = "See https://example.org/mine."


def chat_of(num: int = NUM, length: int = LENGTH) -> Chat:
    turns = tuple(
        ChatTurn(
            id="",
            number=number,
            question=FIRST if number == 1 else f"Number {number}?",
            asked_at=START + timedelta(seconds=number),
            answers=(
                ChatAnswer(
                    number=1,
                    question=FIRST if number == 1 else f"Number {number}?",
                    reply=f"{number}: {FIRST} ".ljust(length, "x"),
                    state=TurnState.DONE,
                ),
            ),
            chosen=1,
        )
        for number in range(1, num + 1)
    )
    summary = ChatSummary(
        id="", title="Long", personality="assistant", num_turns=num, last_at=START
    )
    return Chat(summary=summary, turns=turns, model="", window=0)


async def imported(browser: Browser, chat: Chat) -> str:
    reply = await browser.post("/page/chats/import", json.loads(as_json(chat)))
    found: str = reply.json["chat"]["id"]
    return found


def read(turn: Any) -> bool:
    return "html" in turn["answers"][0]


async def test_it_opens_with_what_is_newest(serve: Serve, browse: Open) -> None:
    browser = await browse(await serve())
    chat = await imported(browser, chat_of())
    turns = (await browser.get(f"/page/chats/{chat}")).json["turns"]
    assert [turn["question"] for turn in turns][1:] == [f"Number {n}?" for n in range(2, NUM + 1)]
    assert [read(turn) for turn in turns] == [False] * (NUM - NUM_READ) + [True] * NUM_READ
    assert turns[0]["answers"] == [{"number": 1, "state": "done", "model": ""}]


async def test_a_single_answer_is_there_however_long(serve: Serve, browse: Open) -> None:
    browser = await browse(await serve())
    chat = await imported(browser, chat_of(3, 2 * MAX_AT_ONCE))
    turns = (await browser.get(f"/page/chats/{chat}")).json["turns"]
    assert [read(turn) for turn in turns] == [False, False, True]


async def test_programs_read_all_of_it(serve: Serve, browse: Open) -> None:
    browser = await browse(await serve())
    chat = await imported(browser, chat_of())
    turns = (await browser.get(f"/page/chats/{chat}?as=markdown")).json["turns"]
    assert {len(turn["answers"][0]["reply"]) for turn in turns} == {LENGTH}


async def test_an_older_answer_knows_the_addresses_of_its_chat(serve: Serve, browse: Open) -> None:
    browser = await browse(await serve())
    chat = await imported(browser, chat_of())
    turn = (await browser.get(f"/page/chats/{chat}")).json["turns"][1]["id"]
    (known,) = (await browser.get(f"/page/turns/{turn}/answers/1?chat={chat}")).json["html"]
    assert '<a href="https://example.org/mine"' in known
    reply = await browser.get(f"/page/turns/{turn}/answers/1?chat=nothing")
    assert (reply.status, reply.sentence) == (404, "There is no such chat (any more).")


async def test_who_comes_back_is_told_no_more_at_once(serve: Serve, browse: Open) -> None:
    browser = await browse(await serve())
    chat = await imported(browser, chat_of())
    source = await browser.watch(chat, after="of another time")
    assert (await source.next()).name == "chats"
    told = [(await source.next()).data for _ in range(NUM)]
    assert [turn["number"] for turn in told] == list(range(1, NUM + 1))
    assert sum(map(read, told)) == NUM_READ

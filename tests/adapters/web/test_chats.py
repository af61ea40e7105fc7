"""What people do with their chats, and what they are told when it cannot be done."""

from __future__ import annotations

import asyncio
from io import BytesIO
from socket import SO_LINGER, SOL_SOCKET
from struct import pack
from typing import Any

import pytest
from yarl import URL

from bot.chats import Chats
from bot.errors import (
    AccessDenied,
    EngineFailed,
    OverLimit,
    QueueFull,
    StorageError,
    UnknownPersonality,
)
from bot.metrics import Metrics
from bot.stored import TurnState
from tests.adapters.web.browser import Browser
from tests.adapters.web.calls import OWNED, call
from tests.adapters.web.conftest import Open, Serve
from tests.fakes.chats import FakeChats

TURNS, CHAT = "/page/chats/{chat}/turns", "/page/chats/{chat}"
QUESTION = "/page/turns/{turn}/question"
ANSWER, RATING = "/page/turns/{turn}/answer", "/page/turns/{turn}/rating"
NO_JSON = "The body is not valid JSON in UTF-8."


async def answered(browser: Browser, chats: FakeChats, reply: str = "A *talk*") -> tuple[str, str]:
    chat, turn = await browser.ask("What is a parley?")
    chats.grow(browser.owner, turn, reply, reasoning="I **think**.")
    chats.end(browser.owner, turn)
    return chat, turn


async def test_what_a_page_begins_with(serve: Serve, browse: Open) -> None:
    browser = await browse(await serve(), loads=False)
    state = (await browser.load()).json
    assert state == {
        "owner": {"name": ""},
        "model": "smollm2",
        "personalities": [
            {
                "name": "assistant",
                "title": "Assistant",
                "description": "Helps.",
                "greeting": "Hello!",
                "suggested_questions": ["What is a parley?"],
            },
            {
                "name": "coder",
                "title": "Coder",
                "description": "",
                "greeting": "",
                "suggested_questions": [],
            },
        ],
        "default": "assistant",
        "max_upload": 100_000,
        "max_files": 2,
        "is_admin": True,
        "is_loading": False,
        "can_sign_out": False,
        "notice": "Answers are written by AI and may be wrong.",
    }


async def test_a_question_is_there_at_once(serve: Serve, browse: Open) -> None:
    browser = await browse(await serve())
    body = {"text": "What is a parley?", "personality": "coder"}
    reply = (await browser.post("/page/chats/new/turns", body)).json
    assert reply["turn"] == {
        "id": "turn2",
        "number": 1,
        "question": "What is a parley?",
        "asked_at": "2026-01-05T09:00:00+00:00",
        "files": [],
        "sources": [],
        "chosen": 0,
        "answers": [],
        "growing": {
            "number": 0,
            "stage": "queued",
            "place": 1,
            "wait": 2.5,
            "doing": "",
            "model": "",
            "personality": "",
            "html": [],
            "reasoning": "",
        },
    }
    listed = (await browser.get("/page/chats")).json
    assert listed == {
        "chats": [
            {
                "id": reply["chat"],
                "title": "What is a parley?",
                "personality": "coder",
                "num_turns": 1,
                "last_at": "2026-01-05T09:00:00+00:00",
                "is_busy": True,
            }
        ]
    }


async def test_a_chat_is_read_with_all_that_is_known_of_its_answers(
    serve: Serve, browse: Open, chats: FakeChats
) -> None:
    browser = await browse(await serve())
    chat, _ = await answered(browser, chats)
    read = (await browser.get(f"/page/chats/{chat}")).json
    assert (read["model"], read["window"], read["chat"]["id"]) == ("smollm2", 1_000, chat)
    answer = {
        "number": 1,
        "question": "What is a parley?",
        "state": "done",
        "reason": "stop",
        "note": "",
        "model": "smollm2",
        "personality": "assistant",
        "tokens": {"prompt": 80, "cached": 20, "completion": 20},
        "tokens_per_second": 10.0,
        "window_used": 0.1,
        "seconds": 2.4,
        "rating": 0,
        "can_continue": False,
        "finished_at": "2026-01-05T09:00:00+00:00",
        "html": ['<p dir="auto">A <em>talk</em></p>'],
        "reasoning_html": '<p dir="auto">I <strong>think</strong>.</p>',
    }
    assert read["turns"][0]["answers"] == [answer]
    as_text = (await browser.get(f"/page/chats/{chat}?as=markdown")).json
    shown = as_text["turns"][0]["answers"][0]
    assert (shown["reply"], shown["reasoning"]) == ("A *talk*", "I **think**.")
    assert "html" not in shown


async def test_answers_that_are_not_chosen_come_when_they_are_asked_for(
    serve: Serve, browse: Open, chats: FakeChats
) -> None:
    browser = await browse(await serve())
    chat, turn = await answered(browser, chats, "First")
    assert (await browser.post(f"/page/turns/{turn}/retry")).status == 204
    chats.end(browser.owner, turn, "Second")
    read = (await browser.get(f"/page/chats/{chat}")).json["turns"][0]
    assert (read["chosen"], read["answers"][0]) == (
        2,
        {"number": 1, "state": "done", "model": "smollm2"},
    )
    first = (await browser.get(f"/page/turns/{turn}/answers/1")).json
    assert first["html"] == ['<p dir="auto">First</p>']
    assert (
        await browser.call("PUT", f"/page/turns/{turn}/answer", json={"number": 1})
    ).status == 204
    read = (await browser.get(f"/page/chats/{chat}")).json["turns"][0]
    assert (read["chosen"], "html" in read["answers"][0]) == (1, True)


async def test_an_answer_is_stopped_and_goes_on(
    serve: Serve, browse: Open, chats: FakeChats
) -> None:
    browser = await browse(await serve())
    chat, turn = await browser.ask("What is a parley?")
    chats.grow(browser.owner, turn, "A ta")
    assert (await browser.post(f"/page/turns/{turn}/stop")).status == 204
    read = (await browser.get(f"/page/chats/{chat}")).json["turns"][0]["answers"][0]
    assert (read["state"], read["note"], read["can_continue"]) == ("stopped", "Stopped.", True)
    assert (await browser.post(f"/page/turns/{turn}/continue")).status == 204
    read = (await browser.get(f"/page/chats/{chat}")).json["turns"][0]
    assert read["growing"]["html"] == ['<p dir="auto">A ta</p>']


async def test_a_chat_is_renamed_given_to_another_personality_and_forgotten(
    serve: Serve, browse: Open
) -> None:
    browser = await browse(await serve())
    chat, _ = await browser.ask("Mine")
    body = {"title": "Parleys", "personality": "coder"}
    changed = (await browser.call("PATCH", f"/page/chats/{chat}", json=body)).json["chat"]
    assert (changed["title"], changed["personality"]) == ("Parleys", "coder")
    found = (await browser.get("/page/chats?search=Parleys")).json["chats"]
    assert [each["id"] for each in found] == [chat]
    assert (await browser.get("/page/chats?search=nothing")).json == {"chats": []}
    assert (await browser.call("DELETE", f"/page/chats/{chat}")).status == 204
    assert (await browser.get(f"/page/chats/{chat}")).status == 404


async def test_a_question_is_edited_and_an_answer_rated(
    serve: Serve, browse: Open, chats: FakeChats
) -> None:
    browser = await browse(await serve())
    chat, turn = await answered(browser, chats)
    path = f"/page/turns/{turn}"
    assert (await browser.call("PUT", f"{path}/rating", json={"rating": -1})).status == 204
    read = (await browser.get(f"/page/chats/{chat}")).json["turns"][0]
    assert read["answers"][0]["rating"] == -1
    edited = await browser.call("PUT", f"{path}/question", json={"text": "What is a truce?"})
    assert edited.json == {"chat": chat}
    read = (await browser.get(f"/page/chats/{chat}")).json["turns"][0]
    assert (read["question"], read["answers"][0]["question"]) == (
        "What is a truce?",
        "What is a parley?",
    )


async def test_a_chat_or_turn_that_never_was_is_unknown(serve: Serve, browse: Open) -> None:
    browser = await browse(await serve())
    for route in [each for each in OWNED if "{" in each[1]]:
        reply = await call(browser, route, "nothing", "nothing")
        assert (reply.status, reply.sentence) == (404, "There is no such chat (any more)."), route


@pytest.mark.parametrize("key", ["", "x" * 201, "two words", "ä"])
async def test_a_question_has_a_key_of_its_sender(
    serve: Serve, browse: Open, chats: FakeChats, key: str
) -> None:
    browser = await browse(await serve())
    question, name = {"text": "What is a parley?"}, "Idempotency-Key"
    reply = await browser.post("/page/chats/new/turns", question, headers={name: "1-2-3"})
    assert (reply.status, chats.keys) == (200, ["1-2-3"])
    reply = await browser.post("/page/chats/new/turns", question, headers={name: key})
    said = f"'{name}' has 1 to 200 letters, digits and signs."
    assert (reply.status, reply.sentence, chats.keys) == (400, said, ["1-2-3"])


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        ("POST", TURNS, {}, 400, "'text' is missing."),
        ("POST", TURNS, {"text": 1}, 400, "'text' must be a text."),
        ("POST", TURNS, {"text": None}, 400, "'text' must be a text."),
        ("POST", TURNS, {"text": " \n"}, 400, "There is no question in this."),
        ("POST", TURNS, {"text": "x", "more": 1}, 400, "'more' is unknown here."),
        ("POST", TURNS, {"text": "x", "personality": ["a"]}, 400, "'personality' must be a text."),
        ("POST", TURNS, BytesIO(b"x" * 1_100_000), 413, "too large; at most 1 MB are read."),
        ("POST", TURNS, ["text"], 400, "The body must be a JSON object."),
        ("POST", TURNS, b"text", 400, NO_JSON),
        ("POST", TURNS, b"{", 400, NO_JSON),
        ("POST", TURNS, b'{"text": "\xff"}', 400, NO_JSON),
        ("POST", TURNS, b'{"text": "\\ud800"}', 400, NO_JSON),
        ("POST", TURNS, b"[" * 10_000, 400, NO_JSON),
        ("PATCH", CHAT, {}, 400, "Nothing is to change"),
        ("PATCH", CHAT, {"title": "x" * 201}, 400, "'title' has more than 200 characters."),
        ("PATCH", CHAT, {"title": 5}, 400, "'title' must be a text."),
        ("PATCH", CHAT, {"personality": "pirate"}, 400, "There is no personality 'pirate'."),
        ("PUT", QUESTION, {}, 400, "'text' is missing."),
        ("PUT", ANSWER, {"number": 0}, 400, "'number' must be at least 1."),
        ("PUT", ANSWER, {"number": "1"}, 400, "'number' must be a whole number."),
        ("PUT", ANSWER, {"number": True}, 400, "'number' must be a whole number."),
        ("PUT", ANSWER, {"number": 9}, 404, "no such chat"),
        ("PUT", RATING, {"rating": 2}, 400, "'rating' must be at most 1."),
        ("PUT", RATING, {"rating": -2}, 400, "'rating' must be at least -1."),
        ("PUT", RATING, {"rating": 0.5}, 400, "'rating' must be a whole number."),
        ("PUT", RATING, b'{"rating": 1e999}', 400, "'rating' must be"),
        ("POST", "/page/turns/{turn}/stop", {"now": True}, 400, "'now' is unknown here."),
        ("POST", "/page/sign-in", {}, 400, "'key' is missing."),
        ("POST", "/page/sign-in", {"key": ""}, 400, "'key' must not be empty."),
        ("GET", "/page/chats?search=" + "x" * 201, None, 400, "at most 200 characters"),
        ("GET", CHAT + "?as=pdf", None, 400, "'as' is either html or markdown."),
        ("GET", CHAT + "/export?format=pdf", None, 400, "'format' is either json or markdown."),
        ("GET", "/page/events?chat={chat}&as=pdf", None, 400, "'as' is either html or markdown."),
        ("GET", "/page/turns/{turn}/answers/2", None, 404, "no such chat"),
        ("GET", "/page/turns/{turn}/answers/x", None, 404, "no such chat"),
        ("GET", "/page/turns/{turn}/answers/1٣", None, 404, "no such chat"),
        ("GET", "/page/nothing", None, 404, "There is nothing at /page/nothing."),
        ("PUT", CHAT, {}, 405, "does not take PUT"),
    ],
)
async def test_wrong_input_is_refused_in_one_sentence(
    serve: Serve,
    browse: Open,
    chats: FakeChats,
    method: str,
    path: str,
    body: Any,
    status: int,
    said: str,
) -> None:
    browser = await browse(await serve())
    chat, turn = await answered(browser, chats)
    before = await chats.chat(browser.owner, chat)
    options: dict[str, Any] = {"json": body}
    if isinstance(body, bytes | BytesIO):
        options = {"data": body, "headers": {"Content-Type": "application/json"}}
    reply = await browser.call(method, path.format(chat=chat, turn=turn), **options)
    assert (reply.status, said in reply.sentence) == (status, True), reply.text
    assert len(reply.sentence) < 200
    assert await chats.chat(browser.owner, chat) == before


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        (OverLimit("Slowly, please.", 12.2), 429, "13"),
        (QueueFull(0.2), 429, "1"),
        (AccessDenied("Sorry, I have been asked not to answer here."), 403, None),
        (UnknownPersonality("pirate", ("assistant",)), 400, None),
        (StorageError("/var/lib/parley/parley.db is gone"), 503, None),
        (EngineFailed("The model has died."), 503, "5"),
    ],
)
async def test_a_refusal_says_why_and_when_to_come_back(
    serve: Serve,
    browse: Open,
    chats: FakeChats,
    error: Exception,
    status: int,
    retry_after: str | None,
) -> None:
    browser = await browse(await serve())
    chat, turn = await answered(browser, chats)
    chats.refusal = error
    for route in OWNED:
        reply = await call(browser, route, chat, turn)
        assert (reply.status, reply.json) == (status, {"error": {"message": str(error)}}), route
        assert reply.headers.get("Retry-After") == retry_after
        assert "/var/lib" not in reply.text


async def test_while_the_model_loads_the_page_says_so(serve: Serve, browse: Open) -> None:
    loaded: asyncio.Future[Chats] = asyncio.get_running_loop().create_future()
    browser = await browse(await serve(loaded=loaded), loads=False)
    assert (await browser.load()).json["is_loading"]
    for route in [each for each in OWNED if "events" not in each[1]]:
        reply = await call(browser, route, "chat1", "turn1")
        assert (reply.status, "still loading" in reply.sentence) == (503, True)
        assert int(reply.headers["Retry-After"]) > 0


async def test_a_browser_that_leaves_while_it_asks_has_asked(
    serve: Serve, browse: Open, chats: FakeChats
) -> None:
    browser = await browse(await serve())
    chats.may_ask.clear()
    await hang_up(browser, chats)
    for _ in range(3):  # it has been noticed by then
        await browser.get("/page/chats")
    chats.may_ask.set()
    while not (listed := (await browser.get("/page/chats")).json["chats"]):
        pass
    assert [each["title"] for each in listed] == ["Mine"]


async def hang_up(browser: Browser, chats: FakeChats) -> None:
    """All at once, as a program that is killed, amid a question."""
    url, body = URL(browser.url), b'{"text": "Mine"}'
    _, writer = await asyncio.open_connection(url.host, url.port)
    lines = [
        "POST /page/chats/new/turns HTTP/1.1",
        "Host: 127.0.0.1",
        f"Cookie: parley_owner={browser.cookies['parley_owner']}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    await chats.is_asked.wait()
    writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, pack("ii", 1, 0))
    writer.transport.abort()


async def test_requests_are_counted_by_route_and_not_by_person(
    serve: Serve, browse: Open, metrics: Metrics
) -> None:
    browser = await browse(await serve())
    chat, _ = await browser.ask("Mine")
    await browser.get(f"/page/chats/{chat}")
    await browser.get("/page/chats/nothing")
    exposed = metrics.expose().decode()
    counted = 'parley_page_requests_total{route="/page/chats/{chat}",status='
    assert f'{counted}"200"}} 1.0' in exposed
    assert f'{counted}"404"}} 1.0' in exposed
    assert chat not in exposed


async def test_addresses_that_were_never_named_are_no_links(
    serve: Serve, browse: Open, chats: FakeChats
) -> None:
    browser = await browse(await serve())
    reply = "https://example.org/known, https://example.org/asked, https://evil.example/?secret"
    chat, turn = await browser.ask("What is at https://example.org/asked ?")
    chats.end(browser.owner, turn, reply)
    html = (await browser.get(f"/page/chats/{chat}")).json["turns"][0]["answers"][0]["html"][0]
    assert 'href="https://example.org/known"' in html
    assert 'href="https://example.org/asked"' in html
    assert 'href="https://evil' not in html


async def test_long_answers_are_compressed_for_who_can_read_that(
    serve: Serve, browse: Open, chats: FakeChats
) -> None:
    browser = await browse(await serve())
    chat, turn = await browser.ask("Mine")
    chats.end(browser.owner, turn, "words and words " * 500, state=TurnState.STOPPED)
    reply = await browser.get(f"/page/chats/{chat}", headers={"Accept-Encoding": "gzip"})
    assert reply.headers["Content-Encoding"] == "gzip"
    assert int(reply.headers["Content-Length"]) < len(reply.text) / 10
    reply = await browser.get(f"/page/chats/{chat}", headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in reply.headers

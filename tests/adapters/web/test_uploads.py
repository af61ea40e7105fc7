"""Files that come with a question: pasted, dropped or chosen."""

from __future__ import annotations

import asyncio
from io import BytesIO
from typing import Any

import pytest

from bot.server import Server
from tests.adapters.web.browser import SOON, Browser, Reply
from tests.adapters.web.conftest import Open, Serve
from tests.fakes.chats import FakeChats

BOUNDARY = "xyz"
HEADERS = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", "X-Parley-Page": "1"}
LARGE = {"max_files": 2, "max_upload": 8 * 1024 * 1024}


def field(name: str, value: str) -> bytes:
    return f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode()


def a_file(name: str, data: bytes, kind: str = "text/plain") -> bytes:
    head = f'Content-Disposition: form-data; name="files"; filename="{name}"'
    return f"{head}\r\nContent-Type: {kind}\r\n\r\n".encode() + data


def form(*parts: bytes) -> BytesIO:
    whole = b"".join(b"--xyz\r\n" + part + b"\r\n" for part in parts)
    return BytesIO(whole + b"--xyz--\r\n")


async def send(browser: Browser, data: Any, **headers: str) -> Reply:
    return await browser.call(
        "POST", "/page/chats/new/turns", data=data, headers={**HEADERS, **headers}
    )


async def test_files_come_along_whole(serve: Serve, browse: Open, chats: FakeChats) -> None:
    browser = await browse(await serve())
    code, page = b"\r\n--xy\x00\xff\r\n", b"%PDF-1.7 " + bytes(range(256))
    files = [
        a_file("C:\\code\\größe.py", code, "text/x-python"),
        a_file("a b.pdf", page, "application/pdf"),
    ]
    reply = await send(browser, form(field("text", "What is this?"), *files))
    assert reply.json["turn"]["files"] == ["größe.py", "a b.pdf"]
    first, second = chats.uploads
    assert (first.name, first.media_type, first.data) == ("größe.py", "text/x-python", code)
    assert (second.media_type, second.data) == ("application/pdf", page)


async def test_a_file_may_be_larger_than_any_other_body(
    serve: Serve, browse: Open, chats: FakeChats
) -> None:
    browser = await browse(await serve(page=LARGE))
    data = bytes(range(256)) * (32 * 1024)  # 8 MB; others have 4
    reply = await send(browser, form(field("text", "?"), a_file("large.pdf", data)))
    assert reply.status == 200, reply.text
    assert chats.uploads[0].data == data


async def test_a_field_without_a_file_in_it_brings_none(
    serve: Serve, browse: Open, chats: FakeChats
) -> None:
    browser = await browse(await serve())
    reply = await send(browser, form(field("text", "?"), a_file("", b"")))
    assert (reply.status, chats.uploads) == (200, [])


@pytest.mark.parametrize(
    ("parts", "status", "said"),
    [
        ((), 400, "'text' is missing."),
        ((field("text", " "),), 400, "There is no question in this."),
        ((field("text", "?"), field("text", "!")), 400, "'text' stands in the form twice."),
        ((field("text", "?"), field("more", "!")), 400, "'more' is unknown here."),
        ((field("text", "?"), field("files", "no file")), 400, "'files' is unknown here."),
        (
            (field("text", "?"), a_file("a.txt", b"x" * 100_001)),
            413,
            "a.txt is too large; a file has at most 100,000 bytes.",
        ),
        (
            (field("text", "?"), *(a_file(f"{i}.txt", b"x") for i in range(3))),
            400,
            "At most 2 files come with one question.",
        ),
        ((field("text", "?"), *[field("x", "")] * 200), 400, "A form has at most 100 fields."),
    ],
)
async def test_a_wrong_form_is_refused_in_one_sentence(
    serve: Serve,
    browse: Open,
    chats: FakeChats,
    parts: tuple[bytes, ...],
    status: int,
    said: str,
) -> None:
    browser = await browse(await serve())
    reply = await send(browser, form(*parts))
    assert (reply.status, reply.sentence) == (status, said)
    assert (chats.uploads, await chats.chats(browser.owner)) == ([], [])


async def test_a_form_without_a_boundary_is_refused(serve: Serve, browse: Open) -> None:
    browser = await browse(await serve())
    reply = await send(browser, b"x", **{"Content-Type": "multipart/form-data"})
    assert (reply.status, "no boundary" in reply.sentence) == (400, True)


async def raw(server: Server, browser: Browser, *lines: str) -> tuple[asyncio.StreamReader, Any]:
    cookie = f"Cookie: parley_owner={browser.cookies['parley_owner']}"
    head = ["POST /page/chats/new/turns HTTP/1.1", "Host: 127.0.0.1", cookie, *lines]
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write("\r\n".join([*head, "", ""]).encode())
    return reader, writer


FORM_LINES = [f"{name}: {value}" for name, value in HEADERS.items()]


async def test_what_says_that_it_is_too_large_is_not_even_read(serve: Serve, browse: Open) -> None:
    server = await serve()
    browser = await browse(server)
    reader, writer = await raw(server, browser, *FORM_LINES, "Content-Length: 999999999")
    answer = await asyncio.wait_for(reader.readuntil(b"}}"), SOON)
    writer.close()
    assert b" 413 " in answer
    assert b"at most 1 MB are read" in answer


async def test_what_does_not_say_its_size_is_read_up_to_the_limit(
    serve: Serve, browse: Open
) -> None:
    server = await serve()
    browser = await browse(server)
    reader, writer = await raw(server, browser, *FORM_LINES, "Transfer-Encoding: chunked")
    chunk = b"x" * 65_536
    for _ in range(32):
        writer.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
    answer = await asyncio.wait_for(reader.readuntil(b"}}"), SOON)
    writer.close()
    assert b" 413 " in answer


@pytest.mark.parametrize("lines", [FORM_LINES, ["Content-Type: application/json"]])
async def test_a_body_that_never_comes_is_given_up(
    serve: Serve, browse: Open, lines: list[str]
) -> None:
    server = await serve(page={"read_seconds": 0.05})
    browser = await browse(server)
    reader, writer = await raw(server, browser, *lines, "Content-Length: 9")
    answer = await asyncio.wait_for(reader.readuntil(b"}}"), SOON)
    writer.close()
    assert b" 408 " in answer
    assert b"did not arrive within 0.05 s" in answer


async def test_who_hangs_up_amid_a_file_has_asked_nothing(
    serve: Serve, browse: Open, chats: FakeChats, caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve()
    browser = await browse(server)
    _, writer = await raw(server, browser, *FORM_LINES, "Content-Length: 900000")
    writer.write(b"--xyz\r\n")
    await writer.drain()
    writer.transport.abort()
    assert (await browser.get("/page/chats")).json == {"chats": []}
    assert not [each for each in caplog.records if each.levelname == "ERROR"]

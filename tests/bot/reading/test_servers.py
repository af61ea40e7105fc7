"""Whatever a server does, reading it ends soon, and with one sentence."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import ClientTimeout, web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bot import __version__
from bot.reading.fetcher import MAX_BYTES
from bot.reading.page import PageFailed, PageRefused
from tests.bot.reading.site import Answer, Readers, Site, answering, raw_site, read, sending_on
from tests.bot.reading.test_resolving import saying

TEXT = b"Snow is expected on Monday.\n" * 40


@pytest.fixture
def readers() -> Readers:
    return Readers()


def packed(encoding: str, data: bytes) -> web.Response:
    return web.Response(body=data, headers={"Content-Encoding": encoding})


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("status", "headers", "sentence"),
    [
        (401, {}, "127.0.0.1 shows this page only to people who have signed in."),
        (403, {}, "127.0.0.1 does not let me read this page."),
        (404, {}, "127.0.0.1 has no page at this address."),
        (410, {}, "127.0.0.1 has no page at this address any more."),
        (418, {}, "127.0.0.1 does not give this page (418)."),
        (204, {}, "127.0.0.1 does not give this page (204)."),
        (304, {}, "127.0.0.1 does not give this page (304)."),
        (302, {}, "127.0.0.1 does not give this page (302)."),
        (500, {}, "127.0.0.1 has an error of its own (500); please try again later."),
        (503, {}, "127.0.0.1 has an error of its own (503); please try again later."),
        (429, {}, "127.0.0.1 is asked too often and wants to be left alone."),
        (
            429,
            {"Retry-After": "30"},
            "127.0.0.1 is asked too often and wants to be left alone for 30 seconds.",
        ),
    ],
)
async def test_a_status_is_a_sentence(
    readers: Readers, status: int, headers: dict[str, str], sentence: str
) -> None:
    page = answering(status=status, headers=headers)
    async with Site({"/": page}) as site, readers.reader(site.host) as reader:
        with pytest.raises(PageFailed) as failed:
            await read(reader, site.url())
    assert str(failed.value) == sentence


_NO_SERVER, _NO_PAGE = "does not answer as a web server should", "breaks off in the middle"
_EITHER = f"{_NO_SERVER}|{_NO_PAGE}"
"""Where it depends on whether the beginning of the page arrives together with the head."""

BROKEN = {
    "nothing": (b"", _NO_SERVER),
    "garbage": (b"\x00\xff\x16\x03 what?\r\n\r\n", _NO_SERVER),
    "a page without a head": (b"<html>Hello</html>", _NO_SERVER),
    "another protocol": (b"SSH-2.0-OpenSSH_9.6\r\n", _NO_SERVER),
    "no status": (b"HTTP/1.1 ok\r\n\r\n", _NO_SERVER),
    "a head without end": (b"HTTP/1.1 200 OK\r\nX: 1", _NO_SERVER),
    "a head of a line too long": (
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
        _NO_SERVER,
    ),
    "a head of too many lines": (
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 5000 + b"\r\n",
        _NO_SERVER,
    ),
    "less than it promised": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nless",
        _EITHER,
    ),
    "a length that is none": (
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nless",
        _NO_SERVER,
    ),
    "two lengths": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        _NO_SERVER,
    ),
    "chunks without end": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        _EITHER,
    ),
    "a chunk of no size": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n",
        _EITHER,
    ),
    "what is not gzip": (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nplain",
        _EITHER,
    ),
    "gzip that breaks off": (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nContent-Length: 20\r\n\r\n"
        + zlib.compress(bytes(range(200)))[:20],
        _EITHER,
    ),
    "a packing that was not asked for": (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 5\r\n\r\nplain",
        _EITHER,
    ),
    "no text": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n\x89PNG\r\n\x1a\n\x00",
        "is no page, feed, PDF or text",
    ),
    "a packing within a packing": (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip\r\n\r\n"
        + gzip.compress(gzip.compress(TEXT, mtime=0), mtime=0),
        "is no page, feed, PDF or text",
    ),
    "a redirect to nowhere": (
        b"HTTP/1.1 302 Found\r\nLocation: http://[\r\n\r\n",
        "leads to an address that is none",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_answer_is_a_sentence(readers: Readers, name: str) -> None:
    answer, sentence = BROKEN[name]
    async with raw_site(answer) as host, readers.reader(host) as reader:
        with pytest.raises(PageFailed, match=sentence) as failed:
            await read(reader, f"http://{host}/")
    assert str(failed.value).endswith(".")


async def test_nobody_at_home_is_a_sentence(readers: Readers) -> None:
    async with raw_site(b"") as host:
        pass
    async with readers.reader(host) as reader:
        with pytest.raises(PageFailed, match=r"^127\.0\.0\.1 cannot be reached\.$"):
            await read(reader, f"http://{host}/")


async def test_an_empty_page_is_a_sentence(readers: Readers) -> None:
    async with Site({"/": ""}) as site, readers.reader(site.host) as reader:
        with pytest.raises(PageFailed, match=r"127\.0\.0\.1 sends an empty page\."):
            await read(reader, site.url())


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", raw_deflate),
        ("gzip", lambda data: gzip.compress(data[:100]) + gzip.compress(data[100:])),
    ],
)
async def test_packed_pages_are_unpacked(
    readers: Readers, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    async def page(request: web.Request) -> web.Response:
        return packed(encoding, pack(TEXT))

    async with Site({"/": page}) as site, readers.reader(site.host) as reader:
        assert (await read(reader, site.url())).text.strip() == TEXT.decode().strip()


async def test_a_bomb_ends_at_the_limit(readers: Readers) -> None:
    piece = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    bomb = b"".join(piece.compress(bytes(1 << 20)) for _ in range(64))

    async def page(request: web.Request) -> web.Response:
        return packed("gzip", bomb)

    async with Site({"/": page}) as site, readers.reader(site.host) as reader:
        with pytest.raises(PageRefused, match="is too large for me: at most 8 MB"):
            await read(reader, site.url())


async def test_an_endless_page_ends_at_the_limit(readers: Readers) -> None:
    is_cut_off = asyncio.Event()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                writer.write(b"a" * 65536)
                await writer.drain()
        except ConnectionError:
            is_cut_off.set()

    async with raw_site(endless) as host, readers.reader(host) as reader:
        with pytest.raises(PageRefused, match="is too large for me: at most 8 MB"):
            await read(reader, f"http://{host}/")
        await is_cut_off.wait()


async def test_what_unpacks_to_nothing_without_end_ends_at_the_limit(readers: Readers) -> None:
    is_cut_off = asyncio.Event()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n")
        writer.write(zlib.compressobj(wbits=zlib.MAX_WBITS | 16).flush(zlib.Z_FULL_FLUSH))
        try:
            while True:
                writer.write(b"\x00\x00\x00\xff\xff" * 50_000)
                await writer.drain()
        except ConnectionError:
            is_cut_off.set()

    async with raw_site(endless) as host, readers.reader(host) as reader:
        with pytest.raises(PageRefused, match="is too large for me"):
            await read(reader, f"http://{host}/")
        await is_cut_off.wait()


async def test_a_page_that_says_how_large_it_is_is_not_even_begun(readers: Readers) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MAX_BYTES + 1)
    async with raw_site(head) as host, readers.reader(host) as reader:
        with pytest.raises(PageRefused, match="is too large for me"):
            await read(reader, f"http://{host}/")


@pytest.mark.parametrize("beginning", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\nSo"])
async def test_a_server_that_dawdles_ends_by_time(readers: Readers, beginning: bytes) -> None:
    async def dawdle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(beginning)
        await reader.read()

    timeout = ClientTimeout(total=0.1)
    async with raw_site(dawdle) as host, readers.reader(host, timeout=timeout) as reader:
        with pytest.raises(PageFailed, match=r"127\.0\.0\.1 takes too long to answer\."):
            await read(reader, f"http://{host}/")


async def test_nothing_goes_along_that_says_who_asks(
    readers: Readers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login admin password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    cookies = {"Location": "/next", "Set-Cookie": "who=you"}
    pages: dict[str, str | Answer] = {"/": answering(status=302, headers=cookies), "/next": "Here."}
    async with Site(pages) as site, readers.reader(site.host) as reader:
        await read(reader, site.url())
    for request in site.asked:
        assert request.method == "GET"
        assert set(request.headers) == {"Host", "User-Agent", "Accept", "Accept-Encoding"}
        assert request.headers["User-Agent"].startswith(f"Parley/{__version__} ")


def certificate_of(name: str, folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's TLS for this name, and that of a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    file = folder / "server.pem"
    file.write_bytes(
        pem
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cadata=pem.decode())


async def test_the_certificate_is_that_of_the_name(readers: Readers, tmp_path: Path) -> None:
    server, client = certificate_of("news.example", tmp_path)
    look_up = saying(["127.0.0.1"])
    async with Site({"/": "Snow on Monday."}, tls=server) as site:
        news, other = (
            site.host.replace("127.0.0.1", name) for name in ("news.example", "other.example")
        )
        async with readers.reader(news, other, look_up=look_up, tls=client) as reader:
            assert (await read(reader, f"https://{news}/")).text == "Snow on Monday."
            with pytest.raises(PageFailed, match=r"other\.example has no certificate that I trust"):
                await read(reader, f"https://{other}/")
        async with readers.reader(news, look_up=look_up) as reader:
            with pytest.raises(PageFailed, match=r"news\.example has no certificate that I trust"):
                await read(reader, f"https://{news}/")


async def test_a_server_without_https_is_a_sentence(readers: Readers) -> None:
    async with Site({"/": "Here."}) as site, readers.reader(site.host) as reader:
        with pytest.raises(PageFailed, match="does not answer by HTTPS as it should"):
            await read(reader, f"https://{site.host}/")


async def test_no_page_leads_from_https_to_http(readers: Readers, tmp_path: Path) -> None:
    server, client = certificate_of("news.example", tmp_path)
    async with (
        Site({"/": "In the open."}) as plain,
        Site({"/": sending_on(plain.url())}, tls=server) as site,
    ):
        news = site.host.replace("127.0.0.1", "news.example")
        look_up = saying(["127.0.0.1"])
        async with readers.reader(news, plain.host, look_up=look_up, tls=client) as reader:
            with pytest.raises(PageRefused, match="leads from HTTPS to"):
                await read(reader, f"https://{news}/")
    assert plain.asked == []

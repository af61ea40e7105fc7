"""The real nginx in front of Parley: what a careless one must not open, and ours lets through."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from adapters.http.routes import routes
from adapters.web.routes import page_routes
from bot.chats import Owner
from bot.generation import Delta
from bot.metrics import Metrics
from bot.server import Server, ServerSettings
from bot.web.sign_ins import SignIns
from tests.adapters.web.browser import Browser
from tests.adapters.web.pages import loaded_at_once, page_context
from tests.fakes.chats import FakeChats
from tests.fakes.clock import FakeClock
from tests.fakes.conversations import FakeConversations
from tests.fakes.readiness import always
from tests.lacking import skip_for_lack
from tests.ports import free_port
from tests.scenarios.polling import eventually

SITE = (Path(__file__).parents[1] / "deploy" / "proxy" / "nginx.conf").read_text(encoding="utf-8")
KEY = {"Authorization": "Bearer key-of-ci"}
QUESTION = {"messages": [{"role": "user", "content": "Hello?"}]}
LARGE = {"max_upload": 8 * 1024 * 1024}
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
FRAME = """
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    {temporary}
    {site}
}}
"""


def nginx() -> str:
    """Debian's, which stands in a folder that is not on everybody's path; CI insists on it."""
    found = shutil.which("nginx", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    return found or skip_for_lack("nginx is not installed")


@asynccontextmanager
async def proxied(folder: Path, server: Server, site: str) -> AsyncIterator[aiohttp.ClientSession]:
    """What a stranger reaches through an nginx with this ``site``."""
    program, port = nginx(), free_port()
    temporary = "".join(f"{name}_temp_path {name};" for name in TEMPORARY)
    site = site.replace("127.0.0.1:3978", f"127.0.0.1:{server.port}")
    site = site.replace("listen 443 ssl;", f"listen 127.0.0.1:{port};")
    lines = [line for line in site.splitlines() if not line.strip().startswith("ssl_")]
    config = folder / "nginx.conf"
    config.write_text(FRAME.format(temporary=temporary, site="\n".join(lines)), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        *(program, "-e", "stderr", "-p", str(folder), "-c", str(config)),
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        await eventually(lambda: _listens(process, port))
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            yield session
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def _listens(process: asyncio.subprocess.Process, port: int) -> bool:
    assert process.returncode is None, process.stderr and await process.stderr.read()
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


@asynccontextmanager
async def parley(
    conversations: FakeConversations | None = None,
    *,
    with_webhook: bool = True,
    chats: FakeChats | None = None,
    trusted_proxies: tuple[str, ...] = (),
) -> AsyncIterator[Server]:
    async def webhook(request: web.Request) -> web.Response:
        return web.Response(text=f"{len(await request.read())} bytes")

    settings = ServerSettings(port=0, api_keys={"ci": "key-of-ci"}, trusted_proxies=trusted_proxies)
    server = Server(settings, Metrics(), always(), SignIns(FakeClock()))
    talk = conversations or FakeConversations()
    server.mount(routes(talk, model_names=lambda: ("smollm2",), clock=FakeClock()))
    loaded = loaded_at_once(chats or FakeChats())
    server.mount_page(page_routes(page_context(server, loaded, FakeClock(), **LARGE)))
    if with_webhook:
        server.mount([web.post("/slack/events", webhook)], verified=True)
    async with server:
        yield server


async def status(session: aiohttp.ClientSession, path: str, **headers: str) -> int:
    async with session.get(path, headers=headers) as response:
        return response.status


def careless(*more: str) -> str:
    inside = "".join(("proxy_pass http://127.0.0.1:3978;", *more))
    return f"server {{ listen 443 ssl; location / {{ {inside} }} }}"


@pytest.mark.parametrize("path", ["/v1/models", "/metrics", "/page/state"])
async def test_a_proxy_without_any_further_setting_opens_nothing(tmp_path: Path, path: str) -> None:
    async with (
        parley(with_webhook=False) as server,
        proxied(tmp_path, server, careless()) as stranger,
    ):
        assert await status(stranger, path) == 401
        assert await status(stranger, path, **KEY) == 200


@pytest.mark.parametrize("path", ["/v1/models", "/metrics"])
async def test_nor_does_one_that_looks_like_a_program_of_this_machine_in_front_of_a_webhook(
    tmp_path: Path, path: str
) -> None:
    site = careless("proxy_http_version 1.1;")
    async with parley() as server, proxied(tmp_path, server, site) as stranger:
        assert await status(stranger, path) == 401
        assert await status(stranger, path, **KEY) == 200


async def test_ours_passes_on_the_webhooks_and_the_apis_and_nothing_else(tmp_path: Path) -> None:
    async with parley() as server, proxied(tmp_path, server, SITE) as stranger:
        async with stranger.post("/slack/events", data=io.BytesIO(b"x" * 3_000_000)) as response:
            assert await response.text() == "3000000 bytes"
        assert await status(stranger, "/v1/models") == 401
        assert await status(stranger, "/v1/models", **KEY) == 200
        for path in ("/pages", "/metrics", "/readyz", "/healthz", "/slack/events/more"):
            assert await status(stranger, path, **KEY) == 404


async def test_ours_passes_on_sockets_and_the_routes_of_other_systems(tmp_path: Path) -> None:
    async with parley() as server, proxied(tmp_path, server, SITE) as stranger:
        for path in ("/describe/coder", "/gpt/coder?prompt=Hi"):
            assert await status(stranger, path) == 401
            assert await status(stranger, path, **KEY) == 200
        asked = {"user_prompt": "Hi"}
        async with stranger.post("/api/v1/chat", json=asked, headers=KEY) as response:
            assert (await response.json())["result"] == "Hello there"
        async with stranger.ws_connect("/gpt-socket/coder", headers=KEY) as socket:
            await socket.send_str("Hi")
            assert await socket.receive_str(timeout=20) == "Hello there"


async def test_through_ours_people_sign_in_at_the_page_and_their_answers_grow(
    tmp_path: Path,
) -> None:
    chats = FakeChats()
    async with (
        parley(chats=chats) as server,
        proxied(tmp_path, server, SITE) as stranger,
        Browser(str(stranger._base_url).rstrip("/")) as browser,
    ):
        assert (await browser.get("/")).status == 200
        assert (await browser.load()).status == 401
        browser.session.headers["Origin"] = browser.url
        assert (await browser.post("/page/sign-in", {"key": "key-of-ci"})).status == 204
        assert (await browser.load()).json["owner"] == {"name": "ci"}
        form = aiohttp.FormData({"text": "What is this?"})
        form.add_field("files", io.BytesIO(b"x" * 8_000_000), filename="large.txt")
        headers = {"X-Parley-Page": "1"}
        asked = await browser.call("POST", "/page/chats/new/turns", data=form, headers=headers)
        assert asked.json["turn"]["files"] == ["large.txt"]
        page = await browser.watch(asked.json["chat"])
        chats.grow(Owner("ci", "ci"), asked.json["turn"]["id"], "It is large.")
        assert "It is large." in (await page.until("grow")).data["blocks"][0]


async def test_through_ours_no_stranger_can_claim_to_have_signed_in(tmp_path: Path) -> None:
    claim = {"X-Forwarded-User": "ann"}
    async with (
        parley(trusted_proxies=("127.0.0.1",)) as server,
        proxied(tmp_path, server, SITE) as stranger,
    ):
        assert await status(stranger, "/v1/models", **claim) == 401
        assert await status(stranger, "/v1/models", **claim, **KEY) == 200


async def test_whoever_signs_in_at_the_proxy_needs_no_key(tmp_path: Path) -> None:
    (tmp_path / "people").write_text("ann:{PLAIN}her word\n")
    people = f'auth_basic Parley; auth_basic_user_file "{tmp_path / "people"}";'
    site = SITE.replace('X-Forwarded-User "";', f"X-Forwarded-User $remote_user; {people}")
    conversations = FakeConversations()
    async with (
        parley(conversations, trusted_proxies=("127.0.0.1",)) as server,
        proxied(tmp_path, server, site) as stranger,
    ):
        path, claim = "/v1/chat/completions", {"X-Forwarded-User": "bob"}
        async with stranger.post(path, json=QUESTION, headers=claim) as response:
            assert response.status == 401
        claim |= {"Authorization": aiohttp.encode_basic_auth("ann", "her word")}
        async with stranger.post(path, json=QUESTION, headers=claim) as response:
            assert response.status == 200
    assert [request.account for request in conversations.requests] == ["user:ann"]


async def test_through_ours_a_reply_grows_and_whoever_hangs_up_stops_it(tmp_path: Path) -> None:
    conversations = FakeConversations([Delta("Once upon")])
    body = {**QUESTION, "stream": True}
    async with parley(conversations) as server, proxied(tmp_path, server, SITE) as stranger:
        async with stranger.post("/v1/chat/completions", json=body, headers=KEY) as response:
            assert response.status == 200
            assert b"Once upon" in await response.content.readline()
            response.close()
        await (await conversations.begun()).cancelled.wait()

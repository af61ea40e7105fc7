"""The admin's view over HTTP: who may see it, and what stands in it."""

from __future__ import annotations

import asyncio
import re

import pytest

from bot.chats import Chats
from bot.metrics import Metrics
from tests.adapters.web.conftest import Open, Serve
from tests.adapters.web.test_owners import KEYS, bearer

JSON = {"Accept": "application/json"}


def words(html: str) -> str:
    """As it is read."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


async def test_this_machine_sees_it_before_the_model_is_there(serve: Serve, browse: Open) -> None:
    loading: asyncio.Future[Chats] = asyncio.get_running_loop().create_future()
    browser = await browse(await serve(loaded=loading), loads=False)
    reply = await browser.get("/admin")
    assert reply.status == 200
    said = words(reply.text)
    for part in (
        "up for 2 d 3 h, Parley 1.2.3",
        "Writing 3 replies at once Waiting 7",
        "Tokens a second 52 40.2 over 1 min, 12.5 over 15",
        "First token 0.21 s",
        "slack down",
        "teams up",
        "coder.md:3",
        "for 4 min",
        "slack 10 0 2 0",
        "web 0 1 0 0",
        "all 10 1 2 0",
        "slack:T1/U1 12 3,400 4.25 s 2 1",
        "web:local/01234567… 1 34 –",
        "Parley uses 1.5 GB Free memory not told by this system Free disk 20.0 GB",
    ):
        assert part in said, part


async def test_words_of_others_are_text_in_it(serve: Serve, browse: Open) -> None:
    reply = await (await browse(await serve())).get("/admin")
    assert "Slack said &lt;no&gt;." in reply.text
    assert "'temperatur'" not in reply.text  # quoted
    assert "&#x27;temperatur&#x27; is unknown here." in reply.text


async def test_programs_read_the_same_as_json(serve: Serve, browse: Open) -> None:
    found = (await (await browse(await serve())).get("/admin", headers=JSON)).json
    assert (found["running"], found["waiting"], found["model"]["name"]) == (3, 7, "smollm2")
    assert found["faults"][0]["since"] == "2026-01-07T12:00:00+00:00"
    assert found["day"]["turns"][0] == {"platform": "slack", "state": "done", "number": 10}
    assert found["week"]["people"][0]["person"] == "slack:T1/U1"


async def test_admins_see_it_and_others_are_told_whom_it_is_for(
    serve: Serve, browse: Open, metrics: Metrics
) -> None:
    server = await serve(**KEYS)
    ann = await browse(server, **bearer("ann-key"))
    bob = await browse(server, **bearer("bob-key"))
    assert (await ann.get("/admin")).status == 200
    refused = await bob.get("/admin")
    assert (refused.status, refused.headers["Content-Type"]) == (403, "text/html; charset=utf-8")
    assert "PARLEY_ADMINS" in refused.text
    assert "smollm2" not in refused.text
    as_json = await bob.get("/admin", headers=JSON)
    assert (as_json.status, as_json.sentence) == (
        403,
        "This is for those who run Parley: PARLEY_ADMINS lists them.",
    )
    assert [(await each.load()).json["is_admin"] for each in (ann, bob)] == [True, False]
    counted = metrics.registry.get_sample_value
    labels = {"route": "/admin", "status": "403"}
    assert counted("parley_page_requests_total", labels) == 2


async def test_without_a_key_nobody_sees_it(serve: Serve, browse: Open) -> None:
    browser = await browse(await serve(**KEYS), loads=False)
    refused = await browser.get("/admin")
    assert refused.status == 401
    assert "Authorization" in refused.text
    assert '<a href="/">' in refused.text
    assert "smollm2" not in refused.text
    assert "WWW-Authenticate" not in refused.headers


async def test_where_people_have_passwords_the_browser_asks_for_one(
    serve: Serve, browse: Open
) -> None:
    server = await serve(basic_auth={"ann": "ann-word"}, is_public=True)
    browser = await browse(server, loads=False)
    refused = await browser.get("/admin")
    assert (refused.status, refused.headers["WWW-Authenticate"][:5]) == (401, "Basic")
    ann = await browse(server, Authorization="Basic YW5uOmFubi13b3Jk")
    assert (await ann.get("/admin")).status == 200


@pytest.mark.parametrize("path", ["/page/admin.css", "/page/admin.js"])
async def test_its_style_and_script_are_files_of_ours(
    serve: Serve, browse: Open, path: str
) -> None:
    reply = await (await browse(await serve())).get(path)
    assert (reply.status, "default-src 'self'" in reply.headers["Content-Security-Policy"]) == (
        200,
        True,
    )


async def test_it_is_kept_nowhere_and_no_script_stands_in_it(serve: Serve, browse: Open) -> None:
    reply = await (await browse(await serve())).get("/admin")
    assert reply.headers["Cache-Control"] == "no-store"
    assert "default-src 'self'" in reply.headers["Content-Security-Policy"]
    assert re.findall(r"<script[^>]*>[^<]*", reply.text) == ['<script src="/page/admin.js" defer>']
    assert " style=" not in reply.text


async def test_another_machine_than_this_needs_a_key(serve: Serve, browse: Open) -> None:
    """A website that calls itself by an address of this machine has another name in Host."""
    browser = await browse(await serve(), loads=False)
    assert (await browser.get("/admin", headers={"Host": "example.org"})).status == 401

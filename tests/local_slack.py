"""The real ``local-slack`` server: a Slack for one machine, with a page, from npm.

It listens on every interface, so it runs only as long as ``running_local_slack`` is entered.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from tests.fakes.slack_blocks import controls, pressed
from tests.lacking import go_on_without, skip_for_lack
from tests.npm import install

VERSION = "0.1.8"
PACKAGE = "local-slack-linux-x64"
CACHE = Path(__file__).resolve().parents[1] / ".cache" / "local-slack"

TEAM, BOT, ADA, BOB = "T01", "UBOT", "U01", "U02"
CHANNEL, DIRECT = "C01", "D01"
BOT_TOKEN, SIGNING_SECRET = "xoxb-local-slack", "local-slack-signing-secret"
APP_TOKEN = "xapp-local-slack"
READY_SECONDS = 20.0

Json = dict[str, Any]


class LocalSlackMissing(Exception):
    """Why the server cannot run here, in one sentence."""


def ensure_binary(cache: Path = CACHE) -> Path:
    """The server's path, installed through npm the first time. Raises ``LocalSlackMissing``."""
    folder = cache / "node_modules" / PACKAGE
    binary = folder / "bin" / "local-slack"
    if not binary.is_file() and (problem := install(PACKAGE, VERSION, cache)):
        raise LocalSlackMissing(problem)
    if not os.access(binary, os.X_OK):
        raise LocalSlackMissing(f"npm installed {PACKAGE}, but there is no program in it.")
    return binary


def binary_or_skip() -> Path:
    """For fixtures: skips on a laptop without npm, fails where CI is set."""
    try:
        return ensure_binary()
    except LocalSlackMissing as reason:
        skip_for_lack(str(reason))


def config(events_url: str) -> Json:
    """The workspace: two people, one channel, and one direct message with the bot.

    It delivers over Socket Mode where there is no ``events_url``.
    """
    app = {
        "appId": "A01",
        "botUserId": BOT,
        "botName": "parley",
        "botToken": BOT_TOKEN,
        "appToken": APP_TOKEN,
        "signingSecret": SIGNING_SECRET,
        "mode": "events" if events_url else "socket",
        "requestUrl": events_url,
    }
    people = [(ADA, "ada"), (BOB, "bob")]
    users = [{"id": key, "name": name, "email": f"{name}@example.com"} for key, name in people]
    general = {"id": CHANNEL, "name": "general", "members": [ADA, BOB, BOT]}
    direct = {"id": DIRECT, "name": "parley", "members": [ADA, BOT], "is_im": True}
    return {
        "workspace": {"name": "Parley", "domain": "parley", "teamId": TEAM},
        "apps": [app],
        "users": users,
        "channels": [general, direct],
    }


@dataclass(frozen=True, slots=True)
class Seen:
    """A message as the page showed it at ``at`` (monotonic seconds); text None: deleted."""

    at: float
    ts: str
    text: str | None


@dataclass(slots=True)
class Page:
    """What a person looking at the page has seen, edit by edit."""

    seen: list[Seen] = field(default_factory=list)

    def texts(self, ts: str) -> list[str | None]:
        return [one.text for one in self.seen if one.ts == ts]

    def note(self, event: Json) -> None:
        message = event.get("message", {})
        if event.get("t") in ("message", "message_update"):
            self.seen.append(Seen(time.monotonic(), message["ts"], message["text"]))
        elif event.get("t") == "message_delete":
            self.seen.append(Seen(time.monotonic(), event["ts"], None))


class LocalSlack:
    """Acts as people, and looks at what they see."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.api_url = f"{url}/api/"
        self._session = session

    @property
    def environment(self) -> dict[str, str]:
        """What makes ``python -m bot run`` talk to this server."""
        return {
            "SLACK_BOT_TOKEN": BOT_TOKEN,
            "SLACK_SIGNING_SECRET": SIGNING_SECRET,
            "SLACK_API_URL": self.api_url,
        }

    @property
    def socket_environment(self) -> dict[str, str]:
        """The same, where it was started without an ``events_url``."""
        own = {name: value for name, value in self.environment.items() if "SIGNING" not in name}
        return {**own, "SLACK_APP_TOKEN": APP_TOKEN}

    async def message(
        self,
        text: str,
        *,
        channel: str = CHANNEL,
        user: str = ADA,
        thread_ts: str | None = None,
    ) -> str:
        """Say something; returns its ts once every delivery was answered."""
        thread = {"thread_ts": thread_ts} if thread_ts else {}
        answer = await self._act("message", channel=channel, user=user, text=text, **thread)
        ts: str = answer["message"]["ts"]
        return ts

    async def upload(
        self, name: str, data: bytes, *, channel: str = CHANNEL, user: str = ADA, text: str = ""
    ) -> Json:
        """Say something with a file; the file, as the message names it."""
        form = aiohttp.FormData({"channel": channel, "user": user, "text": text})
        form.add_field("file", data, filename=name, content_type="text/plain")
        async with self._session.post(f"{self.url}/_control/upload", data=form) as answer:
            result: Json = await answer.json()
        assert result.get("ok"), result
        files = [file for each in await self.messages(channel) for file in each.get("files", ())]
        return next(file for file in files if file["name"] == name)

    async def reaction(
        self,
        ts: str,
        name: str,
        *,
        channel: str = CHANNEL,
        user: str = ADA,
        present: bool = True,
    ) -> None:
        await self._act("reaction", channel=channel, ts=ts, user=user, name=name, present=present)

    async def command(self, text: str, *, channel: str = CHANNEL, user: str = ADA) -> None:
        """Type ``/parley`` and the text."""
        await self._act("command", channel=channel, user=user, command="/parley", text=text)

    async def press(self, ts: str, title: str, *, channel: str = CHANNEL, user: str = ADA) -> None:
        """Press a button under a message; returns once that was answered."""
        (message,) = [each for each in await self.messages(channel) if each["ts"] == ts]
        action = pressed(message["blocks"], title, f"{time.time():.6f}")
        await self._act("interact", channel=channel, messageTs=ts, user=user, action=action)

    async def edit(self, ts: str, text: str, *, channel: str = CHANNEL, user: str = ADA) -> None:
        await self._act("edit-message", channel=channel, ts=ts, user=user, text=text)

    async def delete(self, ts: str, *, channel: str = CHANNEL, user: str = ADA) -> None:
        await self._act("delete-message", channel=channel, ts=ts, user=user)

    async def messages(self, channel: str = CHANNEL) -> list[Json]:
        """Every message of the channel and its threads, oldest first."""
        found: list[Json] = (await self._look(f"messages/{channel}"))["messages"]
        return found

    async def replies(self, ts: str, channel: str = CHANNEL) -> list[Json]:
        """What the bot said in the thread of ``ts``."""
        thread = [m for m in await self.messages(channel) if m.get("thread_ts") == ts]
        return [m for m in thread if m["user"] == BOT]

    async def text(self, ts: str, channel: str = CHANNEL) -> str | None:
        found = [m["text"] for m in await self.messages(channel) if m["ts"] == ts]
        return found[0] if found else None

    async def buttons(self, ts: str, channel: str = CHANNEL) -> list[str]:
        """What people can press under a message."""
        found = [each for each in await self.messages(channel) if each["ts"] == ts]
        return [title for each in found for title in controls(each.get("blocks") or [])]

    async def log(self) -> list[Json]:
        """Every delivery and every call, oldest first."""
        entries: list[Json] = (await self._look("log"))["log"]
        return entries

    @asynccontextmanager
    async def page(self) -> AsyncIterator[Page]:
        """Look at the page until the block ends."""
        page = Page()
        async with self._session.ws_connect(f"{self.url.replace('http', 'ws', 1)}/ui") as line:
            await line.receive_json()  # the state so far
            watching = asyncio.create_task(_watch(line, page))
            try:
                yield page
            finally:
                watching.cancel()
                with suppress(asyncio.CancelledError):
                    await watching

    async def _act(self, doing: str, /, **arguments: Any) -> Json:
        async with self._session.post(f"{self.url}/_control/{doing}", json=arguments) as answer:
            result: Json = await answer.json()
        assert result.get("ok"), result
        return result

    async def _look(self, what: str) -> Json:
        async with self._session.get(f"{self.url}/_control/{what}") as answer:
            result: Json = await answer.json()
            return result


async def _watch(line: aiohttp.ClientWebSocketResponse, page: Page) -> None:
    async for message in line:
        page.note(message.json())


@asynccontextmanager
async def running_local_slack(
    binary: Path, folder: Path, events_url: str, *, port: int = 0
) -> AsyncIterator[LocalSlack]:
    """The server with its files in ``folder``, delivering to ``events_url``."""
    settings = folder / "local-slack.yaml"
    settings.write_text(yaml.safe_dump(config(events_url)), "utf-8")
    files = folder / "files"
    files.mkdir(exist_ok=True)
    where = ("--config", str(settings), "--files-dir", str(files))
    address = ("--port", str(port), "--base-host", "127.0.0.1")
    process = await asyncio.create_subprocess_exec(
        str(binary),
        *where,
        *address,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for whoever entered
    )
    try:
        url = await asyncio.wait_for(_announced_url(process), READY_SECONDS)
        draining = asyncio.create_task(_drain(process))
        async with aiohttp.ClientSession() as session:
            yield LocalSlack(url, session)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
    await draining


async def _announced_url(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async for line in process.stdout:
        found = re.search(r"Web UI:\s+(http://\S+)", line.decode())
        if found:
            return found[1]
    raise LocalSlackMissing("local-slack ended before it was ready.")


async def _drain(process: asyncio.subprocess.Process) -> None:
    """A full pipe would stop the server."""
    assert process.stdout is not None
    while await process.stdout.read(4096):
        pass


def main() -> None:
    """``make local-slack``: install it now, so that no test has to wait for it."""
    if not CACHE.exists():
        sys.stdout.write("  installing the local Slack server from npm (91 MB)\n")
    try:
        ensure_binary()
    except LocalSlackMissing as reason:
        go_on_without(f"The local Slack server: {reason}")


if __name__ == "__main__":
    main()

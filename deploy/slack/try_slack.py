"""A Slack for one machine, and Parley in it: ``python -m deploy.slack.try_slack``.

Over Socket Mode, or with ``--http`` over HTTP. Ctrl-C ends both, Parley first,
so that it can finish its last edits.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import aiohttp
import typer

from tests.local_slack import (
    ADA,
    APP_TOKEN,
    CACHE,
    TEAM,
    LocalSlack,
    LocalSlackMissing,
    ensure_binary,
    running_local_slack,
)
from tests.ports import free_port

FOLDER = Path(".cache") / "try-slack"
READY_POLL_SECONDS = 0.5
WELCOME = """
  Open {url} and write: @parley What is a parley?
  The answer grows in the thread ("1 reply"); Stop, or a stop sign as a reaction, ends it, and
  Continue goes on. Under "Direct messages", "ada" is yours with Parley: no mention is needed
  there. Files may come along (text, code, CSV, PDF, DOCX). /parley help says what else can be
  said; you are an admin, and "Act as" makes you bob, who is none.
  🏠 under "Apps" says who answers and what is kept. Slack alone has suggested prompts, the menu
  of a message, and streams of its own: here replies grow by edits. Ctrl-C ends everything.
"""


async def run(binary: Path, *, http: bool = False) -> int:
    """Parley's exit code, or 0 when asked to stop."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    port = free_port()
    FOLDER.mkdir(parents=True, exist_ok=True)
    events_url = f"http://127.0.0.1:{port}/slack/events" if http else ""
    async with running_local_slack(binary, FOLDER, events_url) as slack:
        bot = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bot", "run"),
            env={**os.environ, **environment(slack, port, http=http)},
            start_new_session=True,  # Ctrl-C is for us; the bot is told below
        )
        return await _watch(bot, stop, slack, port)


def environment(slack: LocalSlack, port: int, *, http: bool) -> dict[str, str]:
    """What Parley is told; its threads are kept apart from those of ``make run``."""
    own = {
        "PARLEY_PORT": str(port),
        "PARLEY_DATA_DIR": str(FOLDER / "data"),
        "PARLEY_ADMINS": f"slack:{TEAM}/{ADA}",
    }
    given = slack.environment
    if not http:
        del given["SLACK_SIGNING_SECRET"]
        given["SLACK_APP_TOKEN"] = APP_TOKEN
    return {**given, **own}


async def _watch(
    bot: asyncio.subprocess.Process, stop: asyncio.Event, slack: LocalSlack, port: int
) -> int:
    ended = asyncio.create_task(bot.wait())
    stopped = asyncio.create_task(stop.wait())
    announcing = asyncio.create_task(_announce(slack, port))
    await asyncio.wait((ended, stopped), return_when=asyncio.FIRST_COMPLETED)
    announcing.cancel()
    stopped.cancel()
    if bot.returncode is not None:
        return bot.returncode
    bot.terminate()
    return await ended


async def _announce(slack: LocalSlack, port: int) -> None:
    async with aiohttp.ClientSession() as session:
        while not await _is_ready(session, port):  # noqa: ASYNC110 - another process cannot set an event
            await asyncio.sleep(READY_POLL_SECONDS)
    typer.echo(WELCOME.format(url=slack.url))


async def _is_ready(session: aiohttp.ClientSession, port: int) -> bool:
    try:
        async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


def main() -> None:
    if not CACHE.exists():
        typer.echo("Installing the local Slack server from npm (91 MB) ...")
    try:
        binary = ensure_binary()
    except LocalSlackMissing as reason:
        typer.echo(f"make try-slack needs the local Slack server: {reason}", err=True)
        raise SystemExit(2) from None
    raise SystemExit(asyncio.run(run(binary, http="--http" in sys.argv[1:])))


if __name__ == "__main__":
    main()

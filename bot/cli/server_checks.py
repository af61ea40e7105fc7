"""The checks of ``doctor`` on the servers that run the model, and on what they cannot do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from urllib.parse import urlsplit

from bot.adapter_support.addresses import is_loopback
from bot.cli.checks import Check
from bot.config import Settings
from bot.errors import ModelError
from bot.inference.remote.engine import RemoteEngine
from bot.inference.remote.server import RemoteServer
from bot.metrics import Metrics
from bot.running.engines import remote_engine

_ALWAYS = (
    "No thread keeps its place by name, and none is parked: what is evaluated again is up to "
    "the server.",
    "A reply that only repeats itself ends at PARLEY_MAX_TOKENS, not before.",
    "A place in the queue counts Parley's own questions, not those of others at the server.",
)


def check_servers(settings: Settings) -> list[Check]:
    """One check for each server, then one for what only a model of our own can do."""
    return asyncio.run(_examine(settings))


async def _examine(settings: Settings) -> list[Check]:
    engine = remote_engine(settings, Metrics())
    try:
        async with engine:
            checks = [_server(each, engine) for each in engine.servers]
            return [*checks, *_router(settings), *_limits(engine, settings)]
    except ModelError as error:
        return [Check("engine", "fail", line) for line in str(error).splitlines()]


def _server(server: RemoteServer, engine: RemoteEngine) -> Check:
    if server.problem:
        return Check("engine", "fail", f"{server.url}: {server.problem}", _advice(server))
    window = server.windows.get(engine.name)
    known = f"{window:,} tokens a thread there" if window else "no word of how long a thread may be"
    kind = f"speaks as {server.dialect.name} does" if server.dialect else ""
    return Check("engine", "ok", f"{server.url}: {engine.name}, {known}; {kind}")


def _router(settings: Settings) -> Iterator[Check]:
    if header := settings.engine_session_header:
        yield Check("engine", "ok", f"{header} names each thread to a router, as a hash")


def _advice(server: RemoteServer) -> str:
    return "" if server.is_wrong else "Start it, or correct PARLEY_ENGINE_URL."


def _limits(engine: RemoteEngine, settings: Settings) -> Iterator[Check]:
    for note in (*_missing(engine), *_shared(engine, settings), *_ALWAYS):
        yield Check("engine", "off", note)
    for url in settings.engine_url:
        parts = urlsplit(url)
        if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            note = f"{url}: questions, answers and key travel unencrypted"
            yield Check("engine", "warn", note, "Use https:// unless the network is your own.")


def _shared(engine: RemoteEngine, settings: Settings) -> Iterator[str]:
    well = [server.dialect for server in engine.servers if server.is_up and server.dialect]
    is_divided = all(dialect.salts_cache for dialect in well)
    if settings.engine_cache_salt == "off" or (
        settings.engine_cache_salt == "auto" and not is_divided
    ):
        yield (
            "The server's cache is one for all workspaces; PARLEY_ENGINE_CACHE_SALT=on divides "
            "it if it can be."
        )


def _missing(engine: RemoteEngine) -> Iterator[str]:
    well = [server for server in engine.servers if server.is_up and server.dialect]
    if not all(server.dialect.tokenizer for server in well if server.dialect):
        yield "Tokens are estimated, on the safe side: the server has no tokenizer to ask."
    if engine.known_window is None:
        yield (
            f"The window is taken for {engine.window:,} tokens, which no server has said; "
            "PARLEY_CONTEXT says it better."
        )
    if not all(server.dialect.samplers for server in well if server.dialect):
        yield "A personality's top_k, min_p and other samplers beyond OpenAI's are not sent."
    refused = {key for server in well if server.dialect for key in server.dialect.refuses}
    if names := ", ".join(sorted(refused - {"stream_options"})):
        yield f"What a program may not ask for, since the server has no use for it: {names}."
    if not all(server.dialect.fills for server in well if server.dialect):
        yield "A program's suffix is refused: no server of this kind minds it."
    if any(server.dialect.continues is None for server in well if server.dialect):
        yield "A program's continue_final_message is refused: no server of this kind continues one."

"""The one aiohttp application: health, readiness, metrics, keys; adapters mount their routes."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from weakref import WeakSet

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST
from yarl import URL

from bot.adapter_support.addresses import is_loopback
from bot.adapter_support.callers import CallerCheck
from bot.adapter_support.manners import Manner
from bot.adapter_support.sockets import SOCKETS, close_sockets
from bot.errors import SettingsError, StartError
from bot.metrics import Metrics
from bot.web.connection import ConnectionRunner, note_event_stream
from bot.web.errors import FaultsOfClients, as_json
from bot.web.keys import Keys
from bot.web.middleware import Gate, read_within
from bot.web.proxies import TrustedProxies
from bot.web.sign_ins import SignIns

_KEEPALIVE_SECONDS = 75.0  # also the time in which a client must send its headers
_BACKLOG = 1024
_wire_logger = logging.getLogger(f"{__name__}.wire")
_wire_logger.addFilter(FaultsOfClients())


@dataclass(frozen=True)
class ServerSettings:
    """``api_keys``: name -> secret; names identify accounts. Port 0 is any free one.

    ``max_body``: bytes, enough for a question far too long for any window, which then gets a
    clear answer. ``own_key``: the key of Parley's own commands on this machine. ``is_public``:
    something forwards requests from outside to this port. ``trusted_proxies``: addresses and
    networks of proxies at which people sign in. A body must arrive within
    ``read_seconds``; requests in flight have ``drain_seconds`` when the server closes.
    """

    host: str = "127.0.0.1"
    port: int = 3978
    api_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    basic_auth: Mapping[str, str] = field(default_factory=dict, repr=False)
    own_key: str = field(default="", repr=False)
    is_public: bool = False
    trusted_proxies: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    max_body: int = 4 * 1024 * 1024
    read_seconds: float = 30.0
    drain_seconds: float = 2.0


@dataclass(frozen=True)
class Readiness:
    """The answer of ``/readyz``: 200 or 503, and ``body`` as JSON."""

    ready: bool
    body: Mapping[str, object]


class Server:
    """Mount every route first, then enter: entering binds and serves, leaving closes."""

    def __init__(
        self,
        settings: ServerSettings,
        metrics: Metrics,
        readiness: Callable[[], Awaitable[Readiness]],
        sign_ins: SignIns | None = None,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._readiness = readiness
        self._keys = Keys(settings.api_keys, settings.basic_auth, settings.own_key)
        self._manners: list[Manner] = []
        self._proxies = TrustedProxies(settings.trusted_proxies)
        self._sign_ins = sign_ins
        self._gate = Gate(
            self._keys,
            settings.cors_origins,
            self._manners,
            self._proxies,
            sign_ins,
            is_public=settings.is_public,
        )
        self._app = self._make_app()
        self._runner = self._make_runner()

    def mount(
        self,
        routes: Sequence[web.RouteDef],
        *,
        manners: Sequence[Manner] = (),
        verified: bool = False,
    ) -> None:
        """Serve ``routes``; ``verified`` ones check their callers themselves, without keys.

        A handler is cancelled when its caller hangs up; a verified one runs to its end.
        ``manners`` hold for paths, whether or not there is a route.
        """
        self._manners += manners
        added = self._app.add_routes(routes)
        if verified:
            self._gate.trust(added)

    def mount_page(self, routes: Sequence[web.RouteDef]) -> None:
        """Serve ``routes``, which ask ``callers`` who calls, and read their bodies themselves."""
        self._gate.leave_to_page(self._app.add_routes(routes))

    @property
    def callers(self) -> CallerCheck:
        return self._gate

    @property
    def port(self) -> int:
        """The bound port, also when any was asked for."""
        return int(self._runner.addresses[0][1])

    @property
    def url(self) -> str:
        """Where a program on this machine reaches the server."""
        host = str(self._runner.addresses[0][0])
        reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
        return str(URL.build(scheme="http", host=reachable, port=self.port)).rstrip("/")

    async def __aenter__(self) -> Self:
        self._check_settings()
        if self._sign_ins:
            await self._sign_ins.load()
        await self._runner.setup()
        try:
            await self._bind()
        except BaseException:
            await self._runner.cleanup()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()
        await self._gate.close(self._settings.drain_seconds)

    def _make_app(self) -> web.Application:
        app = web.Application(
            middlewares=[
                as_json(self._manners),
                self._gate.admit,
                read_within(self._settings.read_seconds, self._gate),
            ],
            client_max_size=self._settings.max_body,
        )
        app[SOCKETS] = WeakSet()
        app.on_shutdown.append(close_sockets)
        app.on_response_prepare.append(self._gate.mark)
        app.on_response_prepare.append(note_event_stream)
        probes = [web.get("/healthz", self._health), web.get("/readyz", self._ready)]
        self._gate.leave_open(app.add_routes(probes))
        app.add_routes([web.get("/metrics", self._scrape)])
        return app

    def _make_runner(self) -> ConnectionRunner:
        return ConnectionRunner(
            self._app,
            access_log=None,
            handler_cancellation=True,
            keepalive_timeout=_KEEPALIVE_SECONDS,
            logger=_wire_logger,
            shutdown_timeout=self._settings.drain_seconds,
        )

    def _check_settings(self) -> None:
        host = self._settings.host
        problems = []
        if not is_loopback(host) and not self._keys and not self._proxies:
            problems.append(
                f"PARLEY_HOST is {host or 'every address'}, which others can reach, and no key "
                "is set; set PARLEY_API_KEYS or PARLEY_BASIC_AUTH, or PARLEY_HOST to 127.0.0.1."
            )
        if "*" in self._settings.cors_origins:
            problems.append("PARLEY_CORS_ORIGINS cannot be *; name each origin.")
        if problems:
            raise SettingsError(problems)

    async def _bind(self) -> None:
        host, port = self._settings.host, self._settings.port
        try:
            await web.TCPSite(self._runner, host or None, port, backlog=_BACKLOG).start()
        except OSError as error:
            raise StartError(_why_not_bound(error, host, port)) from error

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _ready(self, request: web.Request) -> web.Response:
        readiness = await self._readiness()
        return web.json_response(dict(readiness.body), status=200 if readiness.ready else 503)

    async def _scrape(self, request: web.Request) -> web.Response:
        headers = {"Content-Type": CONTENT_TYPE_LATEST}
        return web.Response(body=self._metrics.expose(), headers=headers)


def _why_not_bound(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} on {host} is taken by another program; "
            "stop it, or set PARLEY_PORT to a free port."
        )
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine; set PARLEY_HOST to one that is."
    return f"Port {port} on {host} cannot be used ({error.strerror}); set PARLEY_PORT to another."

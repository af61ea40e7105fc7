"""The middlewares of the HTTP server: who may call which route, and bodies in time.

Programs of this machine need no key until Parley can be reached from outside: a request that a
proxy or a tunnel passes on may look exactly like theirs, so from then on everybody needs one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from bot.adapter_support.addresses import ACCOUNT, is_from_this_machine, is_same_origin
from bot.adapter_support.callers import SIGN_IN_COOKIE, Caller
from bot.adapter_support.manners import Manner
from bot.ports import LOCAL_ACCOUNT
from bot.web.errors import UNREADABLE_ENCODING, manner_of
from bot.web.keys import Keys
from bot.web.proxies import TrustedProxies
from bot.web.sign_ins import SignIns

_ALLOWED_ORIGIN = web.RequestKey("allowed_origin", str)
_ENCODINGS = ("", "identity", "gzip", "deflate", "br", "zstd")
"""What aiohttp decodes, or refuses by itself; a body in any other would reach us as it is."""


def read_within(seconds: float, gate: Gate) -> Middleware:
    """Read every body before its handler, within ``seconds``; ``request.read`` keeps it.

    But for those of the page, which may be files: its handlers read them, within bounds.
    """

    @web.middleware
    async def read(request: web.Request, handler: Handler) -> web.StreamResponse:
        if gate.is_of_page(request):
            return await handler(request)
        encoding = request.headers.get("Content-Encoding", "").strip().lower()
        if request.can_read_body and encoding not in _ENCODINGS:
            raise web.HTTPUnsupportedMediaType(text=UNREADABLE_ENCODING)
        try:
            async with asyncio.timeout(seconds):
                await request.read()
        except TimeoutError:
            raise web.HTTPRequestTimeout(
                text=f"The body did not arrive within {seconds:g} s."
            ) from None
        except web.RequestPayloadError:
            raise web.HTTPBadRequest(text="The body is broken.") from None
        return await handler(request)

    return read


class Gate:
    """Admits callers. ``is_public``: Parley can be reached from outside; ``trust`` sets it, too."""

    def __init__(
        self,
        keys: Keys,
        cors_origins: Iterable[str],
        manners: Sequence[Manner],
        proxies: TrustedProxies,
        sign_ins: SignIns | None,
        *,
        is_public: bool,
    ) -> None:
        self._keys = keys
        self._manners = manners
        self._proxies = proxies
        self._sign_ins = sign_ins
        self._cors_origins = {origin.lower() for origin in cors_origins}
        self._open: set[web.AbstractRoute] = set()
        self._verified: set[web.AbstractRoute] = set()
        self._page: set[web.AbstractRoute] = set()
        self._is_public = is_public or bool(proxies)
        self._unfinished: set[asyncio.Task[web.StreamResponse]] = set()

    def leave_open(self, routes: Iterable[web.AbstractRoute]) -> None:
        """Anybody may call these."""
        self._open.update(_with_heads(routes))

    def trust(self, routes: Iterable[web.AbstractRoute]) -> None:
        """These verify their callers themselves, and run to their end once begun.

        A platform that hangs up early must not tear a delivery apart between disk and turn.
        """
        verified = _with_heads(routes)
        self._verified.update(verified)
        self._is_public |= bool(verified)

    def leave_to_page(self, routes: Iterable[web.AbstractRoute]) -> None:
        """These ask for their ``caller`` themselves; what changes something runs to its end."""
        self._page.update(_with_heads(routes))

    def is_of_page(self, request: web.Request) -> bool:
        return request.match_info.route in self._page

    def caller(self, request: web.Request) -> Caller:
        """Of a page, where the cookie of a sign-in counts like the key. See ``CallerCheck``."""
        if not _is_anybody(request) and (name := self._proxies.account(request)):
            return Caller(name)
        if name := self._keys.account(request.headers.get("Authorization", "")):
            return Caller(name, has_key=True)
        secret = request.cookies.get(SIGN_IN_COOKIE, "")
        if self._sign_ins and (name := self._sign_ins.name(secret, self._keys)):
            return Caller(name, has_key=True, is_signed_in=True)
        return Caller(self._account(request, None))

    async def sign_in(self, key: str) -> str | None:
        return await self._sign_ins.open(key, self._keys) if self._sign_ins else None

    async def sign_out(self, request: web.Request) -> None:
        if self._sign_ins:
            await self._sign_ins.end(request.cookies.get(SIGN_IN_COOKIE, ""))

    @web.middleware
    async def admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        route = request.match_info.route
        if route in self._open:
            return await handler(request)
        is_read = request.method in ("GET", "HEAD")
        if route in self._page and is_read:
            return await handler(request)
        if route in self._verified or route in self._page:
            return await self._to_the_end(request, handler)
        self._check_origin(request)
        manner = manner_of(request, self._manners)
        if manner and request.method == "OPTIONS":
            return web.Response(headers={"Allow": manner.allow})
        if _is_preflight(request):
            return web.Response(status=204)
        request[ACCOUNT] = self._account(request, manner)
        return await handler(request)

    async def mark(self, request: web.Request, response: web.StreamResponse) -> None:
        """Set the headers that every response has; called before it is sent."""
        response.headers["X-Content-Type-Options"] = "nosniff"
        origin = request.get(_ALLOWED_ORIGIN)
        if origin is None:
            return
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = "Retry-After, X-Parley-Session"
        response.headers["Vary"] = "Origin"
        if origin != "null":  # anybody's page must not use what a browser keeps for Parley
            response.headers["Access-Control-Allow-Credentials"] = "true"
        if _is_preflight(request):
            asked = request.headers.get("Access-Control-Request-Headers", "")
            response.headers["Access-Control-Allow-Headers"] = asked
            response.headers["Access-Control-Allow-Methods"] = "GET, POST, DELETE, OPTIONS"
            response.headers["Access-Control-Max-Age"] = "600"

    async def close(self, seconds: float) -> None:
        """Wait up to ``seconds`` for deliveries whose caller hung up, then cancel them."""
        if self._unfinished:
            _, late = await asyncio.wait(self._unfinished, timeout=seconds)
            for task in late:
                task.cancel()

    async def _to_the_end(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        async def deliver() -> web.StreamResponse:
            return await handler(request)

        task = asyncio.create_task(deliver())
        self._unfinished.add(task)
        task.add_done_callback(self._unfinished.discard)
        return await asyncio.shield(task)

    def _check_origin(self, request: web.Request) -> None:
        origin = request.headers.get("Origin")
        if origin is None or is_same_origin(origin, request):
            return
        if origin.lower() not in self._cors_origins:
            raise web.HTTPForbidden(
                text="Pages of another origin may not call Parley; "
                "PARLEY_CORS_ORIGINS lists those that may."
            )
        request[_ALLOWED_ORIGIN] = origin

    def _account(self, request: web.Request, manner: Manner | None) -> str:
        """A trusted proxy's word counts before a key: a program there may pass on any."""
        if not _is_anybody(request) and (signed_in := self._proxies.account(request)):
            return signed_in
        account = self._keys.account(request.headers.get("Authorization", ""))
        if account is not None:
            return account
        if not self._is_public and is_from_this_machine(request) and not _is_anybody(request):
            return LOCAL_ACCOUNT
        refusal = web.HTTPUnauthorized(text=self._advice(request))
        for challenge in self._keys.challenges(manner.realm if manner else None):
            refusal.headers.add("WWW-Authenticate", challenge)
        raise refusal

    def _advice(self, request: web.Request) -> str:
        if _is_anybody(request) and "Authorization" not in request.headers:
            return "A page without an origin may be anybody's, so it needs one of PARLEY_API_KEYS."
        if not self._keys and self._proxies:
            return "Only people who have signed in at the proxy in front of Parley may call it."
        if not self._keys and self._is_public:
            return (
                "Parley can be reached from outside, so everybody needs a key, and there is none "
                "yet; set PARLEY_API_KEYS."
            )
        if not self._keys:
            return (
                "Only this machine may call Parley without a key; PARLEY_API_KEYS lets in others."
            )
        if "Authorization" in request.headers:
            return "This key is not one of PARLEY_API_KEYS."
        return "A key is needed: send it as 'Authorization: Bearer <key>'."


def _is_anybody(request: web.Request) -> bool:
    """Every website can have such a page, in a frame without an origin."""
    return request.headers.get("Origin") == "null"


def _is_preflight(request: web.Request) -> bool:
    return request.method == "OPTIONS" and _ALLOWED_ORIGIN in request


def _with_heads(routes: Iterable[web.AbstractRoute]) -> set[web.AbstractRoute]:
    """The routes, and the HEAD that aiohttp adds beside each GET."""
    found = set(routes)
    for route in tuple(found):
        if route.resource is not None and route.method == "GET":
            found.update(other for other in route.resource if other.method == "HEAD")
    return found

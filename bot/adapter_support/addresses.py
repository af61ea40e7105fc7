"""Web addresses; and whether an address, or the sender of a request, is on this machine.

A request comes from this machine only when its peer and its Host header are loopback and
nothing says that it was forwarded: a tunnel on this machine, or a page that points its own
name at 127.0.0.1 (DNS rebinding), speaks for strangers. A proxy that leaves no trace cannot
be told from a program of this machine.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from aiohttp import HttpVersion11, web
from yarl import URL

ACCOUNT = web.RequestKey("account", str)
"""Who calls over HTTP: the API key's or basic-auth name, ``local``, or ``user:`` and the name of
a person who has signed in at a proxy. Set by ``bot.web``."""

COMMAND, EVAL = "X-Parley-Command", "eval"
"""The header with which Parley's own command says who it is, and what ``eval`` says there."""


def is_loopback(host: str) -> bool:
    """Whether an address (or the name ``localhost``) can only be reached from this machine."""
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def web_address(text: str, schemes: tuple[str, ...] = ("http", "https")) -> URL | None:
    """None if the text is not an address of one of these schemes."""
    try:
        url = URL(text)
        is_whole = url.scheme in schemes and bool(url.host) and url.port is not None
    except ValueError:
        return None
    return url if is_whole else None


def is_loopback_url(text: str) -> bool:
    url = web_address(text)
    return url is not None and is_loopback(url.host or "")


def is_from_this_machine(request: web.Request) -> bool:
    """False for HTTP/1.0, which proxies speak by default, and programs no more."""
    hosts = request.headers.getall("Host", [])
    return (
        request.version >= HttpVersion11
        and is_loopback(peer_of(request))
        and len(hosts) == 1
        and is_loopback(_host_name(hosts[0]))
        and not any(_is_forwarding(name) for name in request.headers)
    )


def is_same_origin(origin: str, request: web.Request) -> bool:
    """Ignores the scheme: behind a proxy that terminates TLS only the browser knows it."""
    scheme, _, host = origin.lower().partition("://")
    hosts = [name.lower() for name in request.headers.getall("Host", [])]
    return scheme in ("http", "https") and hosts == [host]


def peer_of(request: web.Request) -> str:
    """The other end of the socket itself, whatever headers claim."""
    peer = request.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) else ""


def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_forwarding(header: str) -> bool:
    name = header.lower()
    return name in ("forwarded", "via", "x-real-ip") or name.startswith("x-forwarded-")

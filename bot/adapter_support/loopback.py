"""What is on this machine: an address, or whoever sent a request. The one place that decides.

A request comes from this machine only when its peer and its Host header are loopback and
nothing says that it was forwarded: a tunnel on this machine, or a page that points its own
name at 127.0.0.1 (DNS rebinding), speaks for strangers. A proxy that leaves no trace cannot
be told from a program of this machine.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from aiohttp import HttpVersion11, web


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


def is_from_this_machine(request: web.Request) -> bool:
    """HTTP/1.0 is what proxies speak by default, and programs no more."""
    hosts = request.headers.getall("Host", [])
    return (
        request.version >= HttpVersion11
        and is_loopback(_peer(request))
        and len(hosts) == 1
        and is_loopback(_host_name(hosts[0]))
        and not any(_is_forwarding(name) for name in request.headers)
    )


def _peer(request: web.Request) -> str:
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

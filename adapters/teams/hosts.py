"""Which addresses replies, and the token with them, may be sent to. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from yarl import URL

from bot.adapter_support.addresses import is_loopback

_HOSTS = frozenset({"smba.trafficmanager.net"})
"""Exactly: anybody can have a name below trafficmanager.net."""

_DOMAINS = (".botframework.com", ".teams.microsoft.com", ".teams.microsoft.us")
"""Microsoft's own: the connector of the public cloud, and of the government clouds."""


def is_trusted(service_url: str, own_hosts: Iterable[str] = (), *, loopback: bool = False) -> bool:
    """Whether replies may go there: a host of Microsoft's, or one of ``own_hosts``.

    ``own_hosts`` are ``host`` or ``host:port``; plain HTTP only among them, on this machine.
    ``loopback``: this machine and nothing else.
    """
    url = _parsed(service_url)
    if url is None or url.user or url.password or url.query_string or url.fragment:
        return False
    if loopback:
        return _is_loopback(url)
    if any(_is_named(url, host) for host in own_hosts):
        return url.scheme == "https" or _is_loopback(url)
    return url.scheme == "https" and url.port == 443 and _is_microsoft(url.host or "")


def is_web_address(text: str) -> bool:
    return _parsed(text) is not None


def is_loopback_url(text: str) -> bool:
    url = _parsed(text)
    return url is not None and _is_loopback(url)


def _is_loopback(url: URL) -> bool:
    return is_loopback(url.host or "")


def _is_microsoft(host: str) -> bool:
    return host in _HOSTS or host.endswith(_DOMAINS)


def _is_named(url: URL, own: str) -> bool:
    return own in (url.host, f"{url.host}:{url.port}")


def _parsed(text: str) -> URL | None:
    try:
        url = URL(text)
        has_host = url.scheme in ("http", "https") and bool(url.host) and url.port is not None
    except ValueError:
        return None
    return url if has_host else None

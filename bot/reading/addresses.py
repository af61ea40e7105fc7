"""Which addresses may be read. Pure.

An address is taken apart and put together anew, so that what is checked is what is asked for. A
host is a name, or an IP address in its usual form; what a name means is checked when it has been
looked up (``bot.reading.resolver``), and an IP address here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Self

from yarl import URL

from bot.reading.page import PageRefused

_MAX_LENGTH = 2048
_SHAPE = re.compile(r"https?://[^/?#@\\\s]+([/?#].*)?", re.IGNORECASE)
_NEVER = re.compile(r"[\x00-\x20\x7f-\xa0\\\u2028\u2029\ufeff]")
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_NUMBER = re.compile(r"(.*\.)?(0x[0-9a-f]*|\d+)")
"""A host that ends so is an IPv4 address to a browser or to the C library, if it is anything."""

_NOT_PUBLIC = """
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24
    192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24
    224.0.0.0/3 168.63.129.16/32
"""
_NOT_PUBLIC_4 = tuple(map(IPv4Network, _NOT_PUBLIC.split()))
"""IANA's registry of special-purpose addresses, and the one at which Azure's machines find the
service that configures them."""

_PUBLIC_6 = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
"""Of the unicast addresses: protocols (Teredo is one of them), examples, 6to4."""

_IPV4_IN_6 = tuple(map(IPv6Network, ("::ffff:0:0/96", "64:ff9b::/96")))
"""The last 32 bits are an IPv4 address: mapped, and of networks without IPv4 (NAT64)."""

_NOT_OF_WEBSITES = """
    0 1 7 9 11 13 15 17 19 20 21 22 23 25 37 42 43 53 69 77 79 87 95 101 102 103 104 109 110 111 113
    115 117 119 123 135 137 139 143 161 179 389 427 465 512 513 514 515 526 530 531 532 540 548 554
    556 563 587 601 636 989 990 993 995 1719 1720 1723 2049 3659 4045 4190 5060 5061 6000 6566 6665
    6666 6667 6668 6669 6679 6697 10080
"""
_OTHER_PORTS = frozenset(map(int, _NOT_OF_WEBSITES.split()))
"""Of services that might take a request for something else; browsers open none of them."""


def is_public(address: str) -> bool:
    """Whether an IP address is one of the internet's; False for what is no IP address."""
    ip = _reached(address)
    if isinstance(ip, IPv6Address):
        return ip in _PUBLIC_6 and not any(ip in network for network in _NOT_PUBLIC_6)
    return ip is not None and not any(ip in network for network in _NOT_PUBLIC_4)


def _reached(address: str) -> IPv4Address | IPv6Address | None:
    """The IP address that it leads to; None: it is none, or one of a single network interface."""
    try:
        ip = ip_address(address)
    except ValueError:
        return None
    if isinstance(ip, IPv4Address):
        return ip
    if ip.scope_id is not None:
        return None
    is_ipv4 = any(ip in network for network in _IPV4_IN_6)
    return IPv4Address(int(ip) & 0xFFFFFFFF) if is_ipv4 else ip


def host_and_port(text: str) -> tuple[str, int]:
    """Of ``intranet.example:8080`` or ``[fd00::1]:80``; ValueError with what is wrong with it."""
    host, _, port = text.rpartition(":")
    try:
        checked = _host(host.removeprefix("[").removesuffix("]"))
        if ":" in checked and not host.startswith("["):
            raise ValueError
        if not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
            raise ValueError
    except ValueError:
        raise ValueError(
            f"{text!r} is no host with a port, such as intranet.example:443 or 10.1.2.3:8080"
        ) from None
    return checked, int(port)


@dataclass(frozen=True, slots=True)
class AddressRules:
    """``allowed``: hosts and ports of inner networks that may be read, as ``host_and_port`` gives
    them. ``own``: IP addresses of this machine, where services may listen for itself only.
    """

    allowed: frozenset[tuple[str, int]] = frozenset()
    own: frozenset[str] = frozenset()

    @classmethod
    def of(cls, allowed: Iterable[str], own: Iterable[str] = ()) -> Self:
        return cls(frozenset(map(host_and_port, allowed)), frozenset(own))

    def check(self, text: str) -> URL:
        """The address as it is asked for. Raises ``PageRefused``."""
        url = _taken_apart(text)
        host, port = url.raw_host or "", url.port or 0
        if (host, port) in self.allowed:
            return url
        if port in _OTHER_PORTS:
            raise PageRefused(f"Port {port} of {host} is not one of websites.")
        if _is_literal(host) and not self.may_connect(host, port, host):
            raise PageRefused(f"{host} is not a public address.")
        return url

    def may_connect(self, host: str, port: int, address: str) -> bool:
        """``address``: an IP address of ``host``."""
        if (host, port) in self.allowed:
            return True
        return is_public(address) and str(_reached(address)) not in self.own


def _taken_apart(text: str) -> URL:
    if len(text) > _MAX_LENGTH:
        raise PageRefused(f"An address that I read has at most {_MAX_LENGTH} characters.")
    if not re.match(r"https?:", text, re.IGNORECASE):
        raise PageRefused("I read only addresses that begin with http:// or https://.")
    if "@" in re.split(r"[/?#\\]", text.partition("//")[2], maxsplit=1)[0]:
        raise PageRefused("I read no address that holds a user name or a password.")
    try:
        if _NEVER.search(text) or not _SHAPE.fullmatch(text):
            raise ValueError
        url = URL(text)
        whole = url.with_path(url.raw_path, encoded=True, keep_query=True)
        checked = whole.with_host(_host(url.raw_host or "")).with_port(url.port)
        if not checked.host:  # as people are shown it: not every name can be
            raise ValueError
        return checked
    except ValueError:
        raise PageRefused("I cannot read an address that is written like this.") from None


def _host(text: str) -> str:
    """In lower case and without the dot of the root; ValueError if it is no host."""
    host = text.lower().removesuffix(".")
    if ":" in host:
        ip = IPv6Address(host)
        if ip.scope_id is not None:
            raise ValueError
        return str(ip)
    if _NUMBER.fullmatch(host):
        return str(IPv4Address(host))
    if not _NAME.fullmatch(host):
        raise ValueError
    return host


def _is_literal(host: str) -> bool:
    return ":" in host or _NUMBER.fullmatch(host) is not None

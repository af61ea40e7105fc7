"""People who have signed in at a proxy in front of Parley, as it says in ``X-Forwarded-User``."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network

from aiohttp import web

from bot.adapter_support.addresses import peer_of
from bot.ports import SIGNED_IN

HEADER = "X-Forwarded-User"
_MAX_NAME = 256


class TrustedProxies:
    """``networks``: what they connect from, each an address or a network.

    The connection itself says who connects; what any header claims of that counts for nothing.
    """

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = [ip_network(each) for each in networks]

    def __bool__(self) -> bool:
        return bool(self._networks)

    def account(self, request: web.Request) -> str | None:
        """Of the person that a trusted proxy names; None if it names none, or another one does."""
        names = request.headers.getall(HEADER, [])
        if not names or not self._is_trusted(peer_of(request)):
            return None
        name = names[0].strip()
        is_one = len(names) == 1 and "," not in name
        if not (is_one and 0 < len(name) <= _MAX_NAME and name.isprintable()):
            raise web.HTTPBadRequest(
                text=f"The proxy must name one person in {HEADER}, in up to {_MAX_NAME} "
                "printable characters without a comma."
            )
        return SIGNED_IN + name

    def _is_trusted(self, peer: str) -> bool:
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        return any(address in network for network in self._networks)

"""Headers of everything that the page is made of."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

SAFE: Mapping[str, str] = MappingProxyType(
    {
        "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
)
"""Nothing from elsewhere, no frame around it, no address told to others."""

NOT_KEPT: Mapping[str, str] = MappingProxyType({"Cache-Control": "no-store"})
"""Of chats: a browser's disk keeps none of them."""

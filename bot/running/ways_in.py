"""Who may come in, as the settings say: the rules of access, and what the server asks for."""

from __future__ import annotations

from bot.access import Access
from bot.config import Settings
from bot.ports import Clock
from bot.server import ServerSettings


def make_access(settings: Settings, clock: Clock) -> Access:
    """Raises ``SettingsError``."""
    return Access(
        allow=settings.allow,
        deny=settings.deny,
        admins=settings.admins,
        direct_messages=settings.direct_messages,
        max_in_flight=settings.max_in_flight,
        per_minute=settings.per_minute,
        quotas=settings.quotas,
        clock=clock,
    )


def server_settings(settings: Settings, own_key: str) -> ServerSettings:
    return ServerSettings(
        host=settings.host,
        port=settings.port,
        api_keys={name: key.get_secret_value() for name, key in settings.api_keys.items()},
        basic_auth={name: word.get_secret_value() for name, word in settings.basic_auth.items()},
        own_key=own_key,
        is_public=settings.is_public,
        trusted_proxies=settings.trusted_proxies,
        cors_origins=settings.cors_origins,
    )

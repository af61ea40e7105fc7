"""The ``[teams]`` table, checked; the secret in it never shows in a repr or a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from adapters.teams.hosts import is_loopback_url, is_web_address
from bot.errors import SettingsError

_OPENID_METADATA = "https://login.botframework.com/v1/.well-known/openidconfiguration"


@dataclass(frozen=True, slots=True)
class TeamsSettings:
    """``app_id`` empty: nobody is verified, and only this machine may talk to the bot.

    Without ``app_password`` the bot is a user-assigned managed identity. ``token_url`` is
    empty where Microsoft's own is meant. ``tenants``: whose people may use the bot; ``*`` is
    everybody's.
    """

    app_id: str = ""
    app_password: str = field(default="", repr=False)
    tenant_id: str = ""
    openid_metadata_url: str = _OPENID_METADATA
    token_url: str = ""
    service_hosts: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ("*",)

    @classmethod
    def read(cls, table: Mapping[str, str]) -> TeamsSettings:
        """Raises ``SettingsError`` with every problem of the table."""
        values = {key: value.strip() for key, value in table.items()}
        if problems := [*_missing(values), *_wrong_addresses(values)]:
            raise SettingsError(problems)
        tenant_id = values.get("tenant_id", "")
        return cls(
            app_id=values.get("app_id", ""),
            app_password=values.get("app_password", ""),
            tenant_id=tenant_id,
            openid_metadata_url=values.get("openid_metadata_url") or _OPENID_METADATA,
            token_url=values.get("token_url", ""),
            service_hosts=_words(values.get("service_hosts", "")),
            tenants=_words(values.get("tenants", "")) or ((tenant_id,) if tenant_id else ("*",)),
        )

    @property
    def is_anonymous(self) -> bool:
        return not self.app_id

    @property
    def is_managed_identity(self) -> bool:
        return bool(self.app_id) and not self.app_password

    def allows_tenant(self, tenant: str) -> bool:
        return "*" in self.tenants or tenant.lower() in map(str.lower, self.tenants)


def _missing(values: Mapping[str, str]) -> list[str]:
    if values.get("app_id") and values.get("app_password") and not values.get("tenant_id"):
        return ["TEAMS_TENANT_ID is not set: bots are registered in one tenant today; give its id."]
    if values.get("app_password") and not values.get("app_id"):
        return ["TEAMS_APP_ID is not set: give the app id that TEAMS_APP_PASSWORD belongs to."]
    return []


def _wrong_addresses(values: Mapping[str, str]) -> list[str]:
    """Secrets go out to one of them and trust comes in from the other."""
    problems = []
    for key in ("openid_metadata_url", "token_url"):
        url = values.get(key, "")
        if url and not (is_web_address(url) and (url.startswith("https") or is_loopback_url(url))):
            name = f"TEAMS_{key.upper()}"
            problems.append(f"{name} must begin with https://, or be on this machine.")
    return problems


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for part in text.split(",") if (word := part.strip()))

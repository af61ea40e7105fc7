"""The ``[teams]`` table, checked; the secret in it never shows in a repr or a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from adapters.teams.auth.credentials import (
    AppServiceIdentity,
    ClientSecret,
    ManagedIdentity,
    TokenSource,
    WorkloadIdentity,
)
from bot.adapter_support.addresses import is_loopback, is_loopback_url, web_address
from bot.adapter_support.settings import SettingsReader

_OPENID_METADATA = "https://login.botframework.com/v1/.well-known/openidconfiguration"
_AUTHORITY = "https://login.microsoftonline.com/"
_METADATA_SERVICE = "http://169.254.169.254/metadata/identity/oauth2/token"

_HOSTS = frozenset({"smba.trafficmanager.net"})
"""Only this name: anybody can have one below trafficmanager.net."""

_DOMAINS = (".botframework.com", ".teams.microsoft.com", ".teams.microsoft.us")
"""Microsoft's own: the connector of the public cloud, and of the government clouds."""


@dataclass(frozen=True, slots=True)
class TeamsSettings:
    """``app_id`` empty: nobody is verified, and only this machine may talk to the bot.

    Without ``app_password`` the bot is a user-assigned managed identity. ``token_url``
    empty: Microsoft's own. ``tenants``: those whose people may use the bot; ``*``: all.
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
        given = SettingsReader("TEAMS", table)
        app_id, app_password = given.text("app_id"), given.text("app_password")
        tenant_id = given.text("tenant_id")
        if app_password and not app_id:
            given.refuse(
                "app_id", " is not set: give the app id that TEAMS_APP_PASSWORD belongs to."
            )
        elif app_password and not tenant_id:
            given.refuse(
                "tenant_id",
                " is not set: bots are registered in one tenant today; give its id.",
            )
        for key in ("openid_metadata_url", "token_url"):
            if (url := given.text(key)) and not _is_safe(url):
                given.refuse(key, " must begin with https://, or be on this machine.")
        given.check()
        return cls(
            app_id,
            app_password,
            tenant_id,
            openid_metadata_url=given.text("openid_metadata_url", _OPENID_METADATA),
            token_url=given.text("token_url"),
            service_hosts=given.words("service_hosts"),
            tenants=given.words("tenants") or ((tenant_id,) if tenant_id else ("*",)),
        )

    @property
    def is_anonymous(self) -> bool:
        return not self.app_id

    @property
    def is_managed_identity(self) -> bool:
        return bool(self.app_id) and not self.app_password

    def allows_tenant(self, tenant: str) -> bool:
        return "*" in self.tenants or tenant.lower() in map(str.lower, self.tenants)

    def trusts(self, service_url: str) -> bool:
        """Whether replies may be sent there; without an app id to this machine only."""
        return is_trusted(service_url, self.service_hosts, loopback=self.is_anonymous)


def _is_safe(url: str) -> bool:
    """Secrets are sent to one of these addresses; the other gives the keys to trust."""
    is_secure = url.startswith("https") and web_address(url) is not None
    return is_secure or is_loopback_url(url)


def is_trusted(service_url: str, own_hosts: Iterable[str] = (), *, loopback: bool = False) -> bool:
    """Whether replies, and the token with them, may be sent there: to Microsoft or ``own_hosts``.

    ``own_hosts`` are ``host`` or ``host:port``; plain HTTP only among them, on this machine.
    ``loopback``: this machine and nothing else.
    """
    url = web_address(service_url)
    if url is None or url.user or url.password or url.query_string or url.fragment:
        return False
    if loopback:
        return is_loopback(url.host or "")
    if any(own in (url.host, f"{url.host}:{url.port}") for own in own_hosts):
        return url.scheme == "https" or is_loopback(url.host or "")
    host = url.host or ""
    is_microsoft = host in _HOSTS or host.endswith(_DOMAINS)
    return url.scheme == "https" and url.port == 443 and is_microsoft


def token_source(settings: TeamsSettings, environ: Mapping[str, str]) -> TokenSource:
    """``environ``: Azure sets variables where a managed identity can be used."""
    given, app_id = settings.token_url, settings.app_id
    if not settings.is_managed_identity:
        url = given or _token_url(_AUTHORITY, settings.tenant_id)
        return ClientSecret(url, app_id, settings.app_password)
    local, header = environ.get("IDENTITY_ENDPOINT"), environ.get("IDENTITY_HEADER")
    if local and header:
        return AppServiceIdentity(given or local, app_id, header)
    if path := environ.get("AZURE_FEDERATED_TOKEN_FILE"):
        tenant = environ.get("AZURE_TENANT_ID") or settings.tenant_id
        authority = environ.get("AZURE_AUTHORITY_HOST") or _AUTHORITY
        return WorkloadIdentity(given or _token_url(authority, tenant), app_id, Path(path))
    return ManagedIdentity(given or _METADATA_SERVICE, app_id)


def _token_url(authority: str, tenant: str) -> str:
    return f"{authority.rstrip('/')}/{tenant}/oauth2/v2.0/token"

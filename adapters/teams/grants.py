"""How the bot asks for its own token: by its secret, or as a managed identity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from adapters.teams.settings import TeamsSettings

RESOURCE = "https://api.botframework.com"
_SCOPE = f"{RESOURCE}/.default"
_AUTHORITY = "https://login.microsoftonline.com/"
_MACHINE = "http://169.254.169.254/metadata/identity/oauth2/token"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A POST of ``form``, or a GET with ``query`` if there is none."""

    url: str
    form: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class Grant(Protocol):
    def request(self) -> TokenRequest:
        """May read a file; raises ``OSError`` if it cannot."""
        ...


@dataclass(frozen=True, slots=True)
class Secret:
    """A single-tenant app and its client secret."""

    url: str
    app_id: str
    password: str = field(repr=False)

    def request(self) -> TokenRequest:
        return TokenRequest(self.url, form=_form(self.app_id) | {"client_secret": self.password})


@dataclass(frozen=True, slots=True)
class Machine:
    """A virtual machine with the identity, whose own service is asked."""

    url: str
    app_id: str

    def request(self) -> TokenRequest:
        query = {"api-version": "2018-02-01", "resource": RESOURCE, "client_id": self.app_id}
        return TokenRequest(self.url, query=query, headers={"Metadata": "true"})


@dataclass(frozen=True, slots=True)
class AppService:
    """App Service, Functions and Container Apps: a local service, and a header that it wants."""

    url: str
    app_id: str
    header: str = field(repr=False)

    def request(self) -> TokenRequest:
        query = {"api-version": "2019-08-01", "resource": RESOURCE, "client_id": self.app_id}
        return TokenRequest(self.url, query=query, headers={"X-IDENTITY-HEADER": self.header})


@dataclass(frozen=True, slots=True)
class Federated:
    """Kubernetes with workload identity: its token, in a file that it renews, is exchanged."""

    url: str
    app_id: str
    path: Path

    def request(self) -> TokenRequest:
        assertion = self.path.read_text(encoding="utf-8").strip()
        proof = {"client_assertion_type": _ASSERTION, "client_assertion": assertion}
        return TokenRequest(self.url, form=_form(self.app_id) | proof)


def grant_of(settings: TeamsSettings, environ: Mapping[str, str]) -> Grant:
    """``environ``: what Azure sets where a managed identity can be used."""
    given, app_id = settings.token_url, settings.app_id
    if not settings.is_managed_identity:
        url = given or _token_url(_AUTHORITY, settings.tenant_id)
        return Secret(url, app_id, settings.app_password)
    local, header = environ.get("IDENTITY_ENDPOINT"), environ.get("IDENTITY_HEADER")
    if local and header:
        return AppService(given or local, app_id, header)
    if path := environ.get("AZURE_FEDERATED_TOKEN_FILE"):
        tenant = environ.get("AZURE_TENANT_ID") or settings.tenant_id
        authority = environ.get("AZURE_AUTHORITY_HOST") or _AUTHORITY
        return Federated(given or _token_url(authority, tenant), app_id, Path(path))
    return Machine(given or _MACHINE, app_id)


def _token_url(authority: str, tenant: str) -> str:
    return f"{authority.rstrip('/')}/{tenant}/oauth2/v2.0/token"


def _form(app_id: str) -> dict[str, str]:
    return {"grant_type": "client_credentials", "client_id": app_id, "scope": _SCOPE}

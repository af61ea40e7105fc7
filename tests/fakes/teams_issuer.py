"""Microsoft's side of trust, small: signing keys, tokens for deliveries and for the bot."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from jwt.algorithms import RSAAlgorithm

from bot.ports import Clock
from tests.fakes.teams_activities import APP, TENANT

Json = dict[str, Any]

ISSUER = "https://api.botframework.com"
SECRET = "the-app-password"
IDENTITY_HEADER = "what-the-local-service-wants"
TOKEN_SECONDS = 3600


@cache
def private_key(name: str) -> RSAPrivateKey:
    """Made once for all tests: it takes a while."""
    del name
    return generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class FakeIssuer:
    """``keys``: those published now, by their id. ``is_down``: nothing is answered.

    ``cluster_token``: what a cluster vouches for the bot with at this moment.
    """

    clock: Clock
    keys: dict[str, tuple[str, ...]] = field(default_factory=lambda: {"key-1": ("msteams",)})
    is_down: bool = False
    refuses: bool = False
    token_seconds: float = TOKEN_SECONDS
    cluster_token: str = "the-cluster-vouches"
    num_key_fetches: int = 0
    num_tokens: int = 0
    issued: dict[str, float] = field(default_factory=dict)
    _serial: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/openid", self._metadata),
            web.get("/keys", self._keys),
            web.post("/token", self._token),
            web.get("/identity", self._identity),
            web.get("/app-service", self._app_service),
            web.post("/{tenant}/oauth2/v2.0/token", self._federated),
        ]

    def sign(
        self,
        service_url: str,
        *,
        key: str = "key-1",
        key_id: str | None = None,
        algorithm: str = "RS256",
        **claims: Any,
    ) -> str:
        """A token for a delivery; a claim given as None is left out."""
        now = self.clock.now().timestamp()
        all_claims = {
            "iss": ISSUER,
            "aud": APP,
            "exp": now + 3600,
            "nbf": now - 300,
            "serviceurl": service_url,
        } | claims
        kept = {name: value for name, value in all_claims.items() if value is not None}
        secret: Any = private_key(key)
        if algorithm != "RS256":
            secret = "x" * 64 if algorithm.startswith("HS") else ""
        headers = {"kid": key_id or key}
        return jwt.encode(kept, secret, algorithm=algorithm, headers=headers)

    def is_good(self, header: str) -> bool:
        """Whether a call of the bot's carries a token that was issued and has not expired."""
        ends_at = self.issued.get(header.removeprefix("Bearer "))
        return ends_at is not None and self.clock.monotonic() < ends_at

    async def _metadata(self, request: web.Request) -> web.Response:
        if self.is_down:
            return web.Response(status=503)
        return web.json_response(
            {"issuer": ISSUER, "jwks_uri": str(request.url.with_path("/keys"))}
        )

    async def _keys(self, _: web.Request) -> web.Response:
        self.num_key_fetches += 1
        found = []
        for name, endorsements in self.keys.items():
            entry = RSAAlgorithm.to_jwk(private_key(name).public_key(), as_dict=True)
            found.append({**entry, "kid": name, "use": "sig", "endorsements": list(endorsements)})
        return web.json_response({"keys": found})

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        expected = {
            "grant_type": "client_credentials",
            "client_id": APP,
            "client_secret": SECRET,
            "scope": "https://api.botframework.com/.default",
        }
        if self.refuses or dict(form) != expected:
            return web.json_response({"error": "invalid_client"}, status=401)
        return self._issue()

    async def _identity(self, request: web.Request) -> web.Response:
        is_asked_right = request.headers.get("Metadata") == "true"
        is_ours = request.query.get("client_id") == APP
        if not (is_asked_right and is_ours and request.query.get("resource") == ISSUER):
            return web.json_response({"error": "invalid_request"}, status=400)
        return self._issue()

    async def _app_service(self, request: web.Request) -> web.Response:
        """It names the second at which a token ends, as a text, and not for how long it is good."""
        expected = {"api-version": "2019-08-01", "resource": ISSUER, "client_id": APP}
        is_right = dict(request.query) == expected and "Metadata" not in request.headers
        if request.headers.get("X-IDENTITY-HEADER") != IDENTITY_HEADER or not is_right:
            return web.json_response({"statusCode": 400, "message": "no"}, status=400)
        ends_at = int(self.clock.now().timestamp() + self.token_seconds)
        return self._issue(expires_on=str(ends_at))

    async def _federated(self, request: web.Request) -> web.Response:
        form = dict(await request.post())
        expected = {
            "grant_type": "client_credentials",
            "client_id": APP,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": self.cluster_token,
            "scope": f"{ISSUER}/.default",
        }
        if form != expected or request.match_info["tenant"] != TENANT:
            return web.json_response({"error": "invalid_client"}, status=401)
        return self._issue(expires_in=self.token_seconds)

    def _issue(self, **good: Any) -> web.Response:
        if self.is_down:
            return web.Response(status=503)
        self.num_tokens += 1
        token = f"token-{next(self._serial)}-of-{TENANT}"
        self.issued[token] = self.clock.monotonic() + self.token_seconds
        good = good or {"expires_in": self.token_seconds}
        return web.json_response({"token_type": "Bearer", "access_token": token, **good})

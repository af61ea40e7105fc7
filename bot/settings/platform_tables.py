"""The settings of the chat platforms, a table for each."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from bot.settings.kinds import AppToken, BotToken, Endpoint, Words


def _plain(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return ",".join(value) if isinstance(value, tuple) else str(value)


class Table(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        validate_default=True,
        allow_inf_nan=False,
    )

    def given(self) -> dict[str, str]:
        """The values that are set, as text, secrets revealed, for an adapter."""
        return {name: _plain(value) for name, value in self if value not in (None, ())}


class SlackTable(Table):
    bot_token: BotToken | None = Field(
        default=None, description="Bot token (`xoxb-…`); switches Slack on."
    )
    signing_secret: SecretStr | None = Field(
        default=None,
        description="Signing secret of the app; verifies what Slack delivers over HTTP.",
    )
    app_token: AppToken | None = Field(
        default=None,
        description="App token (`xapp-…`) for Socket Mode, which needs no public address.",
    )
    api_url: Endpoint | None = Field(
        default=None, description="Address of a test server's Web API."
    )


class DiscordTable(Table):
    token: SecretStr | None = Field(default=None, description="Bot token; switches Discord on.")
    api_url: Endpoint | None = Field(
        default=None, description="Address of a test server's REST API."
    )
    gateway_url: Endpoint | None = Field(
        default=None, description="Address of a test server's gateway."
    )
    guild_ids: Words = Field(default=(), description="Servers whose commands are updated at once.")
    threads: bool = Field(
        default=True, description="Whether a question in a channel opens a thread."
    )
    age_restricted: bool = Field(
        default=False, description="Whether Parley answers in age-restricted channels."
    )
    file_above: int = Field(
        default=0, ge=0, description="Messages above which an answer ends as a file; 0: never."
    )


class TeamsTable(Table):
    app_id: str | None = Field(default=None, description="App id of the bot; switches Teams on.")
    app_password: SecretStr | None = Field(
        default=None, description="Client secret of the app; without it a managed identity."
    )
    tenant_id: str | None = Field(default=None, description="Tenant of a single-tenant bot.")
    openid_metadata_url: Endpoint | None = Field(
        default=None, description="Address of a test server's OpenID metadata."
    )
    token_url: Endpoint | None = Field(
        default=None, description="Address of a test server's tokens."
    )
    service_hosts: Words = Field(
        default=(), description="Further hosts that replies may be sent to."
    )
    tenants: Words = Field(
        default=(), description="Tenants whose people may use it; that of the bot if not set."
    )

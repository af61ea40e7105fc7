"""Every setting: its name, kind, default and meaning. ``parley.toml`` has the same shape."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr

from bot.adapter_support.addresses import is_loopback
from bot.model_names import KNOWN, hub_model
from bot.settings.cores import usable_cores
from bot.settings.kinds import (
    DEFAULT_STOP_REACTIONS,
    PLATFORMS,
    WEBHOOKS,
    AnyCase,
    Folder,
    HeaderKey,
    HeaderName,
    InnerHosts,
    ModelAliases,
    ModelName,
    ModelServers,
    NamedKeys,
    Networks,
    Origins,
    Passwords,
    Platforms,
    PublicUrl,
    Secret,
    Size,
    StopReactions,
    Words,
)
from bot.settings.platform_tables import DiscordTable, SlackTable, Table, TeamsTable

SHIPPED_PERSONALITIES = Path(__file__).parents[2] / "personalities"
DEFAULT_KV_TOKENS = 16_384


class Settings(Table):
    """All of Parley's settings. ``model_fields_set`` tells which ones a person gave."""

    model: ModelName = Field(
        default="smollm2",
        min_length=1,
        description=f"`smollm2` (comes along), {', '.join(f'`{name}`' for name in KNOWN)}, another "
        "of the Hugging Face hub (`hf:owner/repository:*Q4_K_M.gguf`), or a GGUF file's path.",
    )
    model_dir: Folder = Field(
        default=Path("models"),
        description="Folder of GGUF files; each is a model that a personality may name.",
    )
    optimize: Literal["auto", "off"] = Field(
        default="auto",
        description="`auto`: without a GPU the embedded model runs as a faster copy of itself.",
    )
    context: int = Field(
        default=0,
        ge=0,
        description="Tokens of one thread; 0: what the model was made for, up to 8192.",
    )
    kv_tokens: int = Field(
        default_factory=lambda data: max(DEFAULT_KV_TOKENS, data["context"]),
        ge=256,
        json_schema_extra={"shown": str(DEFAULT_KV_TOKENS)},
        description="Tokens that all threads share in the KV cache.",
    )
    running: int = Field(default=16, ge=1, le=224, description="Replies written at the same time.")
    cpu_threads: int = Field(
        default=0,
        ge=0,
        description="CPU threads; 0: one for each physical core, or for each logical one if that "
        "is measured to be faster.",
    )
    gpu_layers: int = Field(
        default=-1, ge=-1, description="Layers put on the GPU; -1: all, 0: none."
    )
    attention: Annotated[Literal["auto", "flash", "plain"], AnyCase] = Field(
        default="auto",
        description="`flash` or `plain` attention; `auto`: on a GPU flash, on a CPU what a trial "
        "of the model measures to be faster.",
    )
    kv_layout: Annotated[Literal["auto", "unified", "streams"], AnyCase] = Field(
        default="auto",
        description="KV cache: `unified`, one pool for all threads, or `streams`, a part for each; "
        "`auto`: as with attention.",
    )
    ubatch: int = Field(
        default=0,
        ge=0,
        le=512,
        description="Tokens of a prompt that llama.cpp evaluates at once; 0: as with attention.",
    )
    speculation: Annotated[Literal["auto", "off"], AnyCase] = Field(
        default="auto",
        description="`auto`: where a reply repeats its thread, a step writes several tokens of it, "
        "if that is faster at the moment.",
    )
    draft_model: ModelName | None = Field(
        default=None,
        min_length=1,
        description="A much smaller model of the same family, named as `PARLEY_MODEL` is: what it "
        "foresees, the model only checks, if that is faster at the moment.",
    )
    max_tokens: int = Field(default=512, ge=1, description="Longest reply, in tokens.")
    queue: int = Field(default=256, ge=1, description="Questions that may wait for the model.")
    parked_memory: Size = Field(
        default=512 << 20,
        ge=0,
        json_schema_extra={"shown": "512M"},
        description="Memory for the state of idle threads, beside the model's.",
    )
    parked_disk: Size = Field(
        default=4 << 30,
        ge=0,
        json_schema_extra={"shown": "4G"},
        description="Disk space for it, in the data folder; after a restart, too.",
    )
    engine_url: ModelServers = Field(
        default=(),
        description="OpenAI-compatible servers that run the model instead of Parley.",
    )
    engine_key: HeaderKey | None = Field(default=None, description="Key for those servers.")
    engine_model: str | None = Field(
        default=None, min_length=1, description="The model's name there; the first if not set."
    )
    engine_session_header: HeaderName = Field(
        default="",
        description="Header that names a thread to a router before those servers (a hash), such "
        "as `x-user-id`.",
    )
    engine_cache_salt: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="Whether those servers may reuse what they evaluated for one workspace only "
        "for that one (`cache_salt`); `auto`: vLLM.",
    )
    data_dir: Folder = Field(
        default=Path("data"),
        description="Folder for the database, files that wait to be read, parked threads and the "
        "faster copy of the model.",
    )
    database_url: Annotated[str, Secret()] = Field(
        default_factory=lambda data: f"sqlite:///{data['data_dir'] / 'parley.db'}",
        repr=False,
        json_schema_extra={"shown": "sqlite:///data/parley.db"},
        description="Where threads are kept.",
    )
    personalities: Folder = Field(
        default=SHIPPED_PERSONALITIES,
        json_schema_extra={"shown": "personalities"},
        description="Folder of personalities.",
    )
    personality: str = Field(
        default="assistant", min_length=1, description="The default personality."
    )
    adapters: Platforms = Field(
        default=(), description="Chat platforms to start, instead of those whose token is set."
    )
    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address to listen on; any but this machine's own needs a key.",
    )
    port: int = Field(
        default=3978,
        ge=0,
        le=65535,
        description="Port of the page, the HTTP APIs and the webhooks.",
    )
    open_page: Annotated[Literal["auto", "off"], AnyCase] = Field(
        default="auto",
        description="`auto`: a start in a desktop's terminal opens the page in the browser; or "
        "`off`.",
    )
    public_url: PublicUrl | None = Field(
        default=None,
        description="Address at which others reach Parley; set it where a proxy or tunnel does it.",
    )
    trusted_proxies: Networks = Field(
        default=(),
        description="Proxies at which people sign in, each `127.0.0.1` or `10.1.0.0/16`: whom they "
        "name in `X-Forwarded-User` needs no key. They must let nobody else set that header.",
    )
    api_keys: NamedKeys = Field(
        default={}, description="Keys for the HTTP APIs, each `name:key` or the key alone."
    )
    model_aliases: ModelAliases = Field(
        default={},
        description="Names of models that programs have built in, each `gpt-4o=assistant` (a model "
        "or personality); `*=default`: any other name is the default model.",
    )
    basic_auth: Passwords = Field(
        default={}, description="People who may use the HTTP APIs, each `user:password`."
    )
    cors_origins: Origins = Field(
        default=(),
        description="Other sites, apps and extensions whose pages may call the APIs; `null`: "
        "any page without an origin.",
    )
    socket_end: Literal["key", "plain"] = Field(
        default="key",
        description="End of a reply on csps-llm's socket: `<END key>` with the session's key, or "
        "`<END>`.",
    )
    admins: Words = Field(default=(), description="Admins, such as `slack:T01/U01`.")
    allow: Words = Field(
        default=(),
        description="Who and where may use Parley; empty: everybody. `*` stands for anything.",
    )
    deny: Words = Field(default=(), description="Who and where may not; wins over allow.")
    direct_messages: bool = Field(
        default=True, description="Whether people may write to Parley directly."
    )
    max_in_flight: int = Field(
        default=4, ge=0, description="Unfinished questions of one person; 0: any."
    )
    max_waiting_per_channel: int = Field(
        default=50, ge=0, description="Unfinished questions of one channel; 0: any."
    )
    per_minute: int = Field(
        default=30, ge=0, description="Questions of one person in a minute; 0: any."
    )
    quotas: Words = Field(
        default=(),
        description="Other limits a minute for roles or people, each `discord:G1/@R1=60`.",
    )
    stop_reactions: StopReactions = Field(
        default=dict(DEFAULT_STOP_REACTIONS),
        json_schema_extra={"shown": ""},
        description="Reactions that stop a reply; by default each platform's own.",
    )
    links: Annotated[Literal["known", "all", "none"], AnyCase] = Field(
        default="known",
        description="Links in replies: `known` (address in the thread, a file or the personality), "
        "`all` or `none`; others are code.",
    )
    retention_days: float = Field(
        default=0, ge=0, description="Days after which finished turns are deleted; 0: never."
    )
    recover_seconds: float = Field(
        default=900, ge=0, description="Age up to which unfinished turns run again after a restart."
    )
    drain_seconds: float = Field(
        default=15, ge=0, description="Seconds that replies get to end when Parley is stopped."
    )
    fetch_allow: InnerHosts = Field(
        default=(),
        description="Inner addresses (`host:port`) from which pages and feeds may be read.",
    )
    read_pages: Annotated[Literal["people", "everybody", "off"], AnyCase] = Field(
        default="people",
        description="Who may have pages read by writing their address: `people` who are known by "
        "name, `everybody`, also at the page without signing in, or nobody (`off`).",
    )
    robots: Annotated[Literal["obey", "ignore"], AnyCase] = Field(
        default="obey",
        description="Whether pages that a site's robots.txt forbids are left unread.",
    )
    remote_url: ModelServers = Field(
        default=(),
        description="OpenAI-compatible servers of the models that personalities with `strategy: "
        "route` name; nothing else is asked of them.",
    )
    remote_key: HeaderKey | None = Field(default=None, description="Key for those servers.")
    log_level: Annotated[Literal["debug", "info", "warning", "error"], AnyCase] = Field(
        default="info", description="`debug`, `info`, `warning` or `error`."
    )
    log_format: Annotated[Literal["text", "json"], AnyCase] = Field(
        default="text", description="`text`, or `json`: an object a line, for programs."
    )
    slack: SlackTable = SlackTable()
    discord: DiscordTable = DiscordTable()
    teams: TeamsTable = TeamsTable()

    _old_names: Mapping[str, str] = PrivateAttr(default_factory=dict)
    _notes: tuple[str, ...] = PrivateAttr(())

    def model_post_init(self, context: Any) -> None:
        """The context may hold ``old_names`` and ``notes``, see the properties of these names."""
        self._old_names = (context or {}).get("old_names", self._old_names)
        self._notes = (context or {}).get("notes", self._notes)

    @property
    def old_names(self) -> Mapping[str, str]:
        """Setting -> the name of another program under which it was set."""
        return self._old_names

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about such names that have no effect."""
        return self._notes

    @property
    def platforms(self) -> tuple[str, ...]:
        """The chat platforms to start: those named, or those whose token is set."""
        return self.adapters or tuple(name for name in PLATFORMS if self.has_token(name))

    @property
    def is_remote(self) -> bool:
        """Whether servers run the model, and not Parley itself."""
        return bool(self.engine_url)

    @property
    def model_source(self) -> str:
        """``model``, or the file of that name in ``model_dir`` where there is one."""
        return self._source_of(self.model)

    @property
    def draft_source(self) -> str | None:
        """Like ``model_source``; None where no draft model is to be used."""
        is_used = self.draft_model and self.speculation == "auto" and not self.is_remote
        return self._source_of(self.draft_model) if self.draft_model and is_used else None

    def _source_of(self, model: str) -> str:
        if hub_model(model):
            return model
        in_folder = self.model_dir / Path(model).name
        is_there = Path(model).suffix and not Path(model).exists() and in_folder.is_file()
        return str(in_folder) if is_there else model

    @property
    def copies_dir(self) -> Path:
        """Folder of the faster copies of models: ``model_dir`` if somebody set it."""
        given = "model_dir" in self.model_fields_set
        return self.model_dir if given else self.data_dir / "models"

    @property
    def num_threads(self) -> int:
        """CPU threads for the model: never more than this process may run on."""
        return self.cpu_threads or usable_cores()

    @property
    def is_on_loopback(self) -> bool:
        return is_loopback(self.host)

    @property
    def is_public(self) -> bool:
        """Whether something forwards requests from outside to this port."""
        has_webhook = any(
            name in WEBHOOKS and (name != "slack" or self.slack.signing_secret is not None)
            for name in self.platforms
        )
        return has_webhook or self.public_url is not None or bool(self.trusted_proxies)

    def platform(self, name: str) -> dict[str, str]:
        """The table ``[name]`` for ``AdapterContext.settings``."""
        return self._table(name).given()

    def given_of(self, name: str) -> list[str]:
        """The settings of the table ``[name]`` that a person gave, in the order of the table."""
        table = self._table(name)
        return [key for key in table.given() if key in table.model_fields_set]

    def _table(self, name: str) -> Table:
        tables: dict[str, Table] = {
            "slack": self.slack,
            "discord": self.discord,
            "teams": self.teams,
        }
        return tables[name]

    def has_token(self, platform: str) -> bool:
        token = {
            "slack": self.slack.bot_token,
            "discord": self.discord.token,
            "teams": self.teams.app_id,
        }
        return token[platform] is not None

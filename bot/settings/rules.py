"""Rules about several settings, and settings that this version does not support yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bot.access import Access
from bot.clock import SystemClock
from bot.errors import SettingsError
from bot.settings.tables import Settings

TOKENS = {"slack": "SLACK_BOT_TOKEN", "discord": "DISCORD_TOKEN", "teams": "TEAMS_APP_ID"}

LOCAL_ENGINE = frozenset(
    {
        *("model", "model_dir", "kv_tokens", "cpu_threads", "gpu_layers", "speculation"),
        *("attention", "kv_layout", "ubatch"),
        *("draft_model", "parked_memory", "parked_disk"),
    }
)
"""Settings of the model that Parley runs itself."""

REMOTE_ENGINE = frozenset(
    {"engine_key", "engine_model", "engine_session_header", "engine_cache_salt"}
)
"""Settings of the servers that run it instead."""


@dataclass(frozen=True, slots=True)
class Rule:
    """``check`` returns one sentence for each way in which the settings ``of`` conflict."""

    of: tuple[str, ...]
    check: Callable[[Settings], list[str]]


def _slack_can_deliver(settings: Settings) -> list[str]:
    slack = settings.slack
    if not slack.bot_token or slack.signing_secret or slack.app_token:
        return []
    return [
        "SLACK_BOT_TOKEN is set, but neither SLACK_APP_TOKEN nor SLACK_SIGNING_SECRET is; set the "
        "app token for Socket Mode, which needs no public address, or the signing secret for "
        "deliveries to /slack/events."
    ]


def _named_platforms_have_tokens(settings: Settings) -> list[str]:
    return [
        f"PARLEY_ADAPTERS names {name}, but {TOKENS[name]} is not set; set it."
        for name in settings.adapters
        if not settings.has_token(name) and not (name == "teams" and _is_private(settings))
    ]


def _is_private(settings: Settings) -> bool:
    """Whether only programs of this machine can deliver to Teams' webhook."""
    is_behind_proxy = settings.public_url is not None or bool(settings.trusted_proxies)
    return settings.is_on_loopback and not is_behind_proxy


def _strangers_need_a_key(settings: Settings) -> list[str]:
    ways_in = (settings.api_keys, settings.basic_auth, settings.trusted_proxies)
    if settings.is_on_loopback or any(ways_in):
        return []
    return [
        f"PARLEY_HOST is {settings.host}, which other machines can reach, but no key is set; "
        "set PARLEY_API_KEYS or PARLEY_BASIC_AUTH, or listen on 127.0.0.1."
    ]


def _a_thread_fits_the_pool(settings: Settings) -> list[str]:
    if settings.context <= settings.kv_tokens:
        return []
    return [
        f"PARLEY_CONTEXT is {settings.context}, more than the {settings.kv_tokens} of "
        "PARLEY_KV_TOKENS that all threads share; lower it, or raise PARLEY_KV_TOKENS."
    ]


def _access_rules_can_match(settings: Settings) -> list[str]:
    try:
        Access(
            allow=settings.allow,
            deny=settings.deny,
            admins=settings.admins,
            quotas=settings.quotas,
            clock=SystemClock(),
        )
    except SettingsError as error:
        return error.problems
    return []


RULES = (
    Rule(("slack",), _slack_can_deliver),
    Rule(
        ("adapters", "slack", "discord", "teams", "host", "public_url", "trusted_proxies"),
        _named_platforms_have_tokens,
    ),
    Rule(("host", "api_keys", "basic_auth", "trusted_proxies"), _strangers_need_a_key),
    Rule(("context", "kv_tokens"), _a_thread_fits_the_pool),
    Rule(("allow", "deny", "admins", "quotas"), _access_rules_can_match),
)


def broken_rules(settings: Settings, wrong: frozenset[str]) -> list[str]:
    """One sentence per broken rule; rules about a setting that is ``wrong`` itself are left out."""
    rules = [rule for rule in RULES if wrong.isdisjoint(rule.of)]
    return [problem for rule in rules for problem in rule.check(settings)]


def how_to_switch_on(settings: Settings, platform: str) -> str:
    if settings.adapters:
        return f"Add {platform} to PARLEY_ADAPTERS."
    needed = {"slack": " and SLACK_APP_TOKEN", "teams": " and TEAMS_APP_PASSWORD"}
    return f"Set {TOKENS[platform]}{needed.get(platform, '')}."


def not_in_this_version(settings: Settings) -> list[str]:
    """One sentence for each setting that this version cannot fulfil: start is refused."""
    problems = []
    if not settings.database_url.startswith("sqlite:///"):
        problems.append(
            "PARLEY_DATABASE_URL must begin with sqlite:///; no other database is in this version."
        )
    return problems


def without_effect(settings: Settings) -> list[str]:
    """One sentence for each setting that somebody gave and that has no effect."""
    notes = [*settings.notes]
    notes += [*_without_effect_on_the_engine(settings), *_of_platforms_without_token(settings)]
    if settings.draft_model and settings.speculation == "off" and not settings.is_remote:
        notes.append("PARLEY_DRAFT_MODEL has no effect: PARLEY_SPECULATION is off.")
    if settings.remote_key and not settings.remote_url:
        notes.append("PARLEY_REMOTE_KEY has no effect: PARLEY_REMOTE_URL is not set.")
    return notes


def inner_pages(settings: Settings) -> list[str]:
    """A sentence if pages of inner networks may be read."""
    if not settings.fetch_allow:
        return []
    hosts = ", ".join(settings.fetch_allow)
    return [f"PARLEY_FETCH_ALLOW lets whoever may have pages read see those of {hosts}."]


def _without_effect_on_the_engine(settings: Settings) -> list[str]:
    """Settings of model servers without servers, or of a model of our own beside servers."""
    given = settings.model_fields_set
    names = given & (LOCAL_ENGINE if settings.is_remote else REMOTE_ENGINE)
    if not names:
        return []
    why = "servers run the model" if settings.is_remote else "PARLEY_ENGINE_URL is not set"
    shown = ", ".join(settings.old_names.get(n, f"PARLEY_{n.upper()}") for n in sorted(names))
    return [f"{shown} {'has' if len(names) == 1 else 'have'} no effect: {why}."]


def _of_platforms_without_token(settings: Settings) -> list[str]:
    """Half of what a platform needs: it stays off, and whoever gave it expects it on."""
    notes = []
    for name, token in TOKENS.items():
        given = [f"{name}_{key}".upper() for key in settings.given_of(name)]
        if given and not settings.has_token(name) and name not in settings.adapters:
            has = "has" if len(given) == 1 else "have"
            notes.append(f"{', '.join(given)} {has} no effect: {token} is not set.")
    return notes

"""The manifest from which people create Parley's app, made of what the code uses.

A method that is called (``SCOPES``), an event that is read (``EVENTS``), a command and a shortcut
are a line each in their tables; nothing is written twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

import yaml

from adapters.slack.api.client import SCOPES
from adapters.slack.events import EVENTS
from adapters.slack.receivers.webhook import PATH
from bot.adapter_support.addresses import is_loopback, web_address
from bot.adapter_support.payloads import Json
from bot.errors import SettingsError

COMMANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "/parley": (
            "Ask Parley, or tell it what to do",
            "ask … | personality | stop | retry | continue | forget | status | listen | "
            "catch up | help",
        ),
    }
)
"""Slash command -> its description and its usage hint."""

SHORTCUTS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "parley.ask_about": (
            "Ask Parley about this",
            "Has Parley answer about a message, in its thread",
        )
    }
)
"""``callback_id`` of a shortcut in a message's menu -> its name and its description."""

_DESCRIPTION = "Answers with a language model that runs on your own machine"
_AGENT = "Ask Parley anything: it answers with a language model that runs on your own machine."

_PURPOSES = {
    "app_mentions:read": "questions in channels",
    "assistant:write": "Parley as an agent of Slack: suggested prompts, titles",
    "channels:history": "follow-ups and earlier messages in threads of public channels",
    "chat:write": "replies, and what Parley does meanwhile",
    "commands": "/parley, and the shortcut in the menu of a message",
    "files:read": "files attached to a question",
    "groups:history": "the same in private channels",
    "im:history": "direct messages",
    "im:write": "what was said in a channel, told in private where somebody asks to catch up",
    "mpim:history": "the same in group messages",
    "reactions:read": "the stop sign, and thumbs",
    "reactions:write": "eyes under a question that has to wait",
    "users:read": "names of the people who ask",
}
"""Scope -> what it is for, in the words of whoever allows it."""


def needed_scopes() -> dict[str, frozenset[str]]:
    """Scope of the bot token -> the methods and events that need it, by name."""
    uses: list[tuple[str, frozenset[str]]] = [*SCOPES.items(), *EVENTS.items()]
    uses += [(name, frozenset({"commands"})) for name in (*COMMANDS, *SHORTCUTS)]
    uses.append(("agent_view", frozenset({"assistant:write"})))
    scopes = sorted(frozenset[str]().union(*(needed for _, needed in uses)))
    return {scope: frozenset(name for name, needed in uses if scope in needed) for scope in scopes}


def purpose_of(scope: str) -> str:
    return _PURPOSES.get(scope) or ", ".join(sorted(needed_scopes()[scope]))


def webhook_address(url: str) -> str:
    """Where Slack delivers, of Parley's public address. Raises ``SettingsError``."""
    address = web_address(url, ("https",))
    if address is None or address.user or address.query_string or address.fragment:
        raise SettingsError(
            ["--http must be the address at which Slack reaches Parley, https://parley.example.com"]
        )
    if is_loopback(address.host or ""):
        raise SettingsError(
            [f"Slack cannot reach {address.host}; give --http a public address, or use --socket."]
        )
    return f"{url.rstrip('/').removesuffix(PATH)}{PATH}"


def manifest(http: str | None = None) -> Json:
    """For Socket Mode; or for deliveries to ``http``, the address of the webhook."""
    at = {"request_url": http} if http else {}
    return {
        "display_information": {
            "name": "Parley",
            "description": _DESCRIPTION,
            "background_color": "#1d3557",
        },
        "features": _features({"url": http} if http else {}),
        "oauth_config": {"scopes": {"bot": list(needed_scopes())}},
        "settings": {
            "event_subscriptions": {**at, "bot_events": sorted(EVENTS)},
            "interactivity": {"is_enabled": True, **at},
            "org_deploy_enabled": False,
            "socket_mode_enabled": http is None,
            "token_rotation_enabled": False,
        },
    }


def _features(at: Json) -> Json:
    return {
        "app_home": {
            "home_tab_enabled": True,
            "messages_tab_enabled": True,
            "messages_tab_read_only_enabled": False,
        },
        "bot_user": {"display_name": "parley", "always_online": True},
        "agent_view": {"agent_description": _AGENT},
        "shortcuts": [
            {"name": name, "type": "message", "callback_id": callback_id, "description": what}
            for callback_id, (name, what) in SHORTCUTS.items()
        ],
        "slash_commands": [
            {
                "command": command,
                **at,
                "description": what,
                "usage_hint": hint,
                "should_escape": False,
            }
            for command, (what, hint) in COMMANDS.items()
        ],
    }


def as_yaml(found: Json) -> str:
    """With what each scope is for beside it."""
    text = yaml.dump(found, Dumper=_Indented, sort_keys=False, allow_unicode=True, width=1_000)
    scopes = "|".join(map(re.escape, needed_scopes()))
    return re.sub(
        rf"^( +- )({scopes})$",
        lambda line: f"{line[0]} # {purpose_of(line[2])}",
        text,
        flags=re.MULTILINE,
    )


class _Indented(yaml.SafeDumper):
    """Lists stand further in than what they belong to, as Slack's own page writes them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

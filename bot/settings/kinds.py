"""Types of settings, parsed from text (environment) or TOML values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr, ValidationInfo

from bot.adapter_support.addresses import is_loopback
from bot.model_names import hub_model
from bot.ports import LOCAL_ACCOUNT
from bot.reading.addresses import host_and_port
from bot.web.keys import named_keys

PLATFORMS = ("slack", "discord", "teams")
WEBHOOKS = ("slack", "teams")
"""Platforms that deliver over HTTP, from outside."""

DEFAULT_STOP_REACTIONS: Mapping[str, tuple[str, ...]] = {
    "slack": ("octagonal_sign", "stop_sign", "no_entry", "x", "raised_hand", "hand"),
    "discord": ("🛑", "✋", "⏹️", "❌", "⛔"),
    "teams": ("angry", "1f6d1_*", "270b_*", "23f9_*", "274c_*", "26d4_*", "stop", "stopsign"),
}

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_ORIGIN = re.compile(r"(?!file:)[a-z][a-z0-9+.-]*://[^/?#@\s]+/?", re.IGNORECASE)
_OUR_HEADERS = ("authorization", "connection", "host", "transfer-encoding", "user-agent")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)


class Secret:
    """Marks a setting that may hold a secret though its type is not ``SecretStr``."""


def _words(value: object) -> object:
    """``"a, b"`` or ``["a", "b"]`` as ``("a", "b")``."""
    if isinstance(value, str):
        return tuple(word for part in re.split(r"[,\n]", value) if (word := part.strip()))
    if isinstance(value, list):
        return tuple(value)
    return value


def _size(value: object) -> object:
    if not isinstance(value, str):
        return value
    found = _SIZE.fullmatch(value.strip())
    if found is None:
        raise ValueError("it must be a number of bytes such as 500M or 2G")
    return int(float(found[1]) * _UNITS[found[2].lower()])


def _platforms(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if value not in PLATFORMS:
            raise ValueError(f"{value!r} is no chat platform; known are {', '.join(PLATFORMS)}")
    return tuple(dict.fromkeys(values))


def _origins(values: tuple[str, ...]) -> tuple[str, ...]:
    """Of websites, and of what browsers give pages of apps, extensions and files."""
    for value in values:
        if not (value.lower() in ("null", "file://") or _ORIGIN.fullmatch(value)):
            raise ValueError(f"{value!r} is no origin such as https://chat.example.com")
    return tuple(value if value.endswith("//") else value.removesuffix("/") for value in values)


def _public(value: str) -> str:
    url = urlsplit(value)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError("it must be an address such as https://parley.example.com")
    if url.username or url.password or url.path.strip("/") or url.query or url.fragment:
        raise ValueError("it must hold no user name, password, path, ? or #")
    return value.rstrip("/")


def _networks(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        try:
            network = ip_network(value)
        except ValueError:
            raise ValueError(
                f"{value!r} is no address or network such as 10.1.2.3 or 10.1.0.0/16"
            ) from None
        if network.prefixlen == 0:
            raise ValueError(f"{value!r} is everybody, and anybody could claim to be anybody")
    return values


def _inner_hosts(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        host_and_port(value)
    return values


def _endpoint(value: str) -> str:
    """An address that secrets are sent to: encrypted, or on this machine."""
    url = urlsplit(value)
    secure, plain = ("wss", "ws") if url.scheme in ("ws", "wss") else ("https", "http")
    if url.scheme not in (secure, plain) or not url.hostname:
        raise ValueError("it must be an address that begins with http:// or https://")
    if url.username or url.password:
        raise ValueError("it must not contain a user name or a password")
    if url.scheme == plain and not is_loopback(url.hostname):
        raise ValueError(f"it must begin with {secure}:// unless the server is on this machine")
    return value


def _model_servers(values: tuple[str, ...]) -> tuple[str, ...]:
    """Without the encryption that platforms need: model servers are often in a private network."""
    for value in values:
        url = urlsplit(value)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError(f"{value!r} is no address such as http://127.0.0.1:8080/v1")
        if url.username or url.password or url.query or url.fragment:
            raise ValueError("an address must hold no user name, password, ? or #")
    return tuple(dict.fromkeys(values))


def _header(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]*", value.get_secret_value()):
        raise ValueError("a key holds no blanks, line ends or letters beyond ASCII")
    return value


def _header_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]*", value):
        raise ValueError("it is no name of a header, such as x-user-id")
    if value.lower() in _OUR_HEADERS or value.lower().startswith(("content-", "accept")):
        raise ValueError("Parley's requests have this header already; name another")
    return value


def _api_keys(value: object) -> object:
    """``"ci:s3cret, other"`` as ``{"ci": "s3cret", "key-1a2b3c": "other"}``."""
    words = _words(value)
    if not isinstance(words, tuple):
        return words
    keys = named_keys(map(str, words))
    if len(keys) < len(words):
        raise ValueError("two keys have the same name")
    return keys


def _passwords(value: object) -> object:
    words = _words(value)
    if not isinstance(words, tuple):
        return words
    pairs = [str(word).partition(":") for word in words]
    if not all(user and password for user, _, password in pairs):
        raise ValueError("each entry must be written as user:password")
    return {user: password for user, _, password in pairs}


def _aliases(value: object) -> object:
    """``"gpt-4o=assistant, *=default"`` as a dictionary."""
    words = _words(value)
    if not isinstance(words, tuple):
        return words
    pairs = [[part.strip() for part in str(word).split("=", 1)] for word in words]
    if not all(len(pair) == 2 and all(pair) for pair in pairs):
        raise ValueError("each entry must be written as name=model, such as gpt-4o=assistant")
    aliases: dict[str, str] = dict(pairs)
    if len(aliases) < len(pairs):
        raise ValueError("two entries have the same name")
    return aliases


def _accounts(secrets: dict[str, SecretStr]) -> dict[str, SecretStr]:
    """Names that a caller has for no other reason; those of ``SIGNED_IN`` have a colon."""
    if LOCAL_ACCOUNT in secrets:
        raise ValueError(f"{LOCAL_ACCOUNT} is the name of this machine's own programs; use another")
    if any(":" in name for name in secrets):
        raise ValueError("a name must have no colon")
    return secrets


def _reactions(value: object) -> object:
    """A list applies to every platform; a table only changes the platforms it names."""
    if isinstance(value, dict):
        given = {platform: _words(names) for platform, names in value.items()}
        _platforms(tuple(given))
        return {**DEFAULT_STOP_REACTIONS, **given}
    names = _words(value)
    return dict.fromkeys(PLATFORMS, names) if isinstance(names, tuple) else names


_TOKENS = {"xoxb-": "a bot token", "xapp-": "an app token", "xoxp-": "a user token"}


def _token(prefix: str) -> AfterValidator:
    def check(value: SecretStr) -> SecretStr:
        token = value.get_secret_value()
        if not token.startswith(prefix):
            given = next((kind for each, kind in _TOKENS.items() if token.startswith(each)), "")
            raise ValueError(f"it must begin with {prefix}" + f"; this is {given}" * bool(given))
        return value

    return AfterValidator(check)


def _anchored(path: Path, info: ValidationInfo) -> Path:
    """Relative paths count from the folder that Parley was started in."""
    folder: Path = (info.context or {}).get("folder", Path())
    try:
        return anchored(path, folder)
    except RuntimeError:
        raise ValueError("nobody's home is known for its ~; write the whole path") from None
    except OSError as error:
        raise ValueError(f"no file can have this path ({error.strerror})") from None


def anchored(path: Path, folder: Path) -> Path:
    """Raises ``RuntimeError`` for a ``~`` without a home, ``OSError`` where no file can be."""
    whole = folder / path.expanduser()
    whole.exists()
    return whole


def _model(value: str, info: ValidationInfo) -> str:
    """A name such as ``smollm2`` or ``hf:…`` as it is; a path anchored like any other."""
    try:
        is_on_hub = hub_model(value) is not None
    except ValueError as error:
        raise ValueError(f"it {error}") from None
    is_path = value.endswith(".gguf") or "/" in value
    if is_on_hub or not is_path:
        return value
    return str(_anchored(Path(value), info))


Words = Annotated[tuple[str, ...], BeforeValidator(_words)]
Platforms = Annotated[Words, AfterValidator(_platforms)]
InnerHosts = Annotated[Words, AfterValidator(_inner_hosts)]
Networks = Annotated[Words, AfterValidator(_networks)]
Origins = Annotated[Words, AfterValidator(_origins)]
StopReactions = Annotated[dict[str, tuple[str, ...]], BeforeValidator(_reactions)]
Size = Annotated[int, BeforeValidator(_size)]
PublicUrl = Annotated[str, AfterValidator(_public)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]
ModelServers = Annotated[Words, AfterValidator(_model_servers)]
HeaderName = Annotated[str, AfterValidator(_header_name)]
HeaderKey = Annotated[SecretStr, AfterValidator(_header)]
ModelName = Annotated[str, AfterValidator(_model)]
Folder = Annotated[Path, AfterValidator(_anchored)]
AnyCase = BeforeValidator(lambda v: v.lower() if isinstance(v, str) else v)
NamedKeys = Annotated[dict[str, SecretStr], BeforeValidator(_api_keys), AfterValidator(_accounts)]
ModelAliases = Annotated[dict[str, str], BeforeValidator(_aliases)]
Passwords = Annotated[dict[str, SecretStr], BeforeValidator(_passwords), AfterValidator(_accounts)]
BotToken = Annotated[SecretStr, _token("xoxb-")]
AppToken = Annotated[SecretStr, _token("xapp-")]

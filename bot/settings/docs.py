"""What the README's table and ``deploy/env.example`` say about settings."""

from __future__ import annotations

from pydantic.fields import FieldInfo

from bot.settings.sources import FIELDS, SECRETS, Key

_HEAD = """\
# Parley's settings, each with its default. Copy this file to .env (Docker Compose) or to
# /etc/parley/env (systemd) and take away the # before what you set.
# A secret may come from a file instead: NAME_FILE=/run/secrets/name.
"""


def _shown_default(info: FieldInfo) -> str:
    extra = info.json_schema_extra
    if isinstance(extra, dict) and "shown" in extra:
        return str(extra["shown"])
    default = info.default
    if default is None or default in ((), {}):
        return ""
    return str(default).lower() if isinstance(default, bool) else str(default)


def settings_table() -> str:
    """A Markdown table of every setting, for the README."""
    rows = ["| Setting | Default | Meaning |", "|---|---|---|"]
    for key, info in FIELDS.items():
        default = _shown_default(info)
        shown = f"`{default}`" if default else ""
        rows.append(f"| `{key.env}` | {shown} | {info.description} |")
    return "\n".join(rows) + "\n"


def _example_lines(key: Key, info: FieldInfo) -> list[str]:
    meaning = f"{info.description}{' Secret.' if key in SECRETS else ''}".replace("`", "")
    return [f"# {meaning}", f"#{key.env}={_shown_default(info)}", ""]


def env_example() -> str:
    """The text of ``deploy/env.example``."""
    lines = [line for key, info in FIELDS.items() for line in _example_lines(key, info)]
    return "\n".join([_HEAD, *lines]).rstrip() + "\n"

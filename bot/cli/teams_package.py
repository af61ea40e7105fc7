"""The app package that an admin uploads to Teams: manifest and icons in a zip."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from uuid import UUID

from bot.errors import SettingsError, StartError

_TEMPLATE = Path(__file__).parents[2] / "deploy" / "teams"
_ICONS = ("color.png", "outline.png")
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}", re.IGNORECASE)
_MADE_AT = (2026, 1, 1, 0, 0, 0)
"""The date of every file in the package, so that the same settings give the same bytes."""


def write_package(path: Path, *, app_id: str, domain: str) -> None:
    """Raises ``SettingsError`` for values no manifest can hold, ``StartError`` for a full disk."""
    if problems := [*_wrong_app_id(app_id), *_wrong_domain(domain)]:
        raise SettingsError(problems)
    manifest = (_TEMPLATE / "manifest.json").read_text(encoding="utf-8")
    for name, value in (("app_id", app_id.lower()), ("domain", domain.lower())):
        manifest = manifest.replace(f"{{{{{name}}}}}", value)
    try:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
            _add(package, "manifest.json", manifest.encode())
            for icon in _ICONS:
                _add(package, icon, (_TEMPLATE / icon).read_bytes())
    except OSError as error:
        raise StartError(f"{path} cannot be written: {error.strerror}.") from error


def _add(package: zipfile.ZipFile, name: str, content: bytes) -> None:
    package.writestr(zipfile.ZipInfo(name, _MADE_AT), content, zipfile.ZIP_DEFLATED)


def _wrong_app_id(app_id: str) -> list[str]:
    if not app_id:
        return ["TEAMS_APP_ID is not set: set it, or give --app-id."]
    try:
        UUID(app_id)
    except ValueError:
        return [
            "The app id must look like 00000000-0000-0000-0000-000000000000; "
            "copy it from the bot's page."
        ]
    return []


def _wrong_domain(domain: str) -> list[str]:
    if _DOMAIN.fullmatch(domain):
        return []
    return ["--domain must be the name Teams reaches Parley under, such as parley.example.com."]

"""``doctor``: one line for each thing Parley needs, and what to do where it is wrong."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path

from bot.cli.checks import (
    Check,
    check_data,
    check_database,
    check_draft,
    check_engine,
    check_facts,
    check_model,
    check_parked,
    check_personalities,
    check_port,
    check_trial,
    check_tuning,
)
from bot.cli.server_checks import check_servers
from bot.config import (
    PLATFORMS,
    Settings,
    given_names,
    how_to_switch_on,
    inner_pages,
    load_settings,
    not_in_this_version,
    without_effect,
)
from bot.errors import SettingsError

OWN_MODEL_CHECKS = (check_model, check_engine)
MACHINE_CHECKS = (
    check_data,
    check_parked,
    check_database,
    check_personalities,
    check_facts,
    check_port,
)


def examine(environ: Mapping[str, str], folder: Path) -> list[Check]:
    """All checks; if settings are wrong, only these, since nothing else can be trusted then."""
    try:
        settings = load_settings(environ, folder)
    except SettingsError as error:
        return [Check("settings", "fail", problem) for problem in error.problems]
    checks = check_settings(settings)
    checks += check_servers(settings) if settings.is_remote else _own_model(settings)
    checks += [check(settings) for check in MACHINE_CHECKS]
    return [*checks, check_keys(settings), *check_platforms(settings)]


def _own_model(settings: Settings) -> list[Check]:
    """If the model's trial crashes, llama.cpp is not used in this process: it could crash here."""
    trial = check_trial(settings)
    if trial and trial.status == "fail":
        return [trial]
    checks = [check(settings) for check in OWN_MODEL_CHECKS]
    if source := settings.draft_source:
        checks.append(check_draft(settings, source))
    if trial is None:
        return checks
    return [*checks, trial, *([check_tuning(settings)] if trial.status == "ok" else [])]


def check_settings(settings: Settings) -> list[Check]:
    names = ", ".join(given_names(settings)) or "none, all defaults"
    return [
        Check("settings", "ok", f"set: {names}"),
        *(Check("settings", "fail", problem) for problem in not_in_this_version(settings)),
        *(Check("settings", "warn", note) for note in without_effect(settings)),
        *(Check("settings", "ok", note) for note in inner_pages(settings)),
    ]


def check_keys(settings: Settings) -> Check:
    num_keys = len(settings.api_keys) + len(settings.basic_auth)
    if num_keys:
        return Check("keys", "ok", f"{num_keys} for the HTTP APIs")
    if settings.trusted_proxies:
        return Check("keys", "ok", "none: people sign in at one of PARLEY_TRUSTED_PROXIES")
    if settings.is_public:
        detail = "none, so the HTTP APIs and /metrics are closed to everybody but `ask`"
        return Check("keys", "off", detail, "Set PARLEY_API_KEYS to use them.")
    return Check("keys", "ok", "none, which is fine: only this machine can reach the HTTP APIs")


def check_platforms(settings: Settings) -> list[Check]:
    """An adapter package with ``examine`` checks itself; the others are checked here."""
    checks = []
    for platform in PLATFORMS:
        is_on = platform in settings.platforms
        module = importlib.import_module(f"adapters.{platform}") if is_on else None
        if (examine := getattr(module, "examine", None)) is not None:
            checks += [Check(platform, *found) for found in examine(settings.platform(platform))]
        else:
            checks.append(check_platform(settings, platform))
    return checks


def check_platform(settings: Settings, platform: str) -> Check:
    if platform not in settings.platforms:
        return Check(platform, "off", "not set up", how_to_switch_on(settings, platform))
    return Check(platform, "ok", "is set up")


def report(checks: list[Check]) -> str:
    """The lines for the terminal."""
    width = max(len(check.name) for check in checks)
    return "\n".join(_line(check, width) for check in checks)


def _line(check: Check, width: int) -> str:
    lines = "\n".join(filter(None, (check.detail, check.advice))).split("\n")
    return f"{check.status:<5}{check.name:<{width}}  " + f"\n{'':{width + 7}}".join(lines)

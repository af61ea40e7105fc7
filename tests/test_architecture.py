"""Who may import whom: the sources are parsed, and a module without a row fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.shape.sources import modules

# Modules (with everything in them) by what they are about; one group per line of the house.
GROUPS: dict[str, tuple[str, ...]] = {
    "version": ("bot",),
    "types": ("bot.types",),
    "errors": ("bot.errors",),
    "ports": ("bot.ports",),
    "metrics": ("bot.metrics",),
    "clock": ("bot.clock",),
    "lock": ("bot.lock",),
    "tasks": ("bot.tasks",),
    "fair queue": ("bot.fair_queue",),
    "history": ("bot.history",),
    "engine core": ("bot.inference.core",),
    "engine output": ("bot.inference.output",),
    "engine grammar": ("bot.inference.grammar",),
    "model files: gguf": ("bot.inference.gguf",),
    "engine chat template": ("bot.inference.chat_template",),
    "engine llama": ("bot.inference.llama",),
    "engine kv cache": ("bot.inference.kv_cache",),
    "engine state store": ("bot.inference.state_store",),
    "engine scheduling": ("bot.inference.scheduling",),
    "engine loop": ("bot.inference.engine",),
    "engine remote": ("bot.inference.remote",),
    "model files": ("bot.inference.model_files",),
    "several models": ("bot.inference.multi_model",),
    "inference": ("bot.inference",),
    "delivery": ("bot.reply", "bot.pacing", "bot.markup", "bot.delivery"),
    "personalities": ("bot.personality", "bot.front_matter"),
    "access": ("bot.access",),
    "adapter_support": ("bot.adapter_support",),
    "attachments": ("bot.attachments",),
    "prompt": ("bot.prompt",),
    "conversation": ("bot.conversation", "bot.turns"),
    "server": ("bot.server", "bot.web"),
    "settings": ("bot.config", "bot.settings"),
    "app": ("bot.app", "bot.running"),
    "command line": ("bot.__main__", "bot.cli"),
    "adapters": ("adapters",),
}
PORTS = {"types", "errors", "ports"}

# What a group may import beside itself.
MAY_IMPORT: dict[str, set[str]] = {
    "version": set(),
    "types": set(),
    "errors": set(),
    "ports": {"types", "errors"},
    "metrics": set(),
    "clock": set(),
    "lock": {"errors"},
    "tasks": {"ports"},
    "fair queue": set(),
    "history": PORTS,
    "engine core": {"types", "errors"},
    "engine output": {"types", "engine core"},
    "engine grammar": {"types", "errors", "engine core"},
    "model files: gguf": {"types", "errors"},
    "engine chat template": {"types", "errors", "engine core", "engine output"},
    "engine llama": {
        "types",
        "errors",
        "engine core",
        "engine output",
        "engine grammar",
        "engine chat template",
        "model files: gguf",
    },
    "engine kv cache": {"types", "errors", "engine core"},
    "engine state store": {"types", "errors", "engine core"},
    "engine scheduling": {"types", "errors", "fair queue", "engine core", "engine kv cache"},
    "engine loop": {
        "types",
        "errors",
        "metrics",
        "engine core",
        "engine output",
        "engine kv cache",
        "engine state store",
        "engine scheduling",
        "engine chat template",
        "engine grammar",
    },
    "engine remote": {
        "types",
        "errors",
        "metrics",
        "fair queue",
        "engine core",
        "engine output",
        "engine loop",
    },
    "model files": {"types", "errors", "engine core", "engine llama", "model files: gguf"},
    "several models": {
        "types",
        "errors",
        "metrics",
        "engine core",
        "engine state store",
        "engine loop",
        "model files: gguf",
        "engine kv cache",
    },
    "inference": {
        "types",
        "errors",
        "metrics",
        "engine core",
        "engine output",
        "engine grammar",
        "model files: gguf",
        "engine chat template",
        "engine llama",
        "engine kv cache",
        "engine state store",
        "engine scheduling",
        "engine loop",
        "engine remote",
        "model files",
        "several models",
    },
    "delivery": PORTS | {"tasks"},
    "personalities": {"types", "errors"},
    "access": PORTS,
    "adapter_support": PORTS,
    "attachments": PORTS,
    "prompt": PORTS,
    "conversation": PORTS
    | {"metrics", "tasks", "delivery", "personalities", "access", "attachments", "prompt"}
    | {"fair queue"},
    "server": PORTS | {"metrics", "adapter_support"},
    "settings": PORTS | {"access", "clock", "server", "adapter_support"},
    "app": set(GROUPS) - {"command line"},
    "command line": set(GROUPS),
    "adapters": PORTS | {"adapter_support"},
}

# Packages that only one place may know.
OWNERS = {
    "llama_cpp": "bot.inference.llama",
    "sqlalchemy": "bot.history",
    "alembic": "bot.history",
    "jinja2": "bot.inference",
    "markdown_it": "bot.adapter_support",
    "botbuilder": "adapters.teams.connector",
    "botframework": "adapters.teams.connector",
    "msrest": "adapters.teams.connector",
    "jwt": "adapters.teams.auth",
    "pypdf": "bot.attachments",
    "discord": "adapters.discord",
    "slack_bolt": "adapters.slack",
    "slack_sdk": "adapters.slack",
    "typer": "bot.__main__",
}


MODULES = modules()


def is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def group_of(module: str) -> str | None:
    for group, members in GROUPS.items():
        if any(
            module == member or (member != "bot" and is_in(module, member)) for member in members
        ):
            return group
    return None


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_a_row_and_imports_only_what_its_row_allows(module: str) -> None:
    group = group_of(module)
    assert group, f"{module} stands in no group of {Path(__file__).name}; add it where it belongs"
    allowed = MAY_IMPORT[group] | {group}
    wrong = [name for name in MODULES[module].our_imports if group_of(name) not in allowed]
    assert not wrong, f"{module} ({group}) may not import {', '.join(wrong)}"


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("adapters.")])
def test_an_adapter_imports_no_other_adapter(module: str) -> None:
    own = ".".join(module.split(".")[:2])
    others = [n for n in MODULES[module].our_imports if is_in(n, "adapters") and not is_in(n, own)]
    assert not others, f"{module} imports another adapter: {', '.join(others)}"


@pytest.mark.parametrize("module", MODULES)
def test_a_package_with_an_owner_is_imported_nowhere_else(module: str) -> None:
    for name in MODULES[module].imports:
        owner = OWNERS.get(name.split(".")[0])
        assert owner is None or is_in(module, owner), f"only {owner} may import {name}"


@pytest.mark.parametrize("module", MODULES)
def test_bot_never_imports_an_adapter_by_name(module: str) -> None:
    if is_in(module, "bot") and module != "bot.app":
        assert not [name for name in MODULES[module].imports if is_in(name, "adapters")]


def test_every_group_has_a_row_and_names_modules_that_exist() -> None:
    assert GROUPS.keys() == MAY_IMPORT.keys()
    gone = {member for members in GROUPS.values() for member in members} - MODULES.keys()
    assert not gone, f"take what is gone out of GROUPS: {', '.join(sorted(gone))}"

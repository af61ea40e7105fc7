"""The house: rooms on floors, and who may import whom. The sources are parsed.

Each line below is a room: its modules, and the rooms that it may import. Floors lie one above
the other, and a room imports only from floors below its own, so there are no circles.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.shape import sources
from tests.shape.sources import is_in, modules


@dataclass(frozen=True)
class Room:
    """``members``: modules and packages, with everything in them that has no room of its own."""

    members: tuple[str, ...]
    may_import: frozenset[str] = frozenset()


def room(*members: str, may: str = "") -> Room:
    return Room(members, frozenset(may.split()))


PORTS = "types errors ports"
ENGINE = "bot.inference"

FLOORS: tuple[dict[str, Room], ...] = (
    {
        "version": room("bot"),
        "types": room(
            *("bot.types", "bot.limits", "bot.generation", "bot.answer_formats", "bot.source"),
        ),
        "errors": room("bot.errors"),
        "metrics": room("bot.metrics"),
        "clock": room("bot.clock"),
        "formulas": room("bot.formulas"),
        "model_names": room("bot.model_names"),
        "fair_queue": room("bot.fair_queue"),
        "yaml_text": room("bot.yaml_text"),
    },
    {
        "markdown": room("bot.markdown", may="types formulas"),
        "lock": room("bot.lock", may="errors"),
        "sampling": room("bot.sampling", may="types"),
        "stream": room("bot.stream", may="types errors"),
        "core": room(f"{ENGINE}.core", ENGINE, may="types"),
        "gguf": room(f"{ENGINE}.gguf", may="errors"),
    },
    {
        "ports": room(
            *(
                "bot.ports",
                "bot.stored",
                "bot.stores",
                "bot.capabilities",
                "bot.chats",
                "bot.overview",
            ),
            may="types markdown",
        ),
        "personalities": room(
            "bot.personality",
            "bot.front_matter",
            may="types errors sampling model_names yaml_text",
        ),
        "hub": room(f"{ENGINE}.hub", may="version errors model_names gguf"),
    },
    {
        "tasks": room("bot.tasks", may="ports"),
        "history": room("bot.history", may=PORTS),
        "access": room("bot.access", may=PORTS),
        "adapter_support": room("bot.adapter_support", may=f"{PORTS} markdown"),
        "documents": room("bot.documents"),
        "prompt": room("bot.prompt", "bot.citations", "bot.quoted_answers", may=PORTS),
        "output": room(f"{ENGINE}.output", may="types core"),
        "grammar": room(f"{ENGINE}.grammar", may="types errors core"),
        "kv_cache": room(f"{ENGINE}.kv_cache", may="core"),
        "state_store": room(f"{ENGINE}.state_store", may="core"),
    },
    {
        "strategies": room("bot.strategies", may=f"{PORTS} markdown metrics prompt stream"),
        "attachments": room("bot.attachments", may=f"{PORTS} documents prompt"),
        "reading": room("bot.reading", may="errors ports version metrics documents"),
        "facts": room("bot.facts", may="types errors metrics documents"),
        "evaluation": room("bot.evaluation", may="types errors yaml_text tasks"),
        "usage": room("bot.usage", may=f"{PORTS} metrics tasks"),
        "delivery": room("bot.reply", "bot.pacing", "bot.delivery", may=f"{PORTS} markdown"),
        "server": room("bot.server", "bot.web", may="errors ports metrics adapter_support"),
        "chat_template": room(f"{ENGINE}.chat_template", may="types errors core output"),
        "scheduling": room(f"{ENGINE}.scheduling", may="types errors fair_queue core kv_cache"),
    },
    {
        "grounding": room("bot.grounding", may=f"{PORTS} metrics markdown prompt reading"),
    },
    {
        "adapters": room("adapters", may=f"{PORTS} markdown formulas sampling adapter_support"),
        "settings": room(
            "bot.config",
            "bot.settings",
            may="errors ports access clock server adapter_support model_names reading",
        ),
        "turns": room(
            "bot.chat",
            "bot.conversation",
            "bot.sessions",
            "bot.turns",
            may=f"{PORTS} metrics markdown fair_queue tasks usage delivery personalities access "
            "attachments prompt strategies stream grounding",
        ),
        "llama": room(f"{ENGINE}.llama", may="types errors core gguf output grammar chat_template"),
        "engine": room(
            f"{ENGINE}.engine",
            may="types errors metrics stream core output grammar kv_cache state_store scheduling",
        ),
    },
    {
        "model_files": room(
            f"{ENGINE}.model_files", may="types errors core gguf hub llama model_names"
        ),
        "multi_model": room(
            f"{ENGINE}.multi_model", may="types errors metrics stream core state_store engine"
        ),
        "remote": room(
            f"{ENGINE}.remote", may="types errors metrics stream fair_queue output engine"
        ),
    },
    {
        "running": room(
            "bot.running",
            may=f"{PORTS} version metrics clock tasks access server personalities facts reading "
            "grounding prompt settings turns core gguf hub model_names strategies state_store "
            "llama engine model_files multi_model remote",
        ),
    },
    {
        "app": room(
            "bot.app",
            may="errors ports metrics clock lock personalities history adapter_support attachments "
            "prompt facts strategies reading grounding server adapters settings turns running",
        ),
    },
    {
        "command line": room(
            "bot.__main__",
            "bot.cli",
            may="version types errors ports metrics clock lock personalities facts gguf history "
            "evaluation adapter_support attachments prompt markdown formulas settings hub "
            "state_store turns llama model_files model_names remote running app",
        ),
    },
)

ROOMS = {name: found for floor in FLOORS for name, found in floor.items()}
FLOOR_OF = {name: number for number, floor in enumerate(FLOORS) for name in floor}
MODULES = modules()

PURE = ("kv_cache", "scheduling")
PURE_IMPORTS = {
    "abc",
    "__future__",
    "bisect",
    "bot",
    "collections",
    "dataclasses",
    "enum",
    "itertools",
    "math",
    "operator",
    "typing",
}
"""No clock, no I/O, no thread, no model: these rooms decide by their arguments alone."""

# Packages that only one place may know.
OWNERS = {
    "llama_cpp": f"{ENGINE}.llama",
    "sqlalchemy": "bot.history",
    "alembic": "bot.history",
    "jinja2": f"{ENGINE}.chat_template",
    "pylatexenc": "bot.formulas",
    "prompt_toolkit": "bot.cli.chat",
    "wcwidth": "bot.markdown",
    "markdown_it": "bot.markdown",
    "botbuilder": "adapters.teams.connector",
    "botframework": "adapters.teams.connector",
    "msrest": "adapters.teams.connector",
    "jwt": "adapters.teams",
    "charset_normalizer": "bot.documents",
    "pypdf": "bot.documents",
    "mammoth": "bot.documents",
    "lxml": "bot.documents",
    "trafilatura": "bot.documents",
    "feedparser": "bot.documents",
    "protego": "bot.reading",
    "huggingface_hub": f"{ENGINE}.hub",
    "httpx2": f"{ENGINE}.hub",
    "discord": "adapters.discord",
    "slack_bolt": "adapters.slack.receivers",
    "slack_sdk": "adapters.slack",
    "nh3": "adapters.web.markup",
    "pygments": "adapters.web.markup",
    "latex2mathml": "adapters.web.markup",
    "typer": "bot.cli.commands",
    "pydantic_evals": "bot.evaluation.run",
    "jsonschema": "bot.evaluation",
}


def room_of(module: str) -> str | None:
    """The room with the member that names most of the module's path; ``bot`` is only itself."""
    found = (
        (len(member), name)
        for name, each in ROOMS.items()
        for member in each.members
        if module == member or (member not in ("bot", ENGINE) and is_in(module, member))
    )
    return max(found, default=(0, None))[1]


def arrows() -> set[tuple[str | None, str | None]]:
    """(who imports, what is imported) between rooms, as the sources have it."""
    pairs = ((room_of(m.name), room_of(name)) for m in MODULES.values() for name in m.our_imports)
    return {(one, other) for one, other in pairs if one != other}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_a_room_and_imports_only_what_its_room_may(module: str) -> None:
    name = room_of(module)
    assert name, f"{module} stands in no room; give it one in FLOORS"
    allowed = ROOMS[name].may_import | {name}
    wrong = [n for n in MODULES[module].our_imports if room_of(n) not in allowed]
    assert not wrong, f"{module} ({name}) may not import {', '.join(wrong)}"


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_imports_only_from_floors_below_its_own(name: str) -> None:
    upward = [n for n in ROOMS[name].may_import if FLOOR_OF[n] >= FLOOR_OF[name]]
    assert not upward, f"{name} may not stand below or beside {', '.join(sorted(upward))}"


def test_no_row_allows_what_nobody_imports() -> None:
    allowed = {(name, other) for name, each in ROOMS.items() for other in each.may_import}
    assert allowed - arrows() == set()


def test_no_folder_stands_in_a_circle() -> None:
    assert sources.circles() == set()


@pytest.mark.parametrize("module", [m for m in MODULES if room_of(m) in PURE])
def test_scheduling_and_the_kv_cache_are_pure(module: str) -> None:
    packages = {name.split(".")[0] for name in MODULES[module].imports}
    assert packages <= PURE_IMPORTS, f"{module} imports {', '.join(packages - PURE_IMPORTS)}"


def test_every_public_class_name_has_one_meaning() -> None:
    assert sources.defined_twice() == {}


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("adapters.")])
def test_an_adapter_imports_no_other_adapter(module: str) -> None:
    own = ".".join(module.split(".")[:2])
    ours = MODULES[module].our_imports
    others = [n for n in ours if is_in(n, "adapters") and not is_in(n, own)]
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


def test_every_member_of_a_room_exists() -> None:
    gone = {member for each in ROOMS.values() for member in each.members} - MODULES.keys()
    assert not gone, f"take what is gone out of FLOORS: {', '.join(sorted(gone))}"

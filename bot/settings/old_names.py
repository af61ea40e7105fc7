"""Names in the environment that the programs before Parley read. A new name always wins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from os.path import isfile
from pathlib import Path

from bot.settings.kinds import anchored
from bot.settings.sources import Given, Key
from bot.settings.tables import Settings

_DIR = "CPAI_MODULE_LLAMA_MODEL_DIR"
_FILENAME = "CPAI_MODULE_LLAMA_MODEL_FILENAME"
_REPO = "CPAI_MODULE_LLAMA_MODEL_REPO"
_FILEGLOB = "CPAI_MODULE_LLAMA_MODEL_FILEGLOB"
_FILE, _HUB_REPO, _HUB_FILE = "LLM_MODEL_FILE", "LLM_HUGGINGFACE_REPO", "LLM_HUGGINGFACE_FILE"

_SAME = {
    "CPAI_PORT": "port",
    _DIR: "model_dir",
    "LLM_GPU_LAYERS": "gpu_layers",
    "LLM_CONTEXT_WINDOW": "context",
    "LLM_CPU_THREADS": "cpu_threads",
}
"""Old name -> the setting that means the same."""

_MODEL = {
    _FILE: "the file, before all other names",
    _HUB_REPO: "of the hub, unless a file in `PARLEY_MODEL_DIR` fits the next name",
    _HUB_FILE: "which file of `LLM_HUGGINGFACE_REPO`",
    _FILENAME: "the file, in the folder or here",
    _REPO: "of the hub, unless a file in the folder fits the next name",
    _FILEGLOB: "which file of the repository",
}
"""Old names of which one becomes ``PARLEY_MODEL``, and how each counts."""

_NOTHING = {
    "LLM_RAG_*": "PARLEY_READ_PAGES and the sources of a personality say what is read",
    "LLM_FLASH_ATTENTION": "Parley uses it where it is faster",
}
"""Old names without a counterpart, and why."""


@dataclass(slots=True)
class OldNames:
    """``values``: what they set. ``used``: setting -> the old name. ``notes``: sentences."""

    values: dict[Key, Given] = field(default_factory=dict)
    used: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def from_old_names(environ: Mapping[str, str], folder: Path, new: Mapping[Key, Given]) -> OldNames:
    """``new``: what is set under today's names. An empty variable counts as not set."""
    old = OldNames()
    given = {name: value.strip() for name, value in environ.items() if value.strip()}
    for name, setting, value in _asked(given, folder, new):
        key = Key("", setting)
        if (winner := new.get(key) or old.values.get(key)) is None:
            old.values[key] = Given(value, f"{name} in the environment")
            old.used[setting] = name
        elif str(winner.value) != value:
            old.notes.append(f"{name} has no effect: {winner.label} says otherwise.")
    old.notes += _without_counterpart(given)
    return old


def _asked(
    given: Mapping[str, str], folder: Path, new: Mapping[Key, Given]
) -> Iterator[tuple[str, str, str]]:
    """Old name, setting and value; the name that comes first wins."""
    for name, setting in _SAME.items():
        if name in given:
            yield name, setting, given[name]
    chosen = new.get(Key("", "model_dir"))
    default = Settings.model_fields["model_dir"].default
    models = _folder(Path(str(chosen.value if chosen else given.get(_DIR, default))), folder)
    if _FILE in given:
        yield _FILE, "model", given[_FILE]
    elif _HUB_REPO in given:
        yield _HUB_REPO, "model", _found(models, given[_HUB_REPO], given.get(_HUB_FILE))
    file = given.get(_FILENAME)
    if file and isfile(models / file):
        yield _FILENAME, "model", str(models / file)
    elif file and (_REPO not in given or isfile(folder / file)):
        yield _FILENAME, "model", file
    elif _REPO in given:
        yield _REPO, "model", _found(models, given[_REPO], given.get(_FILEGLOB))


def _folder(path: Path, start: Path) -> Path:
    """Of a path that nothing can have the setting's own check tells."""
    try:
        return anchored(path, start)
    except (OSError, RuntimeError):
        return start


def _found(models: Path, repository: str, glob: str | None) -> str:
    """A file that is there, or the name for the hub's, whose ``@`` the old settings wrote."""
    if glob:
        for path in sorted(models.glob("*.gguf")):
            if fnmatch(path.name, glob):
                return str(path)
    return ":".join(["hf", repository.lstrip("@"), *([glob] if glob else [])])


def _without_counterpart(given: Mapping[str, str]) -> Iterator[str]:
    for pattern, why in _NOTHING.items():
        if names := sorted(name for name in given if fnmatch(name, pattern)):
            have = "has" if len(names) == 1 else "have"
            yield f"{', '.join(names)} {have} no effect: {why}."


def old_names_table() -> str:
    """A Markdown table, for deploy/settings.md."""
    rows = ["| Old name | Read as |", "|---|---|"]
    rows += [f"| `{name}` | `PARLEY_{setting.upper()}` |" for name, setting in _SAME.items()]
    rows += [f"| `{name}` | `PARLEY_MODEL`: {how} |" for name, how in _MODEL.items()]
    rows += [f"| `{name}` | nothing: {why} |" for name, why in _NOTHING.items()]
    return "\n".join(rows) + "\n"

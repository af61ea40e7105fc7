"""``models get`` and ``models list``: models of the hub, and what is on this machine."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from bot.cli.checks import quantisation_in
from bot.config import Settings
from bot.errors import ModelError, PersonalityError
from bot.inference.gguf.memory_check import ModelFacts, total_bytes
from bot.inference.gguf.metadata import read_head
from bot.inference.gguf.parts import num_bytes_of, parts_of
from bot.inference.hub.cache import HubCache
from bot.inference.model_files import locate
from bot.model_names import KNOWN, HubModel
from bot.personality import PersonalityBook
from bot.running.fetching import download
from bot.running.loading import copies_of, options_of, runs_as_copy
from bot.running.progress import on_stderr

_MIB = 1 << 20
_COPY = re.compile(r".*-[0-9a-f]{12}-Q\d_0\.gguf")
_PathOf = Callable[[str], Path | None]
_SHORT = {known.hub: name for name, known in KNOWN.items()}


def get(settings: Settings, model: str, say: Callable[[str], None]) -> None:
    """Download what is not here, and say what to set. Raises ``ModelError``."""
    if model not in KNOWN and not model.startswith("hf:"):
        raise ModelError(
            f"{model} is not on the hub: write hf:owner/repository:file, or one of "
            f"{', '.join(KNOWN)}."
        )
    with on_stderr() as show:
        path = download(settings, model, show=show, available=total_bytes)
    say(f"{path} ({num_bytes_of(path) / _MIB:,.0f} MiB) is here. To run on it, set")
    say(f"PARLEY_MODEL={model}")


@dataclass(frozen=True, slots=True)
class ListedModel:
    """``model``: what ``PARLEY_MODEL`` would be; ``where`` it lies.

    ``needed_bytes`` with today's settings, ``used_by`` the default or personalities.
    """

    model: str
    where: str
    path: str
    num_bytes: int
    quantisation: str
    parameters: str
    needed_bytes: int | None
    used_by: list[str]


def listed(settings: Settings) -> list[ListedModel]:
    path_of = cache(_path_of)  # it reads all of the embedded model
    users = _users(settings, path_of)
    found = {path: (model, where) for model, where, path in _found(settings, path_of)}
    return [_described(settings, *found[path], path, users.get(path, [])) for path in found]


def as_json(models: list[ListedModel]) -> list[str]:
    return [json.dumps([asdict(each) for each in models], indent=2)]


def as_table(models: list[ListedModel]) -> list[str]:
    """Lines for people, and which models of the README could be downloaded."""
    head = ("model", "where", "MiB", "quantisation", "parameters", "memory, MiB", "used by")
    rows = [head, *map(_row, models)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    here = {each.model for each in models}
    missing = [f"{n} ({k.num_bytes / _MIB:,.0f} MiB)" for n, k in KNOWN.items() if n not in here]
    return [*lines, *([f"Not here: {', '.join(missing)}; see `models get`."] if missing else [])]


def _row(each: ListedModel) -> tuple[str, ...]:
    return (
        each.model,
        each.where,
        f"{each.num_bytes / _MIB:,.0f}",
        each.quantisation or "?",
        each.parameters or "?",
        f"{each.needed_bytes / _MIB:,.0f}" if each.needed_bytes else "?",
        ", ".join(each.used_by),
    )


def _found(settings: Settings, path_of: _PathOf) -> Iterator[tuple[str, str, Path]]:
    """What to set, where it lies, and the first file; a later one of the same path counts."""
    if path := path_of(settings.model_source):
        yield settings.model, "set", path
    if path := path_of(locate.EMBEDDED):
        yield locate.EMBEDDED, "comes along", path
    for path in sorted(settings.model_dir.glob("*.gguf")):
        if parts_of(path.name)[0] == path.name and not _COPY.fullmatch(path.name):
            yield path.name, "folder", path
    for repository, files in HubCache.of_environment().models():
        snapshot = next(p for p in files[0].parents if p.parent.name == "snapshots")
        hub = HubModel(repository, files[0].relative_to(snapshot).as_posix())
        yield _SHORT.get(hub, hub.source), "hub", files[0]
    for path in sorted(settings.copies_dir.glob("*.gguf")):
        if _COPY.fullmatch(path.name):
            yield str(path), "copy", path


def _users(settings: Settings, path_of: _PathOf) -> dict[Path, list[str]]:
    """Who runs on a file: the default model, or a personality with one of its own."""
    sources = [("default", settings.model_source)]
    try:
        for each in PersonalityBook.load(settings.personalities, settings.personality).all():
            if each.model:
                file = str(settings.model_dir / f"{each.model}.gguf")
                sources.append((each.name, each.model_source or file))
    except PersonalityError:
        pass  # `doctor` tells
    users: dict[Path, list[str]] = {}
    for name, source in sources:
        if path := path_of(source):
            users.setdefault(path, []).append(name)
    if (path := path_of(settings.model_source)) and runs_as_copy(settings):
        copy = copies_of(settings, path).find()
        if copy:
            users[copy] = users.pop(path)
    return users


def _path_of(source: str) -> Path | None:
    try:
        return locate.locate(source)
    except ModelError:
        return None


def _described(
    settings: Settings, model: str, where: str, path: Path, used_by: list[str]
) -> ListedModel:
    options, num_bytes = options_of(settings), num_bytes_of(path)
    try:
        with path.open("rb") as file:
            metadata, num_vocab = read_head(file)
        facts = ModelFacts.read(metadata, num_bytes=num_bytes, num_vocab=num_vocab)
        needed = options.needed_bytes(facts)
        parameters = metadata.get("general.size_label", "")
    except (ValueError, ModelError):
        needed, parameters = None, ""
    quantisation = "".join(quantisation_in(path))
    return ListedModel(
        model, where, str(path), num_bytes, quantisation, parameters, needed, used_by
    )

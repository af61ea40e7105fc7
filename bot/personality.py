"""Strict loader of a folder of personalities, and the book that holds and reloads them.

One file is one personality, named after it: front matter in YAML between two lines of
``---``, then the system prompt. Every mistake is one sentence with file and line.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from operator import attrgetter
from pathlib import Path

from bot import front_matter
from bot.errors import PersonalityError, UnknownPersonality
from bot.front_matter import FrontMatter, Problem
from bot.generation import Sampling
from bot.model_names import hub_model, hub_name
from bot.types import ExampleTurn, Personality

_NAME = re.compile(r"[a-z0-9-]+")
_FENCE = "---"

KnownModels = Callable[[], Collection[str]]
"""Returns the names of the models that can be loaded."""

_Stamps = dict[Path, tuple[int, int, int]]
"""Per file: modification time, size and inode. It changes whenever the folder does."""


Check = Callable[[tuple[Personality, ...]], Awaitable[None]]


class PersonalityBook:
    """The personalities of a folder, in the order of their names, which ignore case."""

    def __init__(self, folder: Path, default: str, models: KnownModels | None = None) -> None:
        self._folder = folder
        self._models = models
        self._default = default.strip().casefold()
        self._stamps = _stamps(folder)
        self._personalities = _load(folder, self._stamps, self._default, models)

    @classmethod
    def load(cls, folder: Path, default: str, models: KnownModels | None = None) -> PersonalityBook:
        """Raises ``PersonalityError``, all problems of the folder at once. Blocks.

        ``models`` may block, too; without it a personality may name any model.
        """
        return cls(folder, default, models)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._personalities)

    @property
    def default(self) -> Personality:
        return self._personalities[self._default]

    def all(self) -> tuple[Personality, ...]:
        return tuple(self._personalities.values())

    def get(self, name: str) -> Personality:
        """Raises ``UnknownPersonality``."""
        found = self._personalities.get(name.strip().casefold())
        if found is None:
            raise UnknownPersonality(name, self.names)
        return found

    async def refresh(self, check: Check | None = None) -> str | None:
        """Read the folder again if it changed; returns what to log if it is wrong now.

        ``check`` raises PersonalityError, too. The set in use stays until the folder is right
        again. A mistake is returned once per change.
        """
        stamps = self._stamps
        try:
            stamps = await asyncio.to_thread(_stamps, self._folder)
            if stamps == self._stamps:
                return None
            read = await asyncio.to_thread(_load, self._folder, stamps, self._default, self._models)
            if check:
                await check(tuple(read.values()))
            self._personalities = read
        except PersonalityError as error:
            self._stamps = stamps
            return str(error)
        self._stamps = stamps
        return None


def _stamps(folder: Path) -> _Stamps:
    try:
        paths = sorted(filter(_is_personality, folder.iterdir()), key=attrgetter("stem"))
        stats = {path: path.stat() for path in paths}
    except OSError as error:
        raise PersonalityError(
            f"{folder}: the folder of personalities cannot be read ({error.strerror}); "
            "set PARLEY_PERSONALITIES to one that can."
        ) from error
    return {path: (stat.st_mtime_ns, stat.st_size, stat.st_ino) for path, stat in stats.items()}


def _is_personality(path: Path) -> bool:
    """Hidden files belong to editors and Kubernetes."""
    return path.suffix.lower() == ".md" and not path.name.startswith(".") and path.is_file()


def _load(
    folder: Path, paths: Iterable[Path], default: str, models: KnownModels | None
) -> dict[str, Personality]:
    """Every personality by name, or every problem of the folder."""
    found: list[Personality] = []
    problems: list[str] = []
    names = models() if models else None
    for path in paths:
        try:
            found.append(_read(path, names))
        except PersonalityError as error:
            problems.append(str(error))
    problems += _twins(folder, found)
    personalities = {personality.name: personality for personality in found}
    if not problems and default not in personalities:
        known = ", ".join(personalities) or "none at all"
        problems.append(f"{folder}: there is no personality {default!r}; known: {known}.")
    if problems:
        raise PersonalityError("\n".join(problems))
    return personalities


def _twins(folder: Path, found: list[Personality]) -> Iterator[str]:
    """Problems of equal titles: people choose by title and could not tell them apart."""
    first: dict[str, str] = {}
    for personality in found:
        other = first.setdefault(personality.title.casefold(), personality.name)
        if other != personality.name:
            path = folder / f"{personality.name}.md"
            yield f"{path}:1: the title {personality.title!r} is the one of {other}.md, too."


def _read(path: Path, models: Collection[str] | None) -> Personality:
    """The personality of one file. Raises ``PersonalityError`` with all its problems."""
    front, prompt = _split(path, _decode(path))
    fields, problems = front_matter.parse(front, models)
    if not _NAME.fullmatch(path.stem) or path.suffix != ".md":
        problems.append(Problem(1, "the name of the file may hold a-z, 0-9 and - before .md only"))
    if not prompt:
        problems.append(Problem(front.count("\n") + 2, "the system prompt below is missing"))
    if problems or fields is None:
        raise PersonalityError("\n".join(_sentence(path, *each) for each in sorted(problems)))
    return _personality(path.stem, fields, prompt)


def _sentence(path: Path, line: int, text: str) -> str:
    return f"{path}:{line}: {text}" + ("" if text.endswith("?") else ".")


def _personality(name: str, fields: FrontMatter, prompt: str) -> Personality:
    return Personality(
        name=name,
        title=fields.title,
        prompt=prompt,
        description=fields.description,
        language=fields.language,
        greeting=fields.greeting,
        suggested_questions=fields.suggested_questions,
        examples=tuple(ExampleTurn(each.question, each.answer) for each in fields.examples),
        sampling=Sampling(**fields.sampling.chosen()),
        loop_guard=fields.loop_guard,
        reasoning=fields.reasoning,
        model=hub_name(fields.model or "") or fields.model,
        model_source=fields.model if hub_model(fields.model or "") else None,
    )


def _decode(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PersonalityError(_sentence(path, 1, f"cannot be read ({error.strerror})")) from error
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PersonalityError(_sentence(path, line, "this is not UTF-8")) from error


def _split(path: Path, text: str) -> tuple[str, str]:
    """Front matter (every line ended) and system prompt."""
    first, *lines = (line.rstrip() for line in text.split("\n"))
    if first != _FENCE:
        raise PersonalityError(_sentence(path, 1, "front matter is missing; begin with ---"))
    if _FENCE not in lines:
        raise PersonalityError(_sentence(path, 1, "the front matter has no end; close it with ---"))
    end = lines.index(_FENCE)
    front = "".join(f"{line}\n" for line in lines[:end])
    return front, "\n".join(lines[end + 1 :]).strip()

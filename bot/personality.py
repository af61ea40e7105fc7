"""Strict loader of a folder of personalities, and the book that holds and reloads them.

One file is one personality, named after it: front matter in YAML between two lines of
``---``, then the system prompt. Every mistake is one sentence with file and line.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import Literal, NamedTuple

from bot import front_matter
from bot.errors import PersonalityError, UnknownPersonality
from bot.front_matter import FrontMatter, SourceFields
from bot.generation import Sampling
from bot.model_names import hub_model, hub_name
from bot.source import KnownSource
from bot.types import ExampleTurn, Personality
from bot.yaml_text import Problem

_NAME = re.compile(r"[a-z0-9-]+")
_FENCE = "---"
_NO_FACTS = "the folder of facts"

KnownModels = Callable[[], Collection[str]]
"""Returns the names of the models that can be loaded."""

_Stamps = dict[Path, tuple[int, int, int]]
"""Per file: modification time, size and inode. It changes whenever the folder does."""


_Found = dict[str, Personality]

Check = Callable[[tuple[Personality, ...]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class PersonalityFault:
    """A mistake in a file or the folder; ``line`` is 0 where it is not in one line."""

    file: Path
    line: int
    sentence: str
    since: datetime

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else f"{self.file}"
        return f"{place}: {self.sentence}"


class PersonalityBook:
    """The personalities of a folder, in the order of their names, which ignore case.

    Each is the last version of its file that was right.
    """

    def __init__(
        self,
        folder: Path,
        default: str,
        models: KnownModels | None = None,
        *,
        base: Path | None = None,
    ) -> None:
        """``base``: what folders of facts are relative to; None: ``folder``."""
        self._folder = folder
        self._base = base or folder
        self._models = models
        self._default = default.strip().casefold()
        self._stamps: _Stamps | None = _stamps(folder)
        found, mistakes = _read_first(self._base, self._stamps, models)
        if not mistakes:
            mistakes += self._missing_default(found)
        if mistakes:
            raise PersonalityError("\n".join(map(str, mistakes)))
        self._personalities = found
        self.faults: tuple[PersonalityFault, ...] = ()

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

    async def refresh(
        self, now: datetime, check: Check | None = None
    ) -> Sequence[PersonalityFault]:
        """Read the folder again if it changed; the faults that were not there before.

        ``check`` raises PersonalityError, too. A file that is wrong stays in use as it was when
        it was right, and one that never was is left out; the others count.
        """
        try:
            stamps = await asyncio.to_thread(_stamps, self._folder)
        except PersonalityError as error:
            self._stamps = None
            return self._note([_Mistake.of_text(self._folder, str(error))], now)
        if stamps == self._stamps and not self._await_facts():
            return ()
        found, mistakes = await asyncio.to_thread(self._read, stamps)
        mistakes += await self._revert_unfit(found, check)
        mistakes += self._revert_twins(found)
        mistakes += self._keep_default(found)
        self._stamps = stamps
        self._personalities = dict(sorted(found.items()))
        return self._note(mistakes, now)

    def _read(self, stamps: _Stamps) -> tuple[_Found, list[_Mistake]]:
        """What is wrong is as it was before. Blocks."""
        known = self._models() if self._models else None
        found, mistakes = _read_all(stamps, known, self._base)
        for name in {mistake.file.stem for mistake in mistakes}:
            self._revert(found, name)
        return found, mistakes

    def _await_facts(self) -> bool:
        """A folder may come while the file that names it stays as it is."""
        return any(fault.sentence.startswith(_NO_FACTS) for fault in self.faults)

    def _revert(self, found: _Found, name: str) -> None:
        found.pop(name, None)
        if name in self._personalities:
            found[name] = self._personalities[name]

    async def _revert_unfit(self, found: _Found, check: Check | None) -> list[_Mistake]:
        mistakes: list[_Mistake] = []
        for name, each in tuple(found.items()):
            if check is None or self._personalities.get(name) == each:
                continue
            try:
                await check((each,))
            except PersonalityError as error:
                mistakes.append(_Mistake.of_text(self._folder / f"{name}.md", str(error)))
                self._revert(found, name)
        return mistakes

    def _revert_twins(self, found: _Found) -> list[_Mistake]:
        """Of two with one title that which has it anew; before, no two had."""
        mistakes: list[_Mistake] = []
        while twins := _twins(self._folder, found.values(), self._personalities):
            mistakes += twins
            for twin in twins:
                self._revert(found, twin.file.stem)
        return mistakes

    def _keep_default(self, found: _Found) -> list[_Mistake]:
        mistakes = self._missing_default(found)
        if mistakes:
            found[self._default] = self.default
        return mistakes

    def _missing_default(self, found: _Found) -> list[_Mistake]:
        return _missing(self._folder, found, self._default)

    def _note(self, mistakes: Sequence[_Mistake], now: datetime) -> Sequence[PersonalityFault]:
        before = {(fault.file, fault.line, fault.sentence): fault for fault in self.faults}
        faults = {each: before.get(each, PersonalityFault(*each, now)) for each in mistakes}
        self.faults = tuple(faults.values())
        return [fault for each, fault in faults.items() if each not in before]


def faults_of(
    folder: Path, default: str | None, models: KnownModels | None, now: datetime
) -> tuple[list[Personality], list[PersonalityFault]]:
    """What is right in the folder, and what keeps Parley from starting with it. Blocks.

    ``default`` None: any may be missing. Raises ``PersonalityError`` if it cannot be read.
    """
    found, mistakes = _read_first(folder, _stamps(folder), models)
    if default is not None and not mistakes:
        mistakes += _missing(folder, found, default.strip().casefold())
    return [*found.values()], [PersonalityFault(*each, now) for each in mistakes]


class _Mistake(NamedTuple):
    """``line``: see ``PersonalityFault``."""

    file: Path
    line: int
    text: str

    @classmethod
    def of_text(cls, file: Path, text: str) -> _Mistake:
        """Of a sentence that may name the file first."""
        return cls(file, 0, text.removeprefix(f"{file}: "))

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else f"{self.file}"
        return f"{place}: {self.text}"


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


def _read_first(
    folder: Path, stamps: _Stamps, models: KnownModels | None
) -> tuple[_Found, list[_Mistake]]:
    """With nothing before that could stay in use."""
    found, mistakes = _read_all(stamps, models() if models else None, folder)
    return found, mistakes + _twins(folder, found.values())


def _missing(folder: Path, found: _Found, default: str) -> list[_Mistake]:
    if default in found:
        return []
    known = ", ".join(found) or "none at all"
    text = f"there is no personality {default!r}; known: {known}."
    return [_Mistake(folder, 0, text)]


def _read_all(
    paths: Iterable[Path], models: Collection[str] | None, base: Path
) -> tuple[_Found, list[_Mistake]]:
    """Every personality that is right, by name, and every mistake in the others.

    ``base``: what folders of facts are relative to.
    """
    found: _Found = {}
    mistakes: list[_Mistake] = []
    for path in paths:
        try:
            found[path.stem] = _read(path, models, base)
        except _Wrong as error:
            mistakes += [
                _Mistake(path, line, text + ("" if text.endswith("?") else "."))
                for line, text in sorted(error.problems)
            ]
    return found, mistakes


def _twins(
    folder: Path, found: Iterable[Personality], before: Mapping[str, Personality] = {}
) -> list[_Mistake]:
    """Mistakes of equal titles: people choose by title and could not tell them apart.

    A personality that was there ``before`` as it is now has its title by right.
    """
    first: dict[str, str] = {}
    twins = []
    for each in sorted(found, key=lambda each: before.get(each.name) != each):
        other = first.setdefault(each.title.casefold(), each.name)
        if other != each.name:
            text = f"the title {each.title!r} is the one of {other}.md, too."
            twins.append(_Mistake(folder / f"{each.name}.md", 1, text))
    return twins


class _Wrong(Exception):
    """The problems of one file."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__()
        self.problems = problems


def _read(path: Path, models: Collection[str] | None, base: Path) -> Personality:
    """The personality of one file."""
    front, prompt = _split(_decode(path))
    fields, problems = front_matter.parse(front, models)
    if not _NAME.fullmatch(path.stem) or path.suffix != ".md":
        problems.append(Problem(1, "the name of the file may hold a-z, 0-9 and - before .md only"))
    if not prompt:
        problems.append(Problem(front.count("\n") + 2, "the system prompt below is missing"))
    if fields and fields.facts and not (base / fields.facts).is_dir():
        problems.append(_without_facts(front, base / fields.facts))
    if problems or fields is None:
        raise _Wrong(*problems)
    return _personality(path.stem, fields, prompt)


def _without_facts(front: str, folder: Path) -> Problem:
    lines = enumerate(front.split("\n"), 2)
    line = next((number for number, text in lines if text.startswith("facts")), 1)
    return Problem(line, f"{_NO_FACTS} {folder} is missing; make it, or name another")


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
        sources=tuple(map(_known_source, fields.sources)),
        facts=fields.facts,
        answers=fields.answers,
        strategy=fields.strategy,
        remote=fields.remote,
        shows_both=fields.show_both,
        max_steps=fields.max_steps,
    )


def _known_source(fields: SourceFields) -> KnownSource:
    kind: Literal["page", "feed"] = "page" if fields.page else "feed"
    address = fields.page or fields.feed or ""
    return KnownSource(fields.name, address, kind, fields.about, fields.triggers)


def _decode(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _Wrong(Problem(1, f"cannot be read ({error.strerror})")) from error
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _Wrong(Problem(line, "this is not UTF-8")) from error


def _split(text: str) -> tuple[str, str]:
    """Front matter (every line ended) and system prompt."""
    first, *lines = (line.rstrip() for line in text.split("\n"))
    if first != _FENCE:
        raise _Wrong(Problem(1, "front matter is missing; begin with ---"))
    if _FENCE not in lines:
        raise _Wrong(Problem(1, "the front matter has no end; close it with ---"))
    end = lines.index(_FENCE)
    front = "".join(f"{line}\n" for line in lines[:end])
    return front, "\n".join(lines[end + 1 :]).strip()

"""``facts``: files are put into folders of facts, which are listed, searched and checked.

The index is that of the Parley that runs, or is brought up to date while none does.
"""

from __future__ import annotations

import asyncio
import filecmp
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.cli.tables import aligned
from bot.config import Settings
from bot.errors import DataError, ParleyError, StartError
from bot.facts import ranking
from bot.facts.bases import facts_folder, index_path, unread_files
from bot.facts.folder import HIDDEN, MAX_BYTES, NOT_READ, form_of, scan
from bot.facts.index import FoundPassage, IndexDamaged, IndexReader, check_sqlite
from bot.facts.updating import update
from bot.lock import is_held
from bot.personality import PersonalityBook
from bot.types import Personality

_INDEXING = "Parley is just indexing the facts; try again in a moment."
_NO_FACTS = "No personality has facts: write `facts: FOLDER` into the front matter of one."


@dataclass(frozen=True, slots=True)
class IndexedFolder:
    """``files``: those that were read, with their numbers of passages; ``unread``: why not."""

    personality: str
    folder: Path
    files: dict[str, int]
    unread: dict[str, str]

    def record(self) -> dict[str, Any]:
        return {
            "personality": self.personality,
            "folder": str(self.folder),
            "files": [{"file": path, "passages": num} for path, num in self.files.items()],
            "unread": [{"file": path, "why": why} for path, why in self.unread.items()],
        }


@dataclass(frozen=True, slots=True)
class ShownPassage:
    """A passage as a person reads it."""

    found: FoundPassage

    def __str__(self) -> str:
        place = " > ".join((self.found.path, *self.found.heading))
        return f"[{place}]\n{self.found.text}\n"

    def record(self) -> dict[str, Any]:
        found = self.found
        return {"file": found.path, "heading": list(found.heading), "text": found.text}


def add(
    settings: Settings,
    name: str,
    files: Sequence[Path],
    say: Callable[[str], None],
    *,
    replace: bool = False,
) -> None:
    """Copy them, all or none, and say so. Raises ``ParleyError``."""
    folder = _folder(settings, _book(settings).get(name))
    for file in files:
        _check_file(file)
    names = [file.name for file in files]
    if twice := {each for each in names if names.count(each) > 1}:
        raise StartError(f"Two of the files are called {min(twice)}; nothing was copied.")
    changed = [each for each in files if not _is_there(each, folder / each.name)]
    in_the_way = [each.name for each in changed if (folder / each.name).exists()]
    if in_the_way and not replace:
        raise ParleyError(
            f"{', '.join(in_the_way)} in {folder} would be overwritten, so nothing was copied; "
            "--replace does it."
        )
    for file in files:
        if file in changed:
            _copy(file, folder)
        say(f"{'Added' if file in changed else 'Unchanged'}: {folder / file.name}")


def _check_file(file: Path) -> None:
    """Raises ``StartError`` for what a folder of facts would leave out."""
    if not file.is_file():
        raise StartError(f"{file} is no file; nothing was copied.")
    if form_of(file.name) is None:
        raise StartError(f"{file} {NOT_READ}; nothing was copied.")
    if file.name.startswith("."):
        raise StartError(f"{file} is hidden; give it a name without the dot.")
    if file.stat().st_size > MAX_BYTES:
        raise StartError(f"{file} is larger than {MAX_BYTES // 1024**2} MiB; nothing was copied.")


def _is_there(file: Path, copy: Path) -> bool:
    return copy.is_file() and filecmp.cmp(file, copy, shallow=False)


def _copy(file: Path, folder: Path) -> None:
    """Under a hidden name first: a Parley that runs never sees half a file."""
    part = folder / f".{file.name}.new"
    try:
        shutil.copyfile(file, part)
        part.replace(folder / file.name)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ParleyError(f"{folder / file.name} cannot be written ({error.strerror}).") from error


def indexed(settings: Settings, name: str | None) -> list[IndexedFolder]:
    """Those of one personality, or of all that have facts. Raises ``ParleyError``."""
    book = _book(settings)
    wanted = [each for each in book.all() if each.facts] if name is None else [book.get(name)]
    return [_indexed(settings, each) for each in wanted]


def _indexed(settings: Settings, personality: Personality) -> IndexedFolder:
    folder = _folder(settings, personality)
    index = _up_to_date(settings, folder)
    with _reading(index) as reader:
        numbers = reader.nums_of_files()
    with _told(index):
        unread = unread_files(index, scan(folder))
    files = {path: num for path, num in numbers.items() if path not in unread}
    return IndexedFolder(personality.name, folder, files, unread)


def search(settings: Settings, name: str, question: str, limit: int) -> list[ShownPassage]:
    """Raises ``ParleyError``."""
    folder = _folder(settings, _book(settings).get(name))
    with _reading(_up_to_date(settings, folder)) as reader:
        return [ShownPassage(each) for each in ranking.find(reader, question, limit)]


def as_table(bases: Sequence[IndexedFolder]) -> list[str]:
    if not bases:
        return [_NO_FACTS]
    rows = [
        (
            *(each.personality, str(each.folder), f"{len(each.files):,}"),
            *(f"{sum(each.files.values()):,}", f"{len(each.unread):,}"),
        )
        for each in bases
    ]
    return aligned([("personality", "folder", "files", "passages", "not read"), *rows], num_texts=2)


def as_files(bases: Sequence[IndexedFolder]) -> list[str]:
    rows = [(path, f"{num:,}") for base in bases for path, num in base.files.items()]
    unread = [f"{path} {why}." for base in bases for path, why in base.unread.items()]
    return [*aligned([("file", "passages"), *rows], num_texts=1), *unread]


def all_right(bases: Sequence[IndexedFolder]) -> str:
    if not bases:
        return _NO_FACTS
    num_files = sum(len(each.files) for each in bases)
    num_passages = sum(sum(each.files.values()) for each in bases)
    return f"All is read: {num_files:,} files, {num_passages:,} passages."


def has_faults(bases: Sequence[IndexedFolder]) -> bool:
    """Hidden files are left out on purpose."""
    return any(why != HIDDEN for each in bases for why in each.unread.values())


def _book(settings: Settings) -> PersonalityBook:
    """Whichever models they name: none is asked here."""
    return PersonalityBook.load(settings.personalities, settings.personality)


def _folder(settings: Settings, personality: Personality) -> Path:
    folder = facts_folder(settings.personalities, personality)
    if folder is None:
        raise StartError(
            f"{personality.name} has no facts: write `facts: FOLDER` into the front matter of "
            f"{settings.personalities / personality.name}.md."
        )
    return folder


def _up_to_date(settings: Settings, folder: Path) -> Path:
    """The index of the folder. The Parley that runs keeps its own up to date."""
    check_sqlite()
    index = index_path(settings.data_dir, folder)
    if not is_held(settings.data_dir):
        with _told(index):
            asyncio.run(update(folder, index))
    return index


@contextmanager
def _reading(index: Path) -> Iterator[IndexReader]:
    with _told(index), closing(IndexReader(index)) as reader:
        yield reader


@contextmanager
def _told(index: Path) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, IndexDamaged) as error:
        raise ParleyError(_INDEXING) from error
    except (sqlite3.Error, OSError) as error:
        raise DataError(f"The index of the facts, {index}, cannot be used: {error}.") from error

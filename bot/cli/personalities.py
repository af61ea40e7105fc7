"""``personalities import``: files of csps-llm become files of ours."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bot.cli.csps_personalities import Converted, convert, merged
from bot.errors import ParleyError, PersonalityError
from bot.personality import PersonalityBook


def import_personalities(
    sources: Sequence[Path],
    folder: Path,
    say: Callable[[str], None],
    *,
    default: str,
    replace: bool = False,
) -> None:
    """Write into ``folder``, all or nothing, and say what has no counterpart here.

    Raises ``PersonalityError`` for files that cannot be read or would be wrong here, and
    ``ParleyError`` where one would be overwritten without ``replace``.
    """
    converted, notes = convert(merged((each.stem, _read(each)) for each in _files(sources)))
    if not converted:
        raise PersonalityError("\n".join(["There is no personality in this.", *notes]))
    changed = [each for each in converted if _now(folder, each) != each.text]
    in_the_way = [f"{each.name}.md" for each in changed if _now(folder, each) is not None]
    if in_the_way and not replace:
        raise ParleyError(
            f"{', '.join(in_the_way)} in {folder} would be overwritten, so nothing was written; "
            "--replace does it."
        )
    _try(folder, converted, default)
    _write(folder, changed)
    for each in converted:
        say(f"{'Written' if each in changed else 'Unchanged'}: {folder / each.name}.md")
    for note in (*notes, *(note for each in converted for note in each.notes)):
        say(note)


def _files(sources: Iterable[Path]) -> list[Path]:
    """Those of folders, and files themselves, in the order of their names."""
    found: list[Path] = []
    for source in sources:
        found += source.glob("*.json") if source.is_dir() else [source]
    return sorted(found, key=lambda path: (path.name, path))


def _read(path: Path) -> object:
    try:
        return json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise PersonalityError(f"{path} cannot be read ({error.strerror}).") from error
    except json.JSONDecodeError as error:
        raise PersonalityError(f"{path}:{error.lineno}: this is not JSON ({error.msg}).") from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise PersonalityError(f"{path} is not JSON in UTF-8.") from error


def _now(folder: Path, personality: Converted) -> str | None:
    path = folder / f"{personality.name}.md"
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PersonalityError(f"{path} cannot be read ({error.strerror}).") from error


def _try(folder: Path, converted: Sequence[Converted], default: str) -> None:
    """Raise ``PersonalityError`` if the folder would be wrong with these files in it."""
    with tempfile.TemporaryDirectory() as name:
        trial = Path(name)
        for path in folder.glob("*.md"):
            shutil.copyfile(path, trial / path.name)
        _write(trial, converted)
        is_there = (trial / f"{default}.md").exists()
        try:
            PersonalityBook(trial, default if is_there else converted[0].name, base=folder)
        except PersonalityError as error:
            raise PersonalityError(str(error).replace(str(trial), str(folder))) from error


def _write(folder: Path, converted: Iterable[Converted]) -> None:
    """A running Parley never sees half a file."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for each in converted:
            path = folder / f".{each.name}.md.new"
            path.write_text(each.text, "utf-8")
            path.replace(folder / f"{each.name}.md")
    except OSError as error:
        raise PersonalityError(f"{folder} cannot be written ({error.strerror}).") from error

"""Which files of a repository are the model that somebody means; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from bot.inference.gguf.parts import parts_of

_NO_MODELS = ("mmproj", "imatrix")
"""How the names of image encoders and of quantisers' notes begin."""
_WILD = frozenset("*?[")
_MAX_SHOWN = 8

Parts = tuple[str, ...]
"""The paths of a model's files, in the order of its parts."""


def fitting(paths: Iterable[str], pattern: str) -> list[Parts]:
    """Every whole model of which a file fits ``pattern``, the closest reading that fits any.

    A pattern is a path or a file's name, a glob of one, and without ``*`` a piece of one, such
    as ``Q4_K_M``; capitals count only where that makes a difference.
    """
    models = _models(paths)
    readings = _readings(pattern) if pattern else [lambda path: True]
    for fits in readings:
        if found := [parts for parts in models if any(map(fits, parts))]:
            return found
    return []


def _readings(pattern: str) -> list[Callable[[str], bool]]:
    piece = pattern if _WILD & set(pattern) else f"*{pattern}*"

    def is_it(path: str) -> bool:
        return path == pattern

    def is_its_file(path: str) -> bool:
        return _file(path) == pattern

    def is_like(path: str) -> bool:
        return fnmatchcase(path, pattern) or fnmatchcase(_file(path), pattern)

    def is_like_in_small_letters(path: str) -> bool:
        return fnmatchcase(_file(path).lower(), piece.lower()) or fnmatchcase(
            path.lower(), piece.lower()
        )

    return [is_it, is_its_file, is_like, is_like_in_small_letters]


def _models(paths: Iterable[str]) -> list[Parts]:
    """Files of language models; those of a split one together, if they are all there."""
    there = [path for path in paths if path.lower().endswith(".gguf")]
    chat = [path for path in there if not _file(path).startswith(_NO_MODELS)]
    models = dict.fromkeys(
        tuple(str(PurePosixPath(path).with_name(name)) for name in parts_of(_file(path)))
        for path in chat
    )
    return [parts for parts in models if set(parts) <= set(chat)]


def _file(path: str) -> str:
    return path.rpartition("/")[2]


def listed(models: Sequence[Parts]) -> str:
    """The first files' paths, for a sentence."""
    shown = ", ".join(parts[0] for parts in models[:_MAX_SHOWN])
    more = len(models) - _MAX_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown

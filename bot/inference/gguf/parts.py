"""The files of a model: one, or the parts of a split one, of which llama.cpp is given the first."""

from __future__ import annotations

import re
from pathlib import Path

_PART = re.compile(r"(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf")


def parts_of(name: str) -> tuple[str, ...]:
    """The names of all parts of the model that a file of this name belongs to, in their order."""
    found = _PART.fullmatch(name)
    if found is None:
        return (name,)
    count = int(found["count"])
    return tuple(
        f"{found['stem']}-{number:05}-of-{found['count']}.gguf" for number in range(1, count + 1)
    )


def whole_name(name: str) -> str:
    """The file's name without its suffix and the number of its part."""
    found = _PART.fullmatch(name)
    return found["stem"] if found else name.removesuffix(".gguf")


def files_of(path: Path) -> tuple[Path, ...]:
    return tuple(path.with_name(name) for name in parts_of(path.name))


def num_bytes_of(path: Path) -> int:
    """Of the whole model."""
    return sum(file.stat().st_size for file in files_of(path))

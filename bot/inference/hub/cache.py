"""The hub's cache on this machine, in the layout that ``huggingface_hub`` and others share.

``blobs/HASH`` is a file, ``snapshots/COMMIT/PATH`` a link to it, ``refs/main`` the last commit.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bot.errors import ModelError
from bot.inference.hub.choice import fitting, listed
from bot.model_names import HubModel

_FOLDER = "models--"


@dataclass(frozen=True, slots=True)
class HubCache:
    """``folder``: ``HF_HUB_CACHE``, or ``hub`` in ``HF_HOME``."""

    folder: Path

    @classmethod
    def of_environment(cls) -> HubCache:
        from huggingface_hub import constants

        return cls(Path(constants.HF_HUB_CACHE))

    def repository(self, name: str) -> Path:
        return self.folder / f"{_FOLDER}{name.replace('/', '--')}"

    def find(self, model: HubModel) -> tuple[Path, ...]:
        """The files of the model in the newest commit that has it; none if no commit has.

        Raises ``ModelError`` if several models fit.
        """
        for snapshot in _snapshots(self.repository(model.repository)):
            found = fitting(_files(snapshot), model.pattern)
            if len(found) > 1:
                raise ModelError(
                    f"Several files of {model.source} are here ({listed(found)}): name one of "
                    f"them, such as hf:{model.repository}:{found[0][0]}"
                )
            if found:
                return tuple(snapshot / path for path in found[0])
        return ()

    def models(self) -> Iterator[tuple[str, tuple[Path, ...]]]:
        """Every model that is here, newest commits first: repository and files."""
        for repository in sorted(self.folder.glob(f"{_FOLDER}*--*")):
            name = repository.name.removeprefix(_FOLDER).replace("--", "/", 1)
            seen: set[str] = set()
            for snapshot in _snapshots(repository):
                for parts in fitting(_files(snapshot), ""):
                    if parts[0] not in seen:
                        seen.add(parts[0])
                        yield name, tuple(snapshot / path for path in parts)

    def blob(self, repository: str, sha256: str) -> Path:
        return self.repository(repository) / "blobs" / sha256

    def lock(self, repository: str, sha256: str) -> Path:
        """The one that ``huggingface_hub`` takes, too."""
        return self.folder / ".locks" / self.repository(repository).name / f"{sha256}.lock"

    def link(self, repository: str, commit: str, path: str, sha256: str) -> Path:
        """Let the commit's file be the blob; the link. Raises ``OSError``."""
        blob = self.blob(repository, sha256)
        pointer = self.repository(repository) / "snapshots" / commit / path
        pointer.parent.mkdir(parents=True, exist_ok=True)
        if pointer.exists():
            return pointer
        pointer.unlink(missing_ok=True)
        try:
            pointer.symlink_to(os.path.relpath(blob, pointer.parent))
        except OSError:  # a file system without links
            blob.replace(pointer)
        return pointer

    def note_commit(self, repository: str, commit: str) -> None:
        """What ``main`` is: those who look without a network begin there."""
        ref = self.repository(repository) / "refs" / "main"
        ref.parent.mkdir(parents=True, exist_ok=True)
        ref.write_text(commit)


def is_offline() -> bool:
    """Whether the hub must not be asked."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def why_offline(model: str) -> str:
    return (
        f"{model} is not on this machine and HF_HUB_OFFLINE is set: unset it, or copy the model "
        "into the hub's cache."
    )


def _snapshots(repository: Path) -> list[Path]:
    """The commit that ``main`` was last first, then the others from new to old."""
    main = ""
    with suppress(OSError, UnicodeDecodeError):
        main = (repository / "refs" / "main").read_text().strip()
    there = [path for path in repository.glob("snapshots/*") if path.is_dir()]
    return sorted(there, key=lambda path: (path.name != main, -path.stat().st_mtime))


def _files(snapshot: Path) -> list[str]:
    """Broken links are none."""
    found = (path for path in snapshot.rglob("*") if path.is_file())
    return sorted(path.relative_to(snapshot).as_posix() for path in found)

"""Proofs: a model is loaded only after a child process has computed with it and survived.

A crash of llama.cpp then kills the child and not Parley, and a person reads one sentence. A
proof is stored for each llama.cpp build, model file, options and processor, so that the trial
runs once.
"""

from __future__ import annotations

import json
import os
import platform
import re
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path

from bot.errors import ModelDied
from bot.inference.gguf import fingerprint
from bot.inference.llama.options import LlamaOptions
from bot.running.trial import try_out

_VERSION = 1
"""Version of the child's work; when it changes, every model is tried again."""
_CHILD = (sys.executable, "-m", "bot.inference.llama.child")
_PATIENCE = 60.0
_MAX_KEPT = 100
_REMEMBERED = 600.0
"""Seconds in which a model that killed its child is not tried again."""
_CPU_LINES = re.compile(r"^(?:model name|flags|Features|CPU part)\s*:.*$", re.MULTILINE)


def default_folder() -> Path:
    """The user's cache folder, for all data folders, since the installer knows none."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "parley/proofs"


def describe_library() -> str:
    """Names, sizes and times of llama.cpp's files, which differ for another build."""
    package = find_spec("llama_cpp")
    folders = package.submodule_search_locations or [] if package else []
    files = (file for folder in folders for file in Path(folder).glob("lib/*") if file.is_file())
    stats = sorted((file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files)
    return repr(stats)


def describe_processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name and features, as far as the machine reports them."""
    try:
        found = sorted(set(_CPU_LINES.findall(cpuinfo.read_text(errors="replace"))))
    except OSError:
        found = []
    return "\n".join([platform.machine(), platform.processor(), *found])


@dataclass(frozen=True)
class Proofs:
    """The proofs in ``folder``. ``command`` is the child's, without arguments.

    ``patience``: seconds of silence that a child is allowed beyond those that it asks for.
    ``died``: file of the missing proof -> time and error of the last trial.
    """

    folder: Path = field(default_factory=default_folder)
    command: tuple[str, ...] = _CHILD
    patience: float = _PATIENCE
    library: str = field(default_factory=describe_library)
    processor: str = field(default_factory=describe_processor)
    now: Callable[[], float] = time.monotonic
    died: dict[Path, tuple[float, ModelDied]] = field(default_factory=dict)

    def prove(self, path: Path, options: LlamaOptions) -> bool:
        """Blocks. False if llama.cpp refuses the model; loading it then gives the reason.

        Raises ``ModelDied``, or ``ModelError`` if memory is short.
        """
        kept = self._file(path, options)
        if kept.exists():
            return True
        self._check(kept)
        arguments = str(path), json.dumps(asdict(options))
        trial = try_out([*self.command, *arguments], self.patience)
        if trial.is_refused:
            return False
        if trial.code != 0:
            error = trial.error(path.stem)
            if isinstance(error, ModelDied):
                self.died[kept] = self.now(), error
            raise error
        self._keep(kept, {"model": path.name, "options": asdict(options)})
        return True

    def check(self, path: Path, options: LlamaOptions) -> None:
        """Raises ``ModelDied`` if the model's last trial failed recently; starts no trial."""
        if self.died:
            self._check(self._file(path, options))

    def has(self, path: Path, options: LlamaOptions) -> bool:
        return self._file(path, options).exists()

    def _check(self, kept: Path) -> None:
        died_at, error = self.died.get(kept, (float("-inf"), None))
        if error and self.now() - died_at < _REMEMBERED:
            raise ModelDied(str(error))

    def _file(self, path: Path, options: LlamaOptions) -> Path:
        facts = _VERSION, self.library, self.processor, sorted(asdict(options).items())
        return self.folder / f"{fingerprint.of(path, *facts)[:32]}.json"

    def _keep(self, kept: Path, facts: dict[str, object]) -> None:
        """Write atomically; if that fails, the next start runs the trial again."""
        part = kept.with_suffix(f".{os.getpid()}.part")
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(facts))
            part.replace(kept)
            by_age = sorted(self.folder.iterdir(), key=lambda file: file.stat().st_mtime)
            for old in by_age[:-_MAX_KEPT]:
                old.unlink()

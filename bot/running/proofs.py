"""Proofs: a model is loaded only after a child process has computed with it and survived.

A crash of llama.cpp then kills the child and not Parley, and a person reads one sentence. A
proof is stored for each llama.cpp build, model file, options and processor, so that the trial
runs once. The child also measures which attention, KV layout and so on are the fastest; that is
stored beside the proof, and counts for pools of other sizes, too.
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
from bot.inference.llama.tuning import Tuning, TuningSpace, num_replies
from bot.running.trial import Trial, try_out

_VERSION = 4
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
    ``died``: file of the missing proof -> time and error of the last trial. ``tunings``:
    what was measured in this process, by the file that keeps it.
    """

    folder: Path = field(default_factory=default_folder)
    command: tuple[str, ...] = _CHILD
    patience: float = _PATIENCE
    library: str = field(default_factory=describe_library)
    processor: str = field(default_factory=describe_processor)
    now: Callable[[], float] = time.monotonic
    died: dict[Path, tuple[float, ModelDied]] = field(default_factory=dict)
    tunings: dict[Path, Tuning] = field(default_factory=dict)

    def prove(self, path: Path, options: LlamaOptions, space: TuningSpace | None = None) -> bool:
        """Blocks. False if llama.cpp refuses the model; loading it then gives the reason.

        What is in ``space`` is measured, too; if that fails, the model is proved anyway.
        Raises ``ModelDied``, or ``ModelError`` if memory is short.
        """
        if self.has(path, options, space):
            return True
        kept = self._file(path, options)
        self._check(kept)
        arguments = [str(path), json.dumps(asdict(options))]
        if space and self.tuning(path, options, space) is None:
            arguments.append(json.dumps(asdict(space)))
        trial = try_out([*self.command, *arguments], self.patience)
        if trial.is_refused:
            return False
        if trial.code != 0 and not trial.is_proved:
            error = trial.error(path.stem)
            if isinstance(error, ModelDied):
                self.died[kept] = self.now(), error
            raise error
        self._keep(kept, json.dumps({"model": path.name, "options": asdict(options)}))
        if space and len(arguments) > 2:
            self._keep_tuning(path, options, space, trial)
        return True

    def tuning(self, path: Path, options: LlamaOptions, space: TuningSpace | None) -> Tuning | None:
        """What a trial measured; None if there was none, or nothing to choose."""
        if space is None:
            return None
        kept = self._tuning_file(path, options, space)
        if kept in self.tunings:
            return self.tunings[kept]
        try:
            return Tuning.parse(kept.read_text())
        except OSError:
            return None

    def check(self, path: Path, options: LlamaOptions) -> None:
        """Raises ``ModelDied`` if the model's last trial failed recently; starts no trial."""
        if self.died:
            self._check(self._file(path, options))

    def has(self, path: Path, options: LlamaOptions, space: TuningSpace | None = None) -> bool:
        is_tuned = space is None or self.tuning(path, options, space) is not None
        return is_tuned and self._file(path, options).exists()

    def _check(self, kept: Path) -> None:
        died_at, error = self.died.get(kept, (float("-inf"), None))
        if error and self.now() - died_at < _REMEMBERED:
            raise ModelDied(str(error))

    def _file(self, path: Path, options: LlamaOptions) -> Path:
        facts = _VERSION, self.library, self.processor, sorted(asdict(options).items())
        return self.folder / f"{fingerprint.of(path, *facts)[:32]}.json"

    def _tuning_file(self, path: Path, options: LlamaOptions, space: TuningSpace) -> Path:
        what = space, num_replies(options), options.gpu_layers
        facts = _VERSION, self.library, self.processor, *what
        return self.folder / f"{fingerprint.of(path, *facts)[:32]}.json"

    def _keep_tuning(
        self, path: Path, options: LlamaOptions, space: TuningSpace, trial: Trial
    ) -> None:
        """Not on disk if memory was short or much else computed, since that may pass."""
        kept = self._tuning_file(path, options, space)
        tuning = trial.tuning or Tuning({}, fault=trial.fault if trial.code != 0 else "")
        self.tunings[kept] = tuning
        if not tuning.is_disturbed and (trial.code == 0 or not trial.lacks_memory):
            self._keep(kept, tuning.to_text())

    def _keep(self, kept: Path, text: str) -> None:
        """Write atomically; if that fails, the next start runs the trial again."""
        part = kept.with_suffix(f".{os.getpid()}.part")
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            part.write_text(text)
            part.replace(kept)
            by_age = sorted(self.folder.iterdir(), key=lambda file: file.stat().st_mtime)
            for old in by_age[:-_MAX_KEPT]:
                old.unlink()

"""Runs the child processes that try or requantise a model, while they report progress."""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bot.errors import ModelDied, ModelError
from bot.inference.llama.tuning import Tuning

_COPIER = (sys.executable, "-m", "bot.inference.llama.copier")
_COPIER_PATIENCE = 60.0
_ROOT = Path(__file__).parents[2]
_REFUSED = 3
_PROVED = "proved"
_BLOCK = 4096
_MAX_OUTPUT = 1 << 20
_MAX_WORDS = 300
_SIGN = re.compile(r"(\d+\.\d) (.+)")
_NO_MEMORY = re.compile(
    r"MemoryError|bad_alloc|cannot allocate|failed to allocate|unable to allocate|out of memory",
    re.IGNORECASE,
)
_OURS = re.compile(r"(PARLEY|SLACK|DISCORD|TEAMS|HF)_")
_KINDS = {"ILL": "an illegal instruction", "SEGV": "a memory fault", "ABRT": "a failed check"}
_BUILD_AGAIN = (
    "build it again with `make clean` and `CMAKE_ARGS=-DGGML_NATIVE=off make run`, "
    "or use another model"
)


@dataclass(frozen=True)
class Trial:
    """The end of a child. ``code``: negative for a signal, None if it was killed for silence.

    ``doing``: its last work. ``seconds``: how long it could be silent during that work.
    ``is_proved``: whether the model computed, whatever came after that.
    """

    code: int | None
    doing: str
    seconds: float
    last_words: str
    is_proved: bool = False
    tuning: Tuning | None = None

    @property
    def lacks_memory(self) -> bool:
        return self.code == -signal.SIGKILL or bool(_NO_MEMORY.search(self.last_words))

    @property
    def is_refused(self) -> bool:
        """Whether llama.cpp refused the model; loading it gives the same error."""
        return self.code == _REFUSED and not self.lacks_memory

    @property
    def fault(self) -> str:
        """The reason for a bad end, as the beginning of a sentence."""
        if self.lacks_memory:
            return f"the memory was not enough while it {self.doing}"
        if self.code is None:
            return f"llama.cpp gave no sign for {self.seconds:.0f} s while it {self.doing}"
        if self.code < 0:
            return f"llama.cpp died of {_name_of(-self.code)} while it {self.doing}"
        return f"llama.cpp failed while it {self.doing}"

    def error(self, model: str) -> ModelError:
        """The error of a bad end, for people."""
        if self.lacks_memory:
            return ModelError(
                f"The memory is not enough: a trial ended while it {self.doing} with the model "
                f"{model}. Make room, lower PARLEY_KV_TOKENS, or choose a smaller model."
            )
        fault = f"{self.fault} with the model {model}"
        if self.code is None:
            return ModelDied(f"{fault}: look what else the machine computes, or {_BUILD_AGAIN}.")
        words = f" ({self.last_words})" if self.code > 0 else ""
        return ModelDied(f"{fault}{words}: {_BUILD_AGAIN}.")


def try_out(command: Sequence[str], patience: float) -> Trial:
    """Blocks. ``patience`` is added to the seconds that the child asks for. Raises ModelError."""
    try:
        process = subprocess.Popen(  # noqa: S603 - ourselves
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_environ(),
        )
    except OSError as error:
        raise ModelError(
            f"No process can be started in which to try the model ({error.strerror}): make "
            "room for it, or raise the limits of this one."
        ) from error
    with process:
        try:
            return _Watch(process, patience).until_end()
        finally:
            process.kill()


def quantize_apart(
    source: Path,
    target: Path,
    quantisation: str,
    num_threads: int,
    *,
    command: Sequence[str] = _COPIER,
) -> None:
    """A ``Quantize`` in a child process. ``command`` is the child's, without arguments."""
    arguments = str(source), str(target), quantisation, str(num_threads)
    trial = try_out([*command, *arguments], _COPIER_PATIENCE)
    if trial.is_refused:
        raise ModelError(trial.last_words)
    if trial.code != 0:
        raise ModelError(trial.fault)


class _Watch:
    """Watches one child. Any output counts as a sign of life, up to a bound on its size."""

    def __init__(self, process: subprocess.Popen[bytes], patience: float) -> None:
        self._process = process
        self._patience = self._seconds = patience
        self._doing = "started"
        self._last_words = ""
        self._tuning: Tuning | None = None
        self._is_proved = False
        self._rest = b""

    def until_end(self) -> Trial:
        code: int | None = None
        if self._reads_to_end():
            with suppress(subprocess.TimeoutExpired):
                code = self._process.wait(self._seconds)
        self._take(self._rest)
        words = self._last_words, self._is_proved, self._tuning
        return Trial(code, self._doing, self._seconds, *words)

    def _reads_to_end(self) -> bool:
        """Whether the output ends in time."""
        assert self._process.stdout  # noqa: S101
        output, left = self._process.stdout.fileno(), _MAX_OUTPUT
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while left > 0 and selector.select(self._seconds):
                block = os.read(output, _BLOCK)
                if not block:
                    return True
                left -= len(block)
                *lines, self._rest = (self._rest + block).split(b"\n")
                for line in lines:
                    self._take(line)
        return False

    def _take(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").strip()
        if sign := _SIGN.fullmatch(text[:_MAX_WORDS]):
            self._seconds, self._doing = self._patience + float(sign[1]), sign[2]
        elif text == _PROVED:
            self._is_proved = True
        elif self._is_proved and text.startswith("{"):
            self._tuning = Tuning.parse(text)
        elif text:
            self._last_words = text[:_MAX_WORDS]


def _environ() -> dict[str, str]:
    """The environment without our settings and secrets.

    OpenMP's threads wait as they do in Parley, so that the child measures what they will do.
    """
    path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(_ROOT))))
    ours = {name: text for name, text in os.environ.items() if not _OURS.match(name)}
    return {**ours, "PYTHONPATH": path}


def _name_of(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
    kind = _KINDS.get(name.removeprefix("SIG"))
    return f"{kind} ({name})" if kind else name

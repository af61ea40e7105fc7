"""Requantises a model in a child process, which may crash."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from bot.errors import ModelError
from bot.running.trial import try_out

_CHILD = (sys.executable, "-m", "bot.inference.llama.copier")
_PATIENCE = 60.0


def quantize_apart(
    source: Path,
    target: Path,
    quantisation: str,
    num_threads: int,
    *,
    command: Sequence[str] = _CHILD,
) -> None:
    """A ``Quantize``. ``command`` is the child's, without arguments."""
    arguments = str(source), str(target), quantisation, str(num_threads)
    trial = try_out([*command, *arguments], _PATIENCE)
    if trial.is_refused:
        raise ModelError(trial.last_words)
    if trial.code != 0:
        raise ModelError(trial.fault)

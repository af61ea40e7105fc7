"""Chooses the file of the default model, its original or a requantised copy, and loads it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bot.config import Settings
from bot.errors import ModelError
from bot.inference.llama.backend import supports_gpu
from bot.inference.llama.model import LlamaModel
from bot.inference.llama.options import LlamaOptions
from bot.inference.model_files import locate
from bot.inference.model_files.requantised import Copies, CopyFailed, Quantisation
from bot.metrics import Metrics
from bot.running.proofs import Proofs
from bot.running.trial import quantize_apart

_DEFAULT_WINDOW = 8_192
_SPARE_SLOTS = 112
"""For idle threads and shared prompts; at least 32 of them remain of llama.cpp's 256."""

Say = Callable[[str], None]
"""Prints a sentence in the terminal."""


def load(
    settings: Settings, metrics: Metrics, say: Say | None = None, proofs: Proofs | None = None
) -> LlamaModel:
    """The model that the settings name. Raises ``ModelError``.

    With ``say`` a missing requantised copy is made first; without it, only an existing one is used.
    """
    source = locate.locate(settings.model_source)
    proofs = proofs or Proofs()
    proofs.prove(source, options_of(settings))  # before this process calls llama.cpp
    copy = _copy(settings, source, metrics, say)
    if copy is None:
        return _open(source, settings)
    try:
        proofs.prove(copy, options_of(settings))
        model = _open(copy, settings)
    except ModelError as error:
        metrics.model_copies.labels("failed").inc()
        if say:
            say(f"the copy {copy} cannot be used, so the original is: {error}")
        return _open(source, settings)
    metrics.model_copies.labels("used").inc()
    return model


def runs_as_copy(settings: Settings) -> bool:
    """Only the embedded model has a copy, only on a CPU, and only if it is not switched off."""
    is_embedded = settings.model_source == locate.EMBEDDED
    return settings.optimize == "auto" and is_embedded and not offloads(settings)


def copies_of(settings: Settings, source: Path) -> Copies:
    name = locate.name_of(settings.model)
    is_embedded = settings.model_source == locate.EMBEDDED
    sha256 = locate.EMBEDDED_SHA256 if is_embedded else locate.sha256_of(source)
    return Copies(settings.copies_dir, name, source, sha256, quantize_apart)


def try_out(settings: Settings, say: Say) -> None:
    """Prove every file that ``load`` would use. Raises ``ModelError``."""
    source, proofs = locate.locate(settings.model_source), Proofs()
    proofs.prove(source, options_of(settings))
    if copy := _copy(settings, source, Metrics(), say):
        proofs.prove(copy, options_of(settings))


def _copy(settings: Settings, source: Path, metrics: Metrics, say: Say | None) -> Path | None:
    if not runs_as_copy(settings):
        return None
    copies = copies_of(settings, source)
    if (found := copies.find()) is not None or say is None:
        return found
    say(f"making a copy of {copies.name} that a CPU runs faster, once ...")
    try:
        made = copies.make(Quantisation.Q8_0, settings.num_threads)
    except CopyFailed as why:
        metrics.model_copies.labels("failed").inc()
        say(
            f"the original is used, since no copy could be made ({why}); PARLEY_OPTIMIZE=off "
            "ends the attempts"
        )
        return None
    metrics.model_copies.labels("made").inc()
    return made


def _open(path: Path, settings: Settings) -> LlamaModel:
    return LlamaModel(path, options_of(settings), name=locate.name_of(settings.model))


def options_of(settings: Settings) -> LlamaOptions:
    return LlamaOptions(
        num_cells=settings.kv_tokens,
        window=settings.context or _DEFAULT_WINDOW,
        max_running=settings.running,
        num_slots=settings.running + _SPARE_SLOTS,
        num_threads=settings.num_threads,
        gpu_layers=settings.gpu_layers,
    )


def offloads(settings: Settings) -> bool:
    """Whether layers go to a GPU."""
    return settings.gpu_layers != 0 and supports_gpu()


def describe_device(settings: Settings) -> str:
    """GPU or CPU: the GPU if this build supports one and layers may be offloaded to it."""
    if offloads(settings):
        layers = "all" if settings.gpu_layers < 0 else str(settings.gpu_layers)
        return f"GPU ({layers} layers)"
    return f"CPU ({settings.num_threads} thread{'s' * (settings.num_threads > 1)})"

"""Chooses the file of the default model, its original or a requantised copy, and loads it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bot.config import Settings
from bot.errors import ModelError
from bot.inference.llama.backend import supports_gpu
from bot.inference.llama.model import LlamaModel
from bot.inference.llama.options import MAX_UBATCH, SMALL_UBATCH, Attention, KVLayout, LlamaOptions
from bot.inference.llama.tuning import Tuning, TuningSpace, num_replies
from bot.inference.model_files import locate
from bot.inference.model_files.requantised import Copies, CopyFailed, Quantisation
from bot.metrics import Metrics
from bot.running.proofs import Proofs
from bot.running.trial import quantize_apart
from bot.settings.cores import usable_processors

_DEFAULT_WINDOW = 8_192
_SPARE_SLOTS = 112
"""For idle threads and shared prompts; at least 32 of them remain of llama.cpp's 256."""

_ATTENTION = {"auto": Attention.FLASH, **{each.value: each for each in Attention}}
_KV_LAYOUT = {"auto": KVLayout.UNIFIED, **{each.value: each for each in KVLayout}}

logger = logging.getLogger(__name__)

Say = Callable[[str], None]
"""Prints a sentence in the terminal."""


def load(
    settings: Settings, metrics: Metrics, say: Say | None = None, proofs: Proofs | None = None
) -> LlamaModel:
    """The model that the settings name. Raises ``ModelError``.

    With ``say`` a missing requantised copy is made first; without it, only an existing one is used.
    """
    proofs = proofs or Proofs()
    draft = find_draft(settings.draft_source) if settings.draft_source else None
    model = _load(settings, metrics, say, proofs)
    try:
        if draft:
            with _about_draft():
                prove_draft(settings, proofs, draft)
                model.draft_with(draft)
    except ModelError:
        model.close()
        raise
    return model


def _load(settings: Settings, metrics: Metrics, say: Say | None, proofs: Proofs) -> LlamaModel:
    source, name = locate.locate(settings.model_source), locate.name_of(settings.model)
    if not _may_run_as_copy(settings):
        return open_proved(settings, proofs, source, name)
    prove_source(settings, proofs, source)  # before this process calls llama.cpp
    copy = _copy(settings, source, metrics, say)
    if copy is None:
        return open_proved(settings, proofs, source, name)
    try:
        model = open_proved(settings, proofs, copy, name)
    except ModelError as error:
        metrics.model_copies.labels("failed").inc()
        if say:
            say(f"the copy {copy} cannot be used, so the original is: {error}")
        return open_proved(settings, proofs, source, name)
    metrics.model_copies.labels("used").inc()
    return model


def runs_as_copy(settings: Settings) -> bool:
    """Only the embedded model has a copy, only on a CPU, and only if it is not switched off."""
    return _may_run_as_copy(settings) and not offloads(settings)


def _may_run_as_copy(settings: Settings) -> bool:
    return settings.optimize == "auto" and settings.model_source == locate.EMBEDDED


def copies_of(settings: Settings, source: Path) -> Copies:
    name = locate.name_of(settings.model)
    is_embedded = settings.model_source == locate.EMBEDDED
    sha256 = locate.EMBEDDED_SHA256 if is_embedded else locate.sha256_of(source)
    return Copies(settings.copies_dir, name, source, sha256, quantize_apart)


def find_draft(source: str) -> Path:
    """The file of the draft model. Raises ``ModelError``."""
    with _about_draft():
        return locate.locate(source)


@contextmanager
def _about_draft() -> Iterator[None]:
    """What is wrong with a model file is said of the setting that names it."""
    try:
        yield
    except ModelError as error:
        text = str(error).replace(f" for the embedded {locate.EMBEDDED}", "")
        raise type(error)(text.replace("PARLEY_MODEL", "PARLEY_DRAFT_MODEL")) from error


def try_out(settings: Settings, say: Say) -> None:
    """Prove every file that ``load`` would use. Raises ``ModelError``."""
    source, proofs = locate.locate(settings.model_source), Proofs()
    prove_source(settings, proofs, source)
    if copy := _copy(settings, source, Metrics(), say):
        prove(settings, proofs, copy)
    if settings.draft_source:
        prove_draft(settings, proofs, find_draft(settings.draft_source))


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


def prove(settings: Settings, proofs: Proofs, path: Path) -> bool:
    """``Proofs.prove`` with the options of the settings, and what they leave to be measured."""
    return proofs.prove(path, options_of(settings), tuning_space(settings))


def prove_source(settings: Settings, proofs: Proofs, source: Path) -> bool:
    """Prove the file that the settings name; it is not measured if a copy may run in its place."""
    return proofs.prove(source, options_of(settings), _space_of_source(settings))


def prove_draft(settings: Settings, proofs: Proofs, path: Path) -> bool:
    """Prove the draft model; it runs with what is the fastest for the large one."""
    return proofs.prove(path, options_of(settings))


def is_proved(settings: Settings, proofs: Proofs, source: Path) -> bool:
    """Whether ``prove_source`` would start no trial."""
    return proofs.has(source, options_of(settings), _space_of_source(settings))


def _space_of_source(settings: Settings) -> TuningSpace | None:
    return None if _may_run_as_copy(settings) else tuning_space(settings)


def open_proved(settings: Settings, proofs: Proofs, path: Path, name: str) -> LlamaModel:
    """Prove and load a file, with the options that are the fastest here. Raises ``ModelError``.

    What is faster may need more memory, so the options that were proved are tried after them.
    """
    prove(settings, proofs, path)
    proved, fastest = options_of(settings), fastest_options(settings, proofs, path)
    try:
        return LlamaModel(path, fastest, name=name)
    except ModelError as error:
        if fastest == proved:
            raise
        logger.warning("%s attention cannot be used with %s: %s", fastest.attention, name, error)
        return LlamaModel(path, proved, name=name)


def fastest_options(settings: Settings, proofs: Proofs, path: Path) -> LlamaOptions:
    """Those of the settings, and what a trial measured; where none did, those that are proved."""
    proved = options_of(settings)
    tuning = tuning_of(settings, proofs, path)
    return tuning.options(proved) if tuning else proved


def tuning_of(settings: Settings, proofs: Proofs, path: Path) -> Tuning | None:
    """What a trial of the file measured; None if there was none, or nothing to choose."""
    return proofs.tuning(path, options_of(settings), tuning_space(settings))


def tuning_space(settings: Settings) -> TuningSpace | None:
    """What the settings leave to be measured; None if nothing."""
    proved = options_of(settings)
    space = TuningSpace.only(proved)
    if settings.attention == "auto":
        space = replace(space, attention=tuple(Attention))
    if settings.kv_layout == "auto":
        space = replace(space, kv_layout=tuple(KVLayout))
    if not settings.ubatch:
        space = replace(space, max_ubatch=(MAX_UBATCH, SMALL_UBATCH))
    if not settings.cpu_threads:
        numbers = dict.fromkeys((settings.num_threads, usable_processors()))
        space = replace(space, num_threads=tuple(numbers))
    return space if space.is_choice and num_replies(proved) else None


def options_of(settings: Settings) -> LlamaOptions:
    """Where the settings leave a choice: what is proved before anything is measured."""
    return LlamaOptions(
        num_cells=settings.kv_tokens,
        window=settings.context or _DEFAULT_WINDOW,
        max_running=settings.running,
        num_slots=settings.running + _SPARE_SLOTS,
        num_threads=settings.num_threads,
        gpu_layers=settings.gpu_layers,
        attention=_ATTENTION[settings.attention],
        kv_layout=_KV_LAYOUT[settings.kv_layout],
        max_ubatch=settings.ubatch or MAX_UBATCH,
    )


def offloads(settings: Settings) -> bool:
    """Whether layers go to a GPU."""
    return settings.gpu_layers != 0 and supports_gpu()


def describe_device(settings: Settings) -> str:
    """GPU or CPU: the GPU if this build supports one and layers may be offloaded to it."""
    if offloads(settings):
        layers = "all" if settings.gpu_layers < 0 else str(settings.gpu_layers)
        return f"GPU ({layers} layers)"
    threads = describe_threads(settings)
    return f"CPU ({threads})" if threads else "CPU"


def describe_threads(settings: Settings) -> str:
    """Empty where a measurement chooses their number."""
    space, num = tuning_space(settings), settings.num_threads
    return "" if space and len(space.num_threads) > 1 else f"{num} thread{'s' * (num > 1)}"

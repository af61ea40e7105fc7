"""``models``: whether one can be computed with, and a copy that a CPU runs faster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bot.config import Settings
from bot.errors import ModelError
from bot.inference.gguf.parts import num_bytes_of
from bot.inference.llama.model import LlamaModel
from bot.inference.llama.options import LlamaOptions
from bot.inference.model_files import locate
from bot.inference.model_files.evaluate import Likeness, Speed, likeness, rounding, speeds
from bot.inference.model_files.requantised import CopyFailed, Quantisation
from bot.running.loading import copies_of, offloads, try_out
from bot.running.proofs import Proofs

_MIB = 1 << 20
_NUM_CELLS = 2_048
"""The passage twice, in any vocabulary."""


def try_model(settings: Settings, say: Callable[[str], None]) -> None:
    """Report whether llama.cpp computes with the model without a crash. Raises ModelError."""
    try_out(settings, say)
    say(f"llama.cpp computes with {locate.name_of(settings.model)}.")


def optimize(settings: Settings, quantisation: Quantisation, say: Callable[[str], None]) -> None:
    """Make the copy, and report its quality and speed. Raises ModelError."""
    source = locate.locate(settings.model_source)
    Proofs().prove(source, _options(settings))
    copies = copies_of(settings, source)
    say(f"Making a {quantisation} copy of {copies.name} ...")
    try:
        copy = copies.make(quantisation, settings.num_threads)
    except CopyFailed as why:
        raise ModelError(f"No copy of {copies.name} could be made: {why}.") from why
    Proofs().prove(copy, _options(settings))
    say("Comparing it with the original on a text of our own ...")
    for line in _compared(source, copy, _options(settings)):
        say(line)
    say(_what_now(settings, copy))


def _options(settings: Settings) -> LlamaOptions:
    threads = settings.num_threads
    return LlamaOptions(
        num_cells=_NUM_CELLS, max_running=2, num_slots=2, num_threads=threads, gpu_layers=0
    )


def _compared(source: Path, copy: Path, options: LlamaOptions) -> list[str]:
    original = LlamaModel(source, options)
    try:
        other = LlamaModel(copy, options)
        try:
            likes = likeness(original, other), rounding(original)
            return [_size(source, copy), _answers(*likes), *_speeds(*speeds([original, other]))]
        finally:
            other.close()
    finally:
        original.close()


def _size(source: Path, copy: Path) -> str:
    before, after = (num_bytes_of(path) / _MIB for path in (source, copy))
    return f"  size     {after:.0f} MiB, the original {before:.0f} MiB"


def _answers(copy: Likeness, itself: Likeness) -> str:
    return (
        f"  answers  KL divergence {copy.divergence:.4f} nats a token, "
        f"the same favourite after {copy.agreement:.0%} of them; the original read in other "
        f"pieces differs from itself by {itself.divergence:.4f} and {itself.agreement:.0%}"
    )


def _speeds(before: Speed, after: Speed) -> list[str]:
    return [
        f"  prompts  {_ratio(before.prefill, after.prefill)}",
        f"  replies  {_ratio(before.decode, after.decode)}",
    ]


def _ratio(before: float, after: float) -> str:
    return f"{after:,.0f} tokens a second, {after / before:.1f} times the original's {before:,.0f}"


def _what_now(settings: Settings, copy: Path) -> str:
    if settings.model_source != locate.EMBEDDED:
        return (
            "Only the embedded model is replaced by its copy: to run on this one, set "
            f"PARLEY_MODEL={copy.absolute()}"
        )
    if settings.optimize == "off":
        return f"It is {copy}; PARLEY_OPTIMIZE is off, so it is not used before that is auto."
    if offloads(settings):
        return f"It is {copy}; as long as there is a GPU, Parley runs on the original."
    return f"It is {copy}; Parley runs on it from the next start on."

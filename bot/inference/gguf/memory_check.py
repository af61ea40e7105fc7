"""The memory that a model needs, computed from its metadata before it is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from bot.errors import ModelError

_F16, _F32 = 2, 4
_MAX_OUTPUTS = 512
_GIB = 1024**3
_OVERHEAD = 64 * 1024**2
"""Compute graph, tokenizer tables and so on; 60 MB with SmolLM2 at 16,384 cells."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Facts from a GGUF's metadata. ``bytes_per_cell``: keys and values of one token at f16.

    ``bytes_per_sequence``: the state of a recurrent or hybrid model, whatever the text length.
    ``num_heads``: attention heads of the layer with most of them.
    """

    architecture: str
    name: str
    num_bytes: int
    bytes_per_cell: int
    bytes_per_sequence: int
    num_vocab: int
    max_context: int
    is_causal: bool
    num_heads: int = 0

    @classmethod
    def read(cls, metadata: Mapping[str, str], *, num_bytes: int, num_vocab: int) -> ModelFacts:
        """Raises ModelError if metadata of a language model is missing."""
        architecture = metadata.get("general.architecture", "")
        pooled = metadata.get(f"{architecture}.pooling_type", "0") not in ("0", "")
        causal = metadata.get(f"{architecture}.attention.causal", "true") == "true"
        try:
            return cls(
                architecture=architecture,
                name=metadata.get("general.name", "") or architecture,
                num_bytes=num_bytes,
                bytes_per_cell=_bytes_per_cell(metadata, architecture),
                bytes_per_sequence=_bytes_per_sequence(metadata, architecture),
                num_vocab=num_vocab,
                max_context=int(metadata[f"{architecture}.context_length"]),
                is_causal=causal and not pooled,
                num_heads=_most(metadata.get(f"{architecture}.attention.head_count", "0")),
            )
        except (KeyError, ValueError) as error:
            raise ModelError(
                f"The model file lacks metadata ({error}); it is not usable."
            ) from error

    @classmethod
    def of_size(cls, name: str, num_bytes: int) -> ModelFacts:
        """Of a model that is known by its size alone."""
        return cls("", name, num_bytes, 0, 0, 0, 0, is_causal=True)

    def needed_bytes(
        self,
        num_cells: int,
        max_batch: int,
        num_running: int = 0,
        num_scores: int = 0,
        num_copies: int = 0,
    ) -> int:
        """Bytes of weights, KV pool, states and buffers.

        ``num_scores``: how many scores a head of plain attention computes at once.
        ``num_copies``: of all cells, which exist beside them for a moment.
        """
        logits = _F32 * self.num_vocab * min(max_batch, _MAX_OUTPUTS)
        scores = _F32 * self.num_heads * num_scores
        memory = (
            self.bytes_per_cell * num_cells * (1 + num_copies)
            + self.bytes_per_sequence * num_running
        )
        return self.num_bytes + memory + logits + scores + _OVERHEAD


def _bytes_per_cell(metadata: Mapping[str, str], architecture: str) -> int:
    number = _Numbers(metadata, architecture)
    num_layers = number("block_count")
    num_heads = _total(number.text("attention.head_count", "1"), 1)
    if not num_heads:
        return 0
    size = number("embedding_length") // num_heads
    per_head = number("attention.key_length", size) + number("attention.value_length", size)
    kv_heads = number.text("attention.head_count_kv", str(num_heads))
    return _F16 * per_head * _total(kv_heads, num_layers)


def _bytes_per_sequence(metadata: Mapping[str, str], architecture: str) -> int:
    """llama.cpp's ``n_embd_r`` and ``n_embd_s``, as if every layer of a hybrid had a state."""
    number = _Numbers(metadata, architecture)
    width, inner, state = (
        number(key, 0) for key in ("embedding_length", "ssm.inner_size", "ssm.state_size")
    )
    convolved = inner + 2 * number("ssm.group_count", 0) * state
    per_layer = (
        max(0, number("ssm.conv_kernel", 0) - 1) * convolved
        + state * inner
        + max(0, number("shortconv.l_cache", 0) - 1) * width
        + width * number("wkv.head_size", 0)
        + (2 * width if number("wkv.head_size", 0) else 0)
    )
    return _F32 * per_layer * number("block_count")


class _Numbers:
    """Numbers from an architecture's metadata; KeyError if one without a default is missing."""

    def __init__(self, metadata: Mapping[str, str], architecture: str) -> None:
        self._metadata = metadata
        self._architecture = architecture

    def __call__(self, key: str, default: int | None = None) -> int:
        name = f"{self._architecture}.{key}"
        if default is not None and name not in self._metadata:
            return default
        return int(self._metadata[name])

    def text(self, key: str, default: str) -> str:
        return self._metadata.get(f"{self._architecture}.{key}", default)


def _most(text: str) -> int:
    """The largest of all layers: metadata is one number for all of them, or a list."""
    return max(int(n) for n in text.strip("[]").split(","))


def _total(text: str, num_layers: int) -> int:
    """The sum over all layers: metadata is one number for all of them, or a list."""
    if text.startswith("["):
        return sum(int(n) for n in text.strip("[]").split(","))
    return int(text) * num_layers


def total_bytes() -> int:
    """Memory that this process could take if nobody else used any."""
    total = int(psutil.virtual_memory().total)
    try:
        return min(total, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):
        return total


def available_bytes() -> int:
    """Memory that this process may still take: the machine's, or its container's if less."""
    free = int(psutil.virtual_memory().available)
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
    except (OSError, ValueError):
        return free
    return free if limit == "max" else min(free, int(limit) - used)


def check_fit(
    facts: ModelFacts,
    *,
    num_cells: int,
    max_batch: int,
    num_running: int = 0,
    num_scores: int = 0,
    num_copies: int = 0,
    available: int,
) -> None:
    """Raises ModelError with advice if the model needs more than ``available`` bytes."""
    needed = facts.needed_bytes(num_cells, max_batch, num_running, num_scores, num_copies)
    if needed <= available:
        return
    rest = available - facts.needed_bytes(0, max_batch, num_running, num_scores)
    per_cell = facts.bytes_per_cell * (1 + num_copies)
    fitting = rest // per_cell if rest > 0 and per_cell else 0
    advice = (
        f"set PARLEY_KV_TOKENS to {fitting // 256 * 256} or less"
        if fitting >= 1024
        else "choose a smaller model or quantisation"
    )
    raise ModelError(
        f"{facts.name} with {num_cells:,} tokens of context needs {needed / _GIB:.1f} GiB of "
        f"memory, and {available / _GIB:.1f} GiB are free: {advice}."
    )

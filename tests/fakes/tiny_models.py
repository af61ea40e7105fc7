"""Models of every kind with random weights: llama.cpp runs them as it runs real ones.

What they say is nonsense; what they need of the engine is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from gguf import GGUFWriter

from tests.fakes.gguf_metadata import Entry, read_metadata

WIDTH, INNER, HEADS, KV_HEADS, HEAD = 32, 64, 4, 2, 8
NUM_LAYERS = 2
WINDOW = 512
"""Tokens that they say they were made for."""
SLIDING_WINDOW = 16
STATE, CONVOLUTION, STEP_RANK = 8, 4, 2

Shapes = Mapping[str, tuple[int, ...]]

_FEED_FORWARD = {
    "ffn_norm": (WIDTH,),
    "ffn_gate": (INNER, WIDTH),
    "ffn_up": (INNER, WIDTH),
    "ffn_down": (WIDTH, INNER),
}
_ATTENTION = {
    "attn_norm": (WIDTH,),
    "attn_q": (HEADS * HEAD, WIDTH),
    "attn_k": (KV_HEADS * HEAD, WIDTH),
    "attn_v": (KV_HEADS * HEAD, WIDTH),
    "attn_output": (WIDTH, HEADS * HEAD),
}
_HEAD_NORMS = {"attn_q_norm": (HEAD,), "attn_k_norm": (HEAD,)}
_POST_NORMS = {"post_attention_norm": (WIDTH,), "post_ffw_norm": (WIDTH,)}
_STATE_SPACE = {
    "attn_norm": (WIDTH,),
    "ssm_in": (4 * WIDTH, WIDTH),
    "ssm_conv1d": (2 * WIDTH, CONVOLUTION),
    "ssm_conv1d.bias": (2 * WIDTH,),
    "ssm_x": (STEP_RANK + 2 * STATE, 2 * WIDTH),
    "ssm_dt": (2 * WIDTH, STEP_RANK),
    "ssm_dt.bias": (2 * WIDTH,),
    "ssm_a.": (2 * WIDTH, STATE),
    "ssm_d.": (2 * WIDTH,),
    "ssm_out": (WIDTH, 2 * WIDTH),
}
_SHORT_CONVOLUTION = {
    "attn_norm": (WIDTH,),
    "shortconv.conv": (WIDTH, CONVOLUTION),
    "shortconv.in_proj": (3 * WIDTH, WIDTH),
    "shortconv.out_proj": (WIDTH, WIDTH),
}
_HEAD_COUNTS = {"attention.head_count": HEADS, "attention.head_count_kv": KV_HEADS}


@dataclass(frozen=True, slots=True)
class Architecture:
    """``layers``: the tensors of each, by name; ``numbers``: metadata of its own."""

    name: str
    layers: tuple[Shapes, ...]
    numbers: Mapping[str, int | list[int]] = field(default_factory=dict)
    last_norm: str = "output_norm"


LLAMA = Architecture("llama", (_ATTENTION | _FEED_FORWARD,) * NUM_LAYERS, _HEAD_COUNTS)
GEMMA3 = Architecture(
    "gemma3",
    (_ATTENTION | _HEAD_NORMS | _POST_NORMS | _FEED_FORWARD,) * NUM_LAYERS,
    {
        **_HEAD_COUNTS,
        "attention.key_length": HEAD,
        "attention.value_length": HEAD,
        "attention.sliding_window": SLIDING_WINDOW,
    },
)
MAMBA = Architecture(
    "mamba",
    (_STATE_SPACE,) * NUM_LAYERS,
    {
        "attention.head_count": 0,
        "ssm.conv_kernel": CONVOLUTION,
        "ssm.inner_size": 2 * WIDTH,
        "ssm.state_size": STATE,
        "ssm.time_step_rank": STEP_RANK,
    },
)
LFM2 = Architecture(
    "lfm2",
    (_SHORT_CONVOLUTION | _FEED_FORWARD, _ATTENTION | _HEAD_NORMS | _FEED_FORWARD),
    {
        "attention.head_count": HEADS,
        "attention.head_count_kv": [0, KV_HEADS],
        "shortconv.l_cache": CONVOLUTION,
    },
    last_norm="token_embd_norm",
)


def write_tiny_model(
    path: Path,
    architecture: Architecture,
    vocabulary: Path,
    template: str | None = None,
    *,
    tensors_per_part: int = 0,
) -> Path:
    """``vocabulary``: a GGUF file whose tokens it gets; ``template``: its chat template.

    With ``tensors_per_part`` it is split: ``path`` is then the name without the parts' numbers.
    """
    writer = GGUFWriter(path, architecture.name, split_max_tensors=tensors_per_part)
    writer.add_name(f"tiny-{architecture.name}")
    _add_numbers(writer, architecture)
    entries = list(_tokenizer(vocabulary))
    for entry in entries:
        entry.add_to(writer)
    if template is not None:
        writer.add_chat_template(template)
    (tokens,) = (e.value for e in entries if e.key == "tokenizer.ggml.tokens")
    _add_tensors(writer, architecture, len(tokens))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _tokenizer(vocabulary: Path) -> Iterator[Entry]:
    return (e for e in read_metadata(vocabulary) if e.key.startswith("tokenizer.ggml."))


def _add_numbers(writer: GGUFWriter, architecture: Architecture) -> None:
    writer.add_context_length(WINDOW)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(len(architecture.layers))
    writer.add_feed_forward_length(INNER)
    writer.add_layer_norm_rms_eps(1e-5)
    for key, value in architecture.numbers.items():
        if isinstance(value, list):
            writer.add_array(f"{architecture.name}.{key}", value)
        else:
            writer.add_uint32(f"{architecture.name}.{key}", value)


def _add_tensors(writer: GGUFWriter, architecture: Architecture, num_vocab: int) -> None:
    random = np.random.default_rng(7)

    def add(name: str, shape: tuple[int, ...]) -> None:
        is_whole = name.endswith((".bias", "."))
        middle = 1.0 if "norm" in name else -1.0 if "ssm_a" in name else 0.0
        weights = middle + random.standard_normal(shape, np.float32) / WIDTH**0.5
        writer.add_tensor(name.rstrip(".") if is_whole else f"{name}.weight", weights)

    add("token_embd", (num_vocab, WIDTH))
    add(architecture.last_norm, (WIDTH,))
    for number, layer in enumerate(architecture.layers):
        for name, shape in layer.items():
            add(f"blk.{number}.{name}", shape)

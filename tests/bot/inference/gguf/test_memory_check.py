from __future__ import annotations

from dataclasses import replace

import pytest

from bot.errors import ModelError
from bot.inference.gguf.memory_check import ModelFacts, check_fit
from bot.inference.llama.options import Attention, KVLayout, LlamaOptions

SMOLLM2 = {
    "general.architecture": "llama",
    "general.name": "Smol",
    "llama.block_count": "30",
    "llama.embedding_length": "576",
    "llama.attention.head_count": "9",
    "llama.attention.head_count_kv": "3",
    "llama.context_length": "8192",
}


def facts(**changes: str) -> ModelFacts:
    metadata = {**SMOLLM2, **{k.replace("__", "."): v for k, v in changes.items()}}
    return ModelFacts.read(metadata, num_bytes=98_362_432, num_vocab=49_152)


def test_a_cell_of_smollm2_takes_23_040_bytes() -> None:
    assert facts().bytes_per_cell == 23_040


def test_heads_that_differ_by_layer_are_added_up() -> None:
    metadata = {**SMOLLM2, "llama.block_count": "2", "llama.attention.head_count_kv": "[3, 1]"}
    found = ModelFacts.read(metadata, num_bytes=1, num_vocab=1)
    assert found.bytes_per_cell == 2 * (64 + 64) * 4


def test_an_embedding_model_is_recognised() -> None:
    assert not ModelFacts.read(
        {**SMOLLM2, "llama.pooling_type": "1"}, num_bytes=1, num_vocab=1
    ).is_causal
    assert not ModelFacts.read(
        {**SMOLLM2, "llama.attention.causal": "false"}, num_bytes=1, num_vocab=1
    ).is_causal


def test_a_context_larger_than_memory_is_refused_with_the_number_that_fits() -> None:
    with pytest.raises(ModelError, match=r"set PARLEY_KV_TOKENS to [\d]+ or less") as refusal:
        check_fit(facts(), num_cells=10_000_000, max_batch=512, available=2 * 1024**3)
    fitting = int(str(refusal.value).split(" to ")[-1].split(" or ")[0])
    check_fit(facts(), num_cells=fitting, max_batch=512, available=2 * 1024**3)
    with pytest.raises(ModelError):
        check_fit(facts(), num_cells=fitting + 512, max_batch=512, available=2 * 1024**3)


def test_a_model_larger_than_memory_asks_for_a_smaller_one() -> None:
    with pytest.raises(ModelError, match="smaller model"):
        check_fit(facts(), num_cells=4096, max_batch=512, available=1024**2)


def test_a_file_without_metadata_is_refused_in_one_sentence() -> None:
    with pytest.raises(ModelError, match="lacks metadata"):
        ModelFacts.read({"general.architecture": "llama"}, num_bytes=1, num_vocab=1)


MAMBA = {
    "general.architecture": "mamba",
    "mamba.block_count": "64",
    "mamba.embedding_length": "2560",
    "mamba.attention.head_count": "0",
    "mamba.ssm.conv_kernel": "4",
    "mamba.ssm.inner_size": "5120",
    "mamba.ssm.state_size": "16",
    "mamba.context_length": "1048576",
}


def test_a_recurrent_model_takes_a_state_for_each_reply_and_nothing_for_a_token() -> None:
    mamba = ModelFacts.read(MAMBA, num_bytes=1, num_vocab=1)
    state = 64 * 4 * (3 * 5120 + 16 * 5120)
    assert (mamba.bytes_per_cell, mamba.bytes_per_sequence) == (0, state)
    assert mamba.needed_bytes(16_384, 512, 16) - mamba.needed_bytes(0, 512) == 16 * state
    with pytest.raises(ModelError, match="smaller model"):
        check_fit(mamba, num_cells=4096, max_batch=512, num_running=16, available=10 * state)


def test_plain_attention_keeps_the_scores_of_a_micro_batch_for_every_head_and_cell() -> None:
    flash = LlamaOptions(num_cells=16_384, window=4_096)
    plain = replace(flash, attention=Attention.PLAIN)
    small = replace(plain, max_ubatch=128)
    needed = [each.needed_bytes(facts()) for each in (flash, plain, small)]
    scores = 4 * 9 * 16_384
    assert [each - needed[0] for each in needed] == [0, 512 * scores, 128 * scores]


@pytest.mark.parametrize(("window", "num_attended"), [(4_096, 8_192), (16_384, 16_384)])
def test_streams_need_all_cells_twice_while_they_move_and_scores_for_each_lane(
    window: int, num_attended: int
) -> None:
    flash = LlamaOptions(num_cells=16_384, window=window, kv_layout=KVLayout.STREAMS)
    plain = replace(flash, attention=Attention.PLAIN)
    unified = replace(flash, kv_layout=KVLayout.UNIFIED)
    model = replace(facts(), max_context=window)
    needed = [each.needed_bytes(model) for each in (unified, flash, plain)]
    copies = model.bytes_per_cell * 16_384
    assert [each - needed[0] for each in needed] == [
        0,
        copies,
        copies + 4 * 9 * 512 * num_attended,
    ]
    fits = unified.needed_bytes(model)
    with pytest.raises(ModelError, match="PARLEY_KV_TOKENS to 8192"):
        check_fit(model, num_cells=16_384, max_batch=528, num_copies=1, available=fits)


def test_the_layer_with_most_heads_counts() -> None:
    assert facts(llama__attention__head_count="[9, 12]").num_heads == 12


def test_a_context_that_plain_attention_does_not_fit_is_refused() -> None:
    fits = facts().needed_bytes(4096, 512)
    check_fit(facts(), num_cells=4096, max_batch=512, available=fits)
    with pytest.raises(ModelError, match="GiB are free"):
        check_fit(facts(), num_cells=4096, max_batch=512, num_scores=512, available=fits)

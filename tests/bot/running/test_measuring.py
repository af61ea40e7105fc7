"""What a trial measures, beside its proof: kept, used for loading, and shown; or what failed."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import llama_cpp as llama
import pytest

from bot.config import Settings, load_settings
from bot.errors import ModelError
from bot.inference.gguf import memory_check
from bot.inference.llama import measuring
from bot.inference.llama.backend import supports_gpu
from bot.inference.llama.files import load_weights, read_facts
from bot.inference.llama.measuring import Measurement
from bot.inference.llama.options import Attention, KVLayout, LlamaOptions
from bot.inference.llama.tuning import Figure, Tuning, TuningSpace
from bot.inference.model_files import locate
from bot.running import loading, speeds
from bot.running.loading import (
    describe_device,
    fastest_options,
    is_proved,
    open_proved,
    options_of,
    prove,
    prove_source,
    tuning_of,
    tuning_space,
)
from bot.running.proofs import Proofs

FLASH = Figure(Attention.FLASH, KVLayout.UNIFIED, 1, 39.2, 47.1, 90, 150)
PLAIN = Figure(Attention.PLAIN, KVLayout.STREAMS, 1, 72.4, 115.3, 90, 150)
CHOICE = {"attention": "plain", "kv_layout": "streams", "max_ubatch": 128, "pass_cells": 900}
TUNING = Tuning(CHOICE, (FLASH, PLAIN), num_replies=8, depth=960)
FOUND = f"print({TUNING.to_text()!r})"
BASE = {"PARLEY_CPU_THREADS": "1", "PARLEY_GPU_LAYERS": "0"}


def settings(folder: Path, **environ: str) -> Settings:
    return load_settings({**BASE, **environ}, folder)


def proofs(folder: Path, *deeds: str, patience: float = 60.0) -> Proofs:
    """Proofs whose child notes what it is to measure, proves the model, and does the deeds."""
    noted = f"open({str(folder / 'asked')!r}, 'a').write(''.join([*sys.argv[3:], chr(10)]))"
    says = "print('proved'), print('0.0 measured plain attention', flush=True)"
    code = "; ".join(["import os, signal, sys", noted, says, *deeds])
    return Proofs(folder / "proofs", (sys.executable, "-c", code), patience, "llama 1", "avx2")


def asked(folder: Path) -> list[str]:
    """What each child was asked to measure."""
    return (folder / "asked").read_text().splitlines()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "mine.gguf"
    path.write_bytes(b"GGUF" * 100)
    return path


def test_what_is_the_fastest_is_used_and_kept(tmp_path: Path, model: Path) -> None:
    ours = settings(tmp_path)
    for _ in range(2):
        found = proofs(tmp_path, FOUND)
        assert prove(ours, found, model)
        chosen = {"attention": Attention.PLAIN, "kv_layout": KVLayout.STREAMS, "max_ubatch": 128}
        expected = replace(options_of(ours), pass_cells=900, **chosen)  # type: ignore[arg-type]
        assert fastest_options(ours, found, model) == expected
        assert tuning_of(ours, found, model) == TUNING
    assert len(asked(tmp_path)) == 1


def test_before_a_trial_the_options_are_those_that_will_be_proved(
    tmp_path: Path, model: Path
) -> None:
    ours = settings(tmp_path)
    assert fastest_options(ours, proofs(tmp_path), model) == options_of(ours)
    assert (options_of(ours).attention, options_of(ours).kv_layout) == ("flash", "unified")


def test_what_is_set_is_not_measured(tmp_path: Path, model: Path) -> None:
    prove(settings(tmp_path), proofs(tmp_path, FOUND), model)
    given = {"PARLEY_ATTENTION": "Flash", "PARLEY_UBATCH": "64"}
    prove(settings(tmp_path, **given), proofs(tmp_path, FOUND), model)
    given["PARLEY_KV_LAYOUT"] = "streams"
    all_set = settings(tmp_path, **given)
    prove(all_set, proofs(tmp_path), model)
    everything, layouts, nothing = asked(tmp_path)
    assert json.loads(everything) == {
        "attention": ["flash", "plain"],
        "kv_layout": ["unified", "streams"],
        "max_ubatch": [512, 128],
        "num_threads": [1],
    }
    assert json.loads(layouts) == {
        "attention": ["flash"],
        "kv_layout": ["unified", "streams"],
        "max_ubatch": [64],
        "num_threads": [1],
    }
    assert nothing == ""
    options = fastest_options(all_set, proofs(tmp_path), model)
    assert (options.attention, options.kv_layout, options.max_ubatch) == ("flash", "streams", 64)


def test_a_pool_too_small_for_a_reply_at_depth_is_not_measured(tmp_path: Path) -> None:
    assert tuning_space(settings(tmp_path, PARLEY_KV_TOKENS="1024")) is None


def test_logical_processors_are_measured_where_they_are_more_than_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "usable_processors", lambda: 99)
    free, fixed = load_settings({"PARLEY_GPU_LAYERS": "0"}, tmp_path), settings(tmp_path)
    spaces = tuning_space(free), tuning_space(fixed)
    assert [space and space.num_threads for space in spaces] == [(free.num_threads, 99), (1,)]
    assert [describe_device(each) for each in (free, fixed)] == ["CPU", "CPU (1 thread)"]


def test_a_file_that_runs_as_a_copy_is_proved_and_only_its_copy_measured(
    tmp_path: Path, model: Path
) -> None:
    found = proofs(tmp_path, FOUND)
    embedded, mine = settings(tmp_path), settings(tmp_path, PARLEY_OPTIMIZE="off")
    assert not is_proved(embedded, found, model)
    prove_source(embedded, found, model)
    assert is_proved(embedded, found, model)
    assert not is_proved(mine, found, model)
    prove_source(mine, found, model)
    original, other = asked(tmp_path)
    assert (original, other[:1]) == ("", "{")


def test_pools_of_other_sizes_share_what_was_measured(tmp_path: Path, model: Path) -> None:
    prove(settings(tmp_path), proofs(tmp_path, FOUND), model)
    larger = settings(tmp_path, PARLEY_KV_TOKENS="20000")
    assert prove(larger, proofs(tmp_path), model)
    assert fastest_options(larger, proofs(tmp_path), model).attention == Attention.PLAIN
    _, again = asked(tmp_path)
    assert again == "", "it is proved only"


@pytest.mark.parametrize("text", ["", '{"model": "mine.gguf", "options": {}}'])
def test_a_proof_without_what_was_measured_is_made_again(
    tmp_path: Path, model: Path, text: str
) -> None:
    ours, first = settings(tmp_path), proofs(tmp_path, FOUND)
    prove(ours, first, model)
    for kept in first.folder.iterdir():
        if "tuning" in kept.read_text():
            kept.write_text(text)
    later = proofs(tmp_path, FOUND)
    assert prove(ours, later, model)
    assert fastest_options(ours, later, model).attention == Attention.PLAIN
    assert len(asked(tmp_path)) == 2


@pytest.mark.parametrize(
    ("deed", "fault"),
    [
        (
            "os.kill(os.getpid(), signal.SIGSEGV)",
            "llama.cpp died of a memory fault (SIGSEGV) while it measured plain attention",
        ),
        ("raise ValueError", "llama.cpp failed while it measured plain attention"),
        (
            "os.execlp('sleep', 'sleep', '600')",
            "llama.cpp gave no sign for 1 s while it measured plain attention",
        ),
        (f"print({Tuning({}, fault='there is no room').to_text()!r})", "there is no room"),
    ],
)
def test_a_model_that_fails_as_it_is_measured_runs_with_what_was_proved(
    tmp_path: Path, model: Path, deed: str, fault: str
) -> None:
    ours = settings(tmp_path)
    patience = 1.0 if "sleep" in deed else 60.0
    for _ in range(2):
        failing = proofs(tmp_path, deed, patience=patience)
        assert prove(ours, failing, model)
        options, tuning = fastest_options(ours, failing, model), tuning_of(ours, failing, model)
        assert options == options_of(ours)
        assert tuning is not None
        assert speeds.in_full(options, tuning) == (
            "flash attention, one pool for all replies, micro-batches of 512 tokens, "
            f"1 CPU thread: nothing was measured, since {fault}"
        )
    assert len(asked(tmp_path)) == 1, "it is not tried at each start"


def test_a_measurement_that_lacked_memory_is_made_again_at_the_next_start(
    tmp_path: Path, model: Path
) -> None:
    ours, deadly = settings(tmp_path), "os.kill(os.getpid(), signal.SIGKILL)"
    for _ in range(2):
        short = proofs(tmp_path, deadly)
        assert prove(ours, short, model)
        assert prove(ours, short, model), "not twice in a process"
    assert len(asked(tmp_path)) == 2


def test_what_was_measured_beside_others_is_told_and_measured_again_at_the_next_start(
    tmp_path: Path, model: Path
) -> None:
    ours, disturbed = settings(tmp_path), replace(TUNING, share=0.41)
    for _ in range(2):
        found = proofs(tmp_path, f"print({disturbed.to_text()!r})")
        assert prove(ours, found, model)
        assert prove(ours, found, model), "not twice in a process"
        options = fastest_options(ours, found, model)
        assert options == TUNING.options(options_of(ours))
        assert speeds.in_short(options, disturbed) == (
            "plain attention, a stream for each reply: 115 tokens/s for 8 replies at depth 960, "
            "72 for one, measured with 41% of the processors, since others computed; the next "
            "start measures again"
        )
    assert len(asked(tmp_path)) == 2


def test_the_speeds_are_told_beside_those_of_the_other_attention(tmp_path: Path) -> None:
    options = TUNING.options(options_of(settings(tmp_path)))
    faster = replace(PLAIN, kv_layout=KVLayout.UNIFIED, alone=60, together=60)
    tuning = replace(TUNING, figures=(FLASH, PLAIN, faster))
    lane = "plain attention, a stream for each reply"
    own = "115 tokens/s for 8 replies at depth 960, 72 for one"
    told = f"{own}; flash attention, one pool for all replies: 47, 39"
    assert speeds.in_short(options, tuning) == f"{lane}: {own}"
    full = f"{lane}, micro-batches of 128 tokens, 1 CPU thread"
    assert speeds.in_full(options, tuning) == f"{full}: {told}"
    assert speeds.in_full(options, None) == f"{full}; nothing was measured"
    assert speeds.in_short(options, Tuning({})) == ""


@pytest.mark.model
@pytest.mark.skipif(supports_gpu(), reason="on a GPU nothing is measured")
def test_the_embedded_model_passes_every_trial_and_is_measured(tmp_path: Path) -> None:
    ours = settings(tmp_path, PARLEY_KV_TOKENS="2560", PARLEY_RUNNING="2")
    real, path = Proofs(tmp_path / "proofs"), locate.locate("smollm2")
    assert prove(ours, real, path)
    silent = replace(real, command=(sys.executable, "-c", "raise SystemExit(1)"))
    assert prove(ours, silent, path), "it is kept"
    tuning = tuning_of(ours, real, path)
    assert tuning is not None
    assert (tuning.fault, tuning.num_replies, len(tuning.figures)) == ("", 2, 4)
    assert all(min(figure.alone, figure.together) > 0 for figure in tuning.figures)
    chosen = fastest_options(ours, real, path)
    assert chosen.attention in [figure.attention for figure in tuning.figures]
    chosen_for_itself = {"attention", "kv_layout", "num_threads"}
    if not tuning.is_disturbed:  # by the other tests, which take the processors, too
        chosen_for_itself.add("max_ubatch")
    assert tuning.choice.keys() >= chosen_for_itself


@pytest.mark.model
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_what_got_too_little_of_the_processors_chooses_the_default(
    monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    """Here the default is the slowest by far, as it may seem beside others."""
    monkeypatch.setattr(measuring, "_SLOW_UNIT", 0.0)
    monkeypatch.setattr(time, "process_time", lambda: share * time.perf_counter())
    default = Attention.PLAIN, KVLayout.STREAMS
    monkeypatch.setattr(Figure, "speed", property(lambda f: 2 - (f.attention == default[0])))
    options = LlamaOptions(num_cells=2_560, max_running=2, num_threads=1)
    space = replace(
        TuningSpace.only(options), attention=tuple(Attention), kv_layout=tuple(KVLayout)
    )
    weights = load_weights(locate.locate("smollm2"), 0)
    try:
        tuning = Measurement(weights, options, lambda _: None).run(space)
    finally:
        llama.llama_model_free(weights)
    assert tuning.share == pytest.approx(share, abs=0.01)
    chosen = tuning.choice["attention"], tuning.choice["kv_layout"]
    assert (chosen == default) is (share == 0.5)


@pytest.mark.model
@pytest.mark.skipif(supports_gpu(), reason="llama.cpp itself reports a lack of GPU memory")
def test_options_that_need_more_memory_than_there_is_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, path = settings(tmp_path, PARLEY_KV_TOKENS="2048"), locate.locate("smollm2")
    found = proofs(tmp_path, FOUND.replace("128", "512"))
    prove(ours, found, path)

    def loaded(available: int) -> LlamaOptions:
        monkeypatch.setattr(memory_check, "available_bytes", lambda: available)
        model = open_proved(ours, found, path, "smollm2")
        model.close()
        return model.options

    plenty = loaded(1 << 40)
    assert plenty.attention == Attention.PLAIN
    needed = plenty.needed_bytes(read_facts(path))
    assert loaded(needed) == plenty
    assert loaded(needed - 1) == options_of(ours)
    with pytest.raises(ModelError, match="GiB are free"):
        loaded(1 << 20)

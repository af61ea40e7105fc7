"""Models that kill llama.cpp are not loaded: real child processes crash, hang or survive."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bot.errors import ModelDied, ModelError
from bot.inference.llama.options import LlamaOptions
from bot.running.proofs import Proofs, describe_processor
from bot.running.trial import try_out

OPTIONS = LlamaOptions(num_cells=1024, max_running=2, num_slots=4, num_threads=1, gpu_layers=0)
AGAIN = (
    "build it again with `make clean` and `CMAKE_ARGS=-DGGML_NATIVE=off make run`, "
    "or use another model."
)
SAYS = "import os, resource, signal, sys; print('0.0 computed a token', flush=True); "


def proofs(folder: Path, *deeds: str, patience: float = 60.0) -> Proofs:
    """Proofs whose child reports its work, counts its starts, and then does ``deed``."""
    counted = f"open({str(folder / 'count')!r}, 'a').write('.'); "
    command = sys.executable, "-c", SAYS + counted + "; ".join(deeds)
    return Proofs(folder / "proofs", command, patience, library="llama 1", processor="avx2")


def num_children(folder: Path) -> int:
    return len((folder / "count").read_text())


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "mine.gguf"
    path.write_bytes(b"GGUF" * 100)
    return path


def died(proofs: Proofs, model: Path) -> str:
    with pytest.raises(ModelDied) as failure:
        proofs.prove(model, OPTIONS)
    assert not list(proofs.folder.glob("*")), "what failed is tried again"
    return str(failure.value)


@pytest.mark.parametrize(
    ("number", "named"),
    [
        ("SIGILL", "an illegal instruction (SIGILL)"),
        ("SIGSEGV", "a memory fault (SIGSEGV)"),
        ("SIGABRT", "a failed check (SIGABRT)"),
        ("SIGBUS", "SIGBUS"),
    ],
)
def test_the_error_of_a_crashed_child_says_how_when_and_what_to_do(
    tmp_path: Path, model: Path, number: str, named: str
) -> None:
    sentence = died(proofs(tmp_path, f"os.kill(os.getpid(), signal.{number})"), model)
    assert sentence == (
        f"llama.cpp died of {named} while it computed a token with the model mine: {AGAIN}"
    )


def test_a_model_that_died_is_refused_at_once_for_ten_minutes(tmp_path: Path, model: Path) -> None:
    clock = iter([0.0, 1.0, 599.0, 601.0, 602.0])
    deadly = replace(proofs(tmp_path, "os.abort()"), now=lambda: next(clock))
    sentences = {died(deadly, model) for _ in range(3)}
    assert len(sentences) == 1
    assert num_children(tmp_path) == 1
    died(deadly, model)
    assert num_children(tmp_path) == 2


def test_another_file_in_its_place_is_tried_at_once(tmp_path: Path, model: Path) -> None:
    deadly = proofs(tmp_path, "os.abort()")
    died(deadly, model)
    with pytest.raises(ModelDied):
        deadly.check(model, OPTIONS)
    model.write_bytes(b"GGUF" * 101)
    deadly.check(model, OPTIONS)
    died(deadly, model)
    assert num_children(tmp_path) == 2


def test_a_model_for_which_memory_was_short_is_tried_again(tmp_path: Path, model: Path) -> None:
    short = proofs(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)")
    for _ in range(2):
        with pytest.raises(ModelError, match="The memory is not enough"):
            short.prove(model, OPTIONS)
    assert num_children(tmp_path) == 2


def shell(folder: Path, deed: str, patience: float) -> Proofs:
    """A child that starts at once, however busy the machine is."""
    command = "/bin/sh", "-c", f"echo 0.0 computed a token; {deed}"
    return replace(proofs(folder, patience=patience), command=command)


@pytest.mark.parametrize("deed", ["exec sleep 600", "exec >&- 2>&-; exec sleep 600"])
def test_a_child_that_hangs_is_ended_after_its_time(tmp_path: Path, model: Path, deed: str) -> None:
    sentence = died(shell(tmp_path, deed, patience=1.0), model)
    assert sentence == (
        "llama.cpp gave no sign for 1 s while it computed a token with the model mine: "
        f"look what else the machine computes, or {AGAIN}"
    )


def test_a_child_that_writes_without_end_is_ended(tmp_path: Path, model: Path) -> None:
    assert "gave no sign" in died(proofs(tmp_path, "exec('while True: print(1e9)')"), model)


def test_a_child_gets_the_time_that_it_asks_for(tmp_path: Path, model: Path) -> None:
    slow = shell(tmp_path, "echo 60.0 read a long prompt; exec sleep 1.2", patience=1.0)
    assert slow.prove(model, OPTIONS)


@pytest.mark.parametrize(
    "deed",
    [
        "os.kill(os.getpid(), signal.SIGKILL)",  # as the kernel does where memory is short
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 28, 1 << 28)); bytearray(1 << 30)",
        'print("terminate called: what(): std::bad_alloc"); sys.stdout.flush(); os.abort()',
        "print('ggml: failed to allocate buffer of size 10'); sys.exit(3)",
    ],
)
def test_the_error_of_a_child_without_memory_says_so(
    tmp_path: Path, model: Path, deed: str
) -> None:
    with pytest.raises(ModelError) as failure:
        proofs(tmp_path, deed).prove(model, OPTIONS)
    assert not isinstance(failure.value, ModelDied), "with more memory it may work"
    assert str(failure.value) == (
        "The memory is not enough: a trial ended while it computed a token with the model mine. "
        "Make room, lower PARLEY_KV_TOKENS, or choose a smaller model."
    )


def test_the_error_of_a_child_that_fails_in_python_has_its_last_words(
    tmp_path: Path, model: Path
) -> None:
    sentence = died(proofs(tmp_path, "raise ImportError('libgomp.so.1 is missing')"), model)
    assert "with the model mine (ImportError: libgomp.so.1 is missing): " in sentence
    assert "Traceback" not in sentence


def test_for_a_model_that_llama_cpp_refuses_loading_gives_the_error(
    tmp_path: Path, model: Path
) -> None:
    refusing = proofs(tmp_path, "sys.exit(3)")
    assert not refusing.prove(model, OPTIONS)
    assert not refusing.has(model, OPTIONS)


def test_a_command_that_cannot_be_started_is_one_sentence(tmp_path: Path, model: Path) -> None:
    nothing = replace(proofs(tmp_path), command=(str(tmp_path / "nothing"),))
    with pytest.raises(ModelError, match=r"No process can be started .* \(No such file"):
        nothing.prove(model, OPTIONS)


def test_a_proven_model_is_not_proven_again(tmp_path: Path, model: Path) -> None:
    for _ in range(3):
        assert proofs(tmp_path).prove(model, OPTIONS)
    assert num_children(tmp_path) == 1


def test_another_library_processor_option_or_file_is_proven_anew(
    tmp_path: Path, model: Path
) -> None:
    first = proofs(tmp_path)
    first.prove(model, OPTIONS)
    replace(first, library="llama 2").prove(model, OPTIONS)
    replace(first, processor="avx2 amx_int8").prove(model, OPTIONS)
    first.prove(model, replace(OPTIONS, num_threads=2))
    model.write_bytes(b"GGUF" * 101)
    first.prove(model, OPTIONS)
    assert num_children(tmp_path) == 5


def test_without_a_writable_folder_a_model_is_proven_each_time(tmp_path: Path, model: Path) -> None:
    (tmp_path / "proofs").write_text("a file")
    for _ in range(2):
        assert proofs(tmp_path).prove(model, OPTIONS)
    assert num_children(tmp_path) == 2


def test_the_child_has_no_secret_and_no_input(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-1")
    monkeypatch.setenv("PARLEY_API_KEYS", "ci:hunter2")
    child = proofs(
        tmp_path, "assert not {'SLACK_BOT_TOKEN', 'PARLEY_API_KEYS'} & set(os.environ)",
        "assert not sys.stdin.read()",
    )  # fmt: skip
    assert child.prove(model, OPTIONS)


def test_a_processor_is_described_by_its_name_and_features(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor : 0\nmodel name : Xeon\ncpu MHz : 2300\nflags : avx2 amx_int8\n" * 2)
    before = describe_processor(info)
    info.write_text(info.read_text().replace("2300", "800"))
    assert describe_processor(info) == before
    info.write_text(info.read_text().replace(" amx_int8", ""))
    assert describe_processor(info) != before


def test_a_trial_waits_for_its_threads_as_parley_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    monkeypatch.setenv("GOMP_SPINCOUNT", "3000")
    told = "import os; print(os.environ['OMP_WAIT_POLICY'], os.environ['GOMP_SPINCOUNT'])"
    assert try_out([sys.executable, "-c", told], 60).last_words == "active 3000"

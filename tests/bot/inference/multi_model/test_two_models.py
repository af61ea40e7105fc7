"""The real model under two names: loaded, unloaded, and never computing at the same time."""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path

import pytest

from bot.config import Settings, load_settings
from bot.generation import ChatMessage, FinishReason, GenerationRequest, Queued, Sampling
from bot.inference.core.sequence import Step
from bot.inference.llama.model import LlamaModel
from bot.inference.model_files import locate
from bot.inference.multi_model.fleet import Fleet
from bot.inference.state_store.folders import StateFolders
from bot.metrics import Metrics
from bot.running.engines import LocalLoader, make_catalogue
from bot.running.proofs import Proofs
from tests.bot.inference.streams import read

pytestmark = pytest.mark.model


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "twin.gguf").symlink_to(locate.locate(locate.EMBEDDED))
    small = {"PARLEY_KV_TOKENS": "1024", "PARLEY_RUNNING": "4", "PARLEY_CPU_THREADS": "1"}
    return load_settings(small, tmp_path)


@pytest.fixture
def computing(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, int]]:
    """The models that computed, each with the threads that ran it."""
    seen, run = set[tuple[str, int]](), LlamaModel.run

    def noted(model: LlamaModel, step: Step) -> dict[int, list[int]]:
        seen.add((model.name, threading.get_ident()))
        return run(model, step)

    monkeypatch.setattr(LlamaModel, "run", noted)
    return seen


def make_fleet(
    settings: Settings, metrics: Metrics, budget: int, proofs: Proofs | None = None
) -> Fleet:
    catalogue = make_catalogue(settings)
    assert catalogue.read() == ("smollm2", "twin")
    state_folders = StateFolders(settings.data_dir / "parked")
    loader = LocalLoader(settings, metrics, catalogue, state_folders, proofs=proofs)
    return Fleet("smollm2", loader, metrics, budget=budget, state_folders=state_folders)


def capital(model: str | None = None) -> GenerationRequest:
    message = ChatMessage("user", "What is the capital of France?")
    return GenerationRequest(
        messages=(message,),
        person="ada",
        model=model,
        max_tokens=5,
        sampling=Sampling(temperature=0),
    )


async def test_two_models_answer_side_by_side_and_compute_in_one_thread(
    settings: Settings, computing: set[tuple[str, int]]
) -> None:
    """OpenMP keeps helper threads for every thread that computes, so two slow each other down."""
    metrics = Metrics()
    fleet = await asyncio.to_thread(make_fleet, settings, metrics, 1 << 40)
    async with fleet:
        twin = await fleet.model("twin")
        assert await twin.count(capital().messages) == await fleet.count(capital().messages)
        streams = [await fleet.generate(capital(name)) for name in (None, "twin", None, "twin")]
        replies = await asyncio.gather(*map(read, streams))
    assert all(text for text, _ in replies)
    assert {finished.reason for _, finished in replies} <= {FinishReason.STOP, FinishReason.LENGTH}
    assert {name for name, _ in computing} == {"smollm2", "twin"}
    assert len({thread for _, thread in computing}) == 1
    assert metrics.registry.get_sample_value("parley_model_loads_total") == 2


async def test_a_budget_for_one_loads_them_by_turns(settings: Settings) -> None:
    metrics = Metrics()
    fleet = await asyncio.to_thread(make_fleet, settings, metrics, 250 << 20)
    async with fleet:
        for name in ("smollm2", "twin", "smollm2"):
            stream = await fleet.generate(capital(name))
            if fleet.loaded != (name,):
                assert await anext(stream) == Queued(1, loading=name)
            assert (await read(stream))[0]
            assert fleet.loaded == (name,)
    assert metrics.registry.get_sample_value("parley_model_loads_total") == 3
    assert metrics.registry.get_sample_value("parley_model_unloads_total") == 2


DIES_OF_TWINS = """
import os, signal, sys
if "twin" in sys.argv[1]:
    print("0.0 counted itself", file=open(os.environ["COUNT"], "a"))
    os.kill(os.getpid(), signal.SIGILL)
"""


async def test_a_second_model_that_llama_cpp_dies_of_says_so_and_harms_nobody(
    settings: Settings,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only one child process dies, however often the model is asked for."""
    monkeypatch.setenv("COUNT", str(tmp_path / "count"))
    metrics = Metrics()
    child = sys.executable, "-c", DIES_OF_TWINS
    (tmp_path / "proofs").touch()  # none is kept: the twins are the same file
    proofs = await asyncio.to_thread(Proofs, tmp_path / "proofs", child)
    fleet = await asyncio.to_thread(make_fleet, settings, metrics, 1 << 40, proofs)
    async with fleet:
        for _ in range(2):
            _, finished = await read(await fleet.generate(capital("twin")))
            assert finished.reason is FinishReason.ERROR
            assert finished.detail == "The model twin could not be loaded."
        assert len((tmp_path / "count").read_text().splitlines()) == 1
        assert "llama.cpp died of an illegal instruction (SIGILL) while" in caplog.text
        assert "with the model twin: build it again with `make clean`" in caplog.text
        assert fleet.loaded == ("smollm2",)
        assert (await read(await fleet.generate(capital())))[0]

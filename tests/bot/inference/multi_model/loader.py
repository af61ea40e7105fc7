"""A loader of fake models for the tests of the fleet."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from bot.errors import ModelDied, ModelError
from bot.generation import ChatMessage, GenerationRequest, RawPrompt
from bot.inference.core.model import Model
from bot.inference.core.sequence import Step
from bot.inference.engine.offloading import OffloadOptions
from bot.inference.engine.service import NO_OFFLOAD, InferenceService
from bot.inference.engine.worker import computing_thread
from bot.inference.multi_model.fleet import Fleet
from bot.inference.state_store.folders import StateFolders
from bot.metrics import Metrics
from tests.bot.inference.streams import read
from tests.fakes.model import FakeModel

SIZE = 100


class CountedModel(FakeModel):
    """Reports to its loader when it computes."""

    def __init__(self, loader: FakeLoader, name: str, **options: Any) -> None:
        super().__init__(lambda prompt: f"{name} heard {prompt}", **options)
        self._loader = loader
        self.name = name

    def run(self, step: Step) -> dict[int, list[int]]:
        with self._loader.computing():
            return super().run(step)


class FakeOutline:
    """``window`` of the model ``wide`` is twice that of others."""

    def __init__(self, name: str) -> None:
        self.window = 2_000 if name == "wide" else 1_000
        self.needed_bytes = SIZE
        self.is_closed = False

    def encode(self, messages: Sequence[ChatMessage]) -> list[int]:
        return [ord(c) for m in messages for c in m.content]

    def encode_raw(self, prompt: RawPrompt) -> list[int]:
        return FakeModel().encode_raw(prompt)

    def texts(self, tokens: Sequence[int]) -> list[bytes]:
        return FakeModel().texts(tokens)

    def detokenize(self, tokens: Sequence[int], *, shows_special: bool) -> str:
        return FakeModel().detokenize(tokens, shows_special=shows_special)

    def close(self) -> None:
        self.is_closed = True


class FakeLoader:
    """A ``Loader``. ``loads`` has the names in the order of loading; ``may_load`` blocks loads.

    ``refuse(name)``: the load finds no memory. ``breaks``: other errors that loads raise.
    ``deadly``: models that kill llama.cpp.
    """

    def __init__(
        self, *names: str, offloading: OffloadOptions = NO_OFFLOAD, **options: Any
    ) -> None:
        """``offloading.folder`` holds one folder for each model."""
        self.sources = {name: f"/models/{name}.gguf" for name in names}
        self.loads: list[str] = []
        self.models: dict[str, CountedModel] = {}
        self.outlines: dict[str, FakeOutline] = {}
        self.most_computing = 0
        self.may_load = threading.Event()
        self.may_load.set()
        self.refuse: Callable[[str], bool] = lambda _name: False
        self.breaks: dict[str, Exception] = {}
        self.deadly = set[str]()
        self.metrics = Metrics()
        self._options, self._offloading = options, offloading
        self.state_folders = StateFolders(offloading.folder or Path("no such folder"))
        # a model that waits for ``allow`` would block a shared thread
        self._thread = None if options.get("stepwise") else computing_thread()
        self._computing = 0
        self._lock = threading.Lock()

    @asynccontextmanager
    async def fleet(self, *, budget: int = 10 * SIZE) -> AsyncIterator[Fleet]:
        default = next(iter(self.sources))
        async with Fleet(
            default, self, self.metrics, budget=budget, state_folders=self.state_folders
        ) as fleet:
            try:
                yield fleet
            finally:
                self.may_load.set()
                self.allow()

    def allow(self) -> None:
        """Let the models that are loaded by now run without further stops."""
        for model in self.models.values():
            model.allow(10_000)

    def outline(self, source: str) -> FakeOutline:
        name = source.removeprefix("/models/").removesuffix(".gguf")
        self.outlines[name] = FakeOutline(name)
        return self.outlines[name]

    def check(self, source: str) -> None:
        for name in self.deadly:
            if source == self.sources[name]:
                raise ModelDied(f"llama.cpp died of {name}.")

    def load(self, source: str, name: str) -> tuple[Model, int]:
        assert source == self.sources[name]
        assert self.may_load.wait(10)
        if name in self.breaks:
            raise self.breaks[name]
        if self.refuse(name):
            raise ModelError(f"There is no memory for {name}.")
        self.models[name] = CountedModel(self, name, **self._options)
        self.loads.append(name)
        return self.models[name], SIZE

    def serve(self, model: Model) -> InferenceService:
        folder = self._offloading.folder and self.state_folders.of(model.name)
        return InferenceService(
            model,
            self.metrics.share(),
            max_running=4,
            max_waiting=50,
            offloading=replace(self._offloading, folder=folder),
            thread=self._thread,
        )

    def computing(self) -> Computing:
        return Computing(self)

    def change(self, number: int) -> None:
        with self._lock:
            self._computing += number
            self.most_computing = max(self.most_computing, self._computing)


class Computing:
    def __init__(self, loader: FakeLoader) -> None:
        self._loader = loader

    def __enter__(self) -> None:
        self._loader.change(1)

    def __exit__(self, *_: object) -> None:
        self._loader.change(-1)


def ask(text: str, model: str | None = None, *, person: str = "ada") -> GenerationRequest:
    messages = (ChatMessage("user", text),)
    return GenerationRequest(messages=messages, person=person, model=model)


async def answer(fleet: Fleet, text: str, model: str | None = None) -> str:
    return (await read(await fleet.generate(ask(text, model))))[0]


def metric(loader: FakeLoader, name: str, **labels: str) -> float:
    return loader.metrics.registry.get_sample_value(f"parley_{name}", labels) or 0

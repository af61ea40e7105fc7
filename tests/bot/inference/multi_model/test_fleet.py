"""Several models in one memory: which are loaded and unloaded, and what people read."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from bot.errors import EngineFailed, ModelError
from bot.generation import ChatMessage, FinishReason, Queued
from bot.inference.engine.offloading import OffloadOptions
from tests.bot.inference.multi_model.loader import (
    SIZE,
    CountedModel,
    FakeLoader,
    FakeOutline,
    answer,
    ask,
    metric,
)
from tests.bot.inference.streams import read, until

HI = [ChatMessage("user", "hi")]


async def test_the_default_model_is_loaded_at_the_start_and_others_when_they_are_asked() -> None:
    loader = FakeLoader("a", "b", "c")
    async with loader.fleet() as fleet:
        assert (fleet.name, fleet.names, fleet.loaded) == ("a", ("a", "b", "c"), ("a",))
        assert await answer(fleet, "hi") == "a heard hi"
        assert await answer(fleet, "hi", "b") == "b heard hi"
        assert await answer(fleet, "again", "b") == "b heard again"
    assert loader.loads == ["a", "b"]
    assert metric(loader, "model_loads_total") == 2
    assert all(model.is_closed for model in loader.models.values())
    assert all(outline.is_closed for outline in loader.outlines.values())


async def test_people_see_which_model_is_being_loaded_while_others_continue() -> None:
    loader = FakeLoader("a", "b")
    async with loader.fleet() as fleet:
        loader.may_load.clear()
        stream = await fleet.generate(ask("hi", "b"))
        assert await anext(stream) == Queued(1, loading="b")
        assert await answer(fleet, "hi") == "a heard hi"
        loader.may_load.set()
        assert (await read(stream))[0] == "b heard hi"


async def test_the_least_recently_used_model_is_unloaded_when_memory_is_short() -> None:
    loader = FakeLoader("a", "b", "c")
    async with loader.fleet(budget=2 * SIZE) as fleet:
        for name in ("a", "b", "a", "c"):
            await answer(fleet, "hi", name)
        assert set(fleet.loaded) == {"a", "c"}
        assert loader.models["b"].is_closed
        assert await answer(fleet, "hi", "b") == "b heard hi"
        assert set(fleet.loaded) == {"c", "b"}
    assert loader.loads == ["a", "b", "c", "b"]
    assert metric(loader, "model_unloads_total") == 2


async def test_a_model_is_never_unloaded_amid_a_reply() -> None:
    loader = FakeLoader("a", "b", stepwise=True)
    async with loader.fleet(budget=SIZE) as fleet:
        first = loader.models["a"]
        writing = await fleet.generate(ask("hi", "a"))
        first.allow(2)
        await until(lambda: len(first.steps) == 2)
        waiting = await fleet.generate(ask("hi", "b"))
        for _ in range(50):
            await asyncio.sleep(0)
        assert (loader.loads, first.is_closed) == (["a"], False)
        first.allow(100)
        assert (await read(writing))[0] == "a heard hi"
        await until(lambda: "b" in loader.models)
        assert first.is_closed
        loader.models["b"].allow(100)
        assert (await read(waiting))[0] == "b heard hi"


async def test_a_model_that_is_always_busy_is_unloaded_for_another_one() -> None:
    """A request for it after a request for another model waits until it is loaded again."""
    loader = FakeLoader("a", "b", stepwise=True)
    async with loader.fleet(budget=SIZE) as fleet:
        streams = [await fleet.generate(ask(f"{n}", "a")) for n in range(3)]
        streams.append(await fleet.generate(ask("mine", "b", person="bob")))
        await until(lambda: "a" not in fleet._models)
        streams += [await fleet.generate(ask(f"late {n}", "a")) for n in range(3)]
        loader.allow()
        await until(lambda: loader.loads == ["a", "b"])
        loader.allow()
        await until(lambda: loader.loads == ["a", "b", "a"])
        loader.allow()
        replies = [text for text, _ in await asyncio.gather(*map(read, streams))]
    assert replies[3] == "b heard mine"
    assert [*replies[:3], *replies[4:]] == [
        *(f"a heard {n}" for n in range(3)),
        *(f"a heard late {n}" for n in range(3)),
    ]


async def test_an_idle_model_is_unloaded_before_a_busy_one_that_was_used_earlier() -> None:
    loader = FakeLoader("a", "b", "c", stepwise=True)
    async with loader.fleet(budget=2 * SIZE) as fleet:
        busy = await fleet.generate(ask("hi", "a"))
        idle = await fleet.generate(ask("hi", "b"))
        await until(lambda: "b" in loader.models)
        loader.models["b"].allow(100)
        await read(idle)
        late = await fleet.generate(ask("hi", "c"))
        await until(lambda: "c" in loader.models)
        assert loader.models["b"].is_closed
        assert not loader.models["a"].is_closed
        loader.models["a"].allow(100)
        loader.models["c"].allow(100)
        await asyncio.gather(read(busy), read(late))


async def test_no_two_models_compute_at_once() -> None:
    loader = FakeLoader("a", "b", "c")
    async with loader.fleet() as fleet:
        asking = [answer(fleet, f"{n} " * 20, "abc"[n % 3]) for n in range(12)]
        await asyncio.gather(*asking)
    assert loader.most_computing == 1
    assert all(len(model.steps) > 3 for model in loader.models.values())


async def test_tokens_are_counted_and_the_window_is_known_without_loading() -> None:
    loader = FakeLoader("a", "wide")
    async with loader.fleet() as fleet:
        wide = await fleet.model("wide")
        assert (wide.name, wide.window) == ("wide", 2_000)
        assert await wide.count(HI) == 2
        assert fleet.window == 1_000
        assert await fleet.count(HI) == 3, "and the opening of an answer, as the model has it"
        assert loader.loads == ["a"]
        assert (await read(await wide.generate(ask("hi"))))[0] == "wide heard hi"


async def test_a_question_that_is_stopped_while_its_model_is_loaded_ends_at_once() -> None:
    loader = FakeLoader("a", "b")
    async with loader.fleet() as fleet:
        loader.may_load.clear()
        stream = await fleet.generate(ask("hi", "b"))
        stream.cancel()
        assert (await read(stream))[1].reason is FinishReason.CANCELLED
        loader.may_load.set()
        assert await answer(fleet, "hi", "b") == "b heard hi"
    assert metric(loader, "cancelled_total") == 1


async def test_a_reply_of_a_model_just_loaded_can_be_stopped() -> None:
    loader = FakeLoader("a", "b", stepwise=True)
    async with loader.fleet() as fleet:
        stream = await fleet.generate(ask("hi", "b"))
        await until(lambda: "b" in loader.models)
        loader.models["b"].allow(3)
        await until(lambda: len(loader.models["b"].steps) == 3)
        stream.cancel()
        loader.models["b"].allow(100)
        assert (await read(stream))[1].reason is FinishReason.CANCELLED
        await until(lambda: not loader.models["b"].num_used or len(loader.models["b"].steps) > 3)


async def test_a_model_that_cannot_be_loaded_is_one_sentence_and_is_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loader = FakeLoader("a", "b")
    async with loader.fleet() as fleet:
        loader.refuse = lambda name: name == "b"
        _, finished = await read(await fleet.generate(ask("hi", "b")))
        assert finished.reason is FinishReason.ERROR
        assert finished.detail == "The model b could not be loaded."
        assert "There is no memory for b." in caplog.text
        loader.refuse = lambda _name: False
        assert await answer(fleet, "hi", "b") == "b heard hi"


@pytest.mark.parametrize(
    "defect", [OSError(5, "I/O error", "/models/b.gguf"), KeyError("b"), MemoryError()]
)
async def test_a_load_that_breaks_is_one_sentence_without_a_path_and_is_tried_again(
    defect: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    loader = FakeLoader("a", "b")
    async with loader.fleet() as fleet:
        loader.breaks = {"b": defect}
        asked = [await fleet.generate(ask("hi", "b")) for _ in range(2)]
        for stream in asked:
            _, finished = await read(stream)
            assert finished.reason is FinishReason.ERROR
            assert finished.detail == "The model b could not be loaded."
        assert "the model b could not be loaded" in caplog.text
        assert await answer(fleet, "hi") == "a heard hi"
        loader.breaks.clear()
        assert await answer(fleet, "hi", "b") == "b heard hi"


async def test_a_default_model_whose_load_breaks_refuses_the_start() -> None:
    loader = FakeLoader("a")
    loader.breaks = {"a": KeyError("general.name")}
    with pytest.raises(ModelError, match="The model a could not be loaded"):
        await enter(loader)


async def test_a_model_that_fails_just_after_it_was_loaded_is_unloaded_again() -> None:
    loader = FakeLoader("a", "b", offloading=OffloadOptions(1_000))
    async with loader.fleet() as fleet:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(CountedModel, "keeps_states", broken_state)
            _, finished = await read(await fleet.generate(ask("hi", "b")))
        assert finished.detail == "The model b could not be loaded."
        assert loader.models["b"].is_closed
        assert await answer(fleet, "hi", "b") == "b heard hi"


def broken_state(_: CountedModel) -> bool:
    raise OSError("no state can be saved")


async def test_a_defect_while_a_model_takes_its_first_question_ends_the_reply() -> None:
    loader = FakeLoader("a", "b")
    async with loader.fleet() as fleet:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(CountedModel, "encode", broken_template)
            _, finished = await read(await fleet.generate(ask("hi", "b")))
        assert finished.reason is FinishReason.ERROR
        assert finished.detail == "The model b failed while it took this question."


def broken_template(_: CountedModel, messages: Sequence[ChatMessage]) -> list[int]:
    raise KeyError(len(messages))


async def test_with_less_memory_than_estimated_other_models_are_unloaded() -> None:
    loader = FakeLoader("a", "b")
    async with loader.fleet() as fleet:
        loader.refuse = lambda name: not loader.models["a"].is_closed
        assert await answer(fleet, "hi", "b") == "b heard hi"
        assert fleet.loaded == ("b",)


async def test_no_model_is_unloaded_for_one_that_is_known_to_die() -> None:
    loader = FakeLoader("a", "b")
    async with loader.fleet(budget=SIZE) as fleet:
        loader.deadly = {"b"}
        _, finished = await read(await fleet.generate(ask("hi", "b")))
        assert finished.detail == "The model b could not be loaded."
        assert fleet.loaded == ("a",)
        assert loader.loads == ["a"]


async def test_a_default_model_that_cannot_be_loaded_refuses_the_start() -> None:
    loader = FakeLoader("a")
    loader.refuse = lambda _name: True
    with pytest.raises(ModelError, match="no memory for a"):
        await enter(loader)


async def test_a_model_whose_file_is_gone_is_one_sentence() -> None:
    loader = FakeLoader("a", "b")
    async with loader.fleet() as fleet:
        del loader.sources["b"]
        with pytest.raises(EngineFailed, match="no model b any more"):
            await fleet.model("b")
        _, finished = await read(await fleet.generate(ask("hi", "b")))
        assert finished.detail == "There is no model b any more."


async def test_a_model_whose_file_is_broken_is_one_sentence_that_names_no_path(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: FakeLoader, source: str) -> FakeOutline:
        raise ModelError(f"{source} is not a GGUF file: set PARLEY_MODEL to one.")

    monkeypatch.setattr(FakeLoader, "outline", broken)
    async with FakeLoader("a", "b").fleet() as fleet:
        with pytest.raises(EngineFailed) as caught:
            await fleet.model("b")
    assert str(caught.value) == "The model b could not be loaded."
    assert "/models/b.gguf is not a GGUF file" in caplog.text


async def test_the_metrics_add_up_over_all_models() -> None:
    loader = FakeLoader("a", "b", stepwise=True)
    async with loader.fleet(budget=2 * SIZE) as fleet:
        streams = [await fleet.generate(ask("hi", name)) for name in "ab"]
        await until(lambda: len(loader.models) == 2)
        for model in loader.models.values():
            model.allow(1)
        await until(lambda: metric(loader, "running_sequences") == 2)
        assert metric(loader, "models_loaded") == 2
        for model in loader.models.values():
            model.allow(100)
        await asyncio.gather(*map(read, streams))
    assert metric(loader, "resident_threads") == 0


async def test_closing_ends_running_replies() -> None:
    loader = FakeLoader("a", "b", stepwise=True)
    async with loader.fleet() as fleet:
        writing = await fleet.generate(ask("hi", "a"))
        loader.may_load.clear()
        waiting = await fleet.generate(ask("hi", "b"))
        loader.models["a"].allow(100)
        loader.may_load.set()
    for stream in (writing, waiting):
        assert (await read(stream))[1].reason in (FinishReason.CANCELLED, FinishReason.STOP)
    with pytest.raises(EngineFailed):
        await fleet.generate(ask("hi"))


async def enter(loader: FakeLoader) -> None:
    async with loader.fleet():
        raise AssertionError("it started")


async def test_a_thread_is_forgotten_by_the_model_that_has_it() -> None:
    loader = FakeLoader("a", "b")
    async with loader.fleet() as fleet:
        thread = replace(ask("a secret " * 20, "b"), thread="t1", scope="s")
        await read(await fleet.generate(thread))
        assert loader.models["b"].num_used > 0
        await fleet.forget("t1", "s")
        await until(lambda: loader.models["b"].num_used == 0)

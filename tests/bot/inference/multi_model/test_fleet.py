"""Several models and one memory: who is loaded, who leaves, and what people are told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from bot.errors import EngineFailed, ModelError
from bot.inference.engine.offloading import OffloadOptions
from bot.types import ChatMessage, FinishReason, Queued
from tests.bot.inference.multi_model.harbour import (
    SIZE,
    CountedModel,
    FakeOutline,
    Harbour,
    answer,
    ask,
    metric,
    read,
    until,
)

HI = [ChatMessage("user", "hi")]


async def test_the_default_model_is_loaded_at_the_start_and_others_when_they_are_asked() -> None:
    harbour = Harbour("a", "b", "c")
    async with harbour.fleet() as fleet:
        assert (fleet.name, fleet.names, fleet.loaded) == ("a", ("a", "b", "c"), ("a",))
        assert await answer(fleet, "hi") == "a heard hi"
        assert await answer(fleet, "hi", "b") == "b heard hi"
        assert await answer(fleet, "again", "b") == "b heard again"
    assert harbour.loads == ["a", "b"]
    assert metric(harbour, "model_loads_total") == 2
    assert all(model.is_closed for model in harbour.models.values())
    assert all(outline.is_closed for outline in harbour.outlines.values())


async def test_people_are_told_what_is_being_loaded_and_others_go_on_meanwhile() -> None:
    harbour = Harbour("a", "b")
    async with harbour.fleet() as fleet:
        harbour.may_load.clear()
        stream = await fleet.generate(ask("hi", "b"))
        assert await anext(stream) == Queued(1, loading="b")
        assert await answer(fleet, "hi") == "a heard hi"
        harbour.may_load.set()
        assert (await read(stream))[0] == "b heard hi"


async def test_the_least_recently_used_model_leaves_when_memory_is_short() -> None:
    harbour = Harbour("a", "b", "c")
    async with harbour.fleet(budget=2 * SIZE) as fleet:
        for name in ("a", "b", "a", "c"):
            await answer(fleet, "hi", name)
        assert set(fleet.loaded) == {"a", "c"}
        assert harbour.models["b"].is_closed
        assert await answer(fleet, "hi", "b") == "b heard hi"
        assert set(fleet.loaded) == {"c", "b"}
    assert harbour.loads == ["a", "b", "c", "b"]
    assert metric(harbour, "model_unloads_total") == 2


async def test_a_model_is_never_unloaded_amid_a_reply() -> None:
    harbour = Harbour("a", "b", stepwise=True)
    async with harbour.fleet(budget=SIZE) as fleet:
        first = harbour.models["a"]
        writing = await fleet.generate(ask("hi", "a"))
        first.allow(2)
        await until(lambda: len(first.steps) == 2)
        waiting = await fleet.generate(ask("hi", "b"))
        for _ in range(50):
            await asyncio.sleep(0)
        assert (harbour.loads, first.is_closed) == (["a"], False)
        first.allow(100)
        assert (await read(writing))[0] == "a heard hi"
        await until(lambda: "b" in harbour.models)
        assert first.is_closed
        harbour.models["b"].allow(100)
        assert (await read(waiting))[0] == "b heard hi"


async def test_a_model_that_is_always_busy_makes_room_all_the_same() -> None:
    """Who asks for it after somebody wanted another one waits for its next stay."""
    harbour = Harbour("a", "b", stepwise=True)
    async with harbour.fleet(budget=SIZE) as fleet:
        streams = [await fleet.generate(ask(f"{n}", "a")) for n in range(3)]
        streams.append(await fleet.generate(ask("mine", "b", person="bob")))
        await until(lambda: "a" not in fleet._stays)
        streams += [await fleet.generate(ask(f"late {n}", "a")) for n in range(3)]
        harbour.allow()
        await until(lambda: harbour.loads == ["a", "b"])
        harbour.allow()
        await until(lambda: harbour.loads == ["a", "b", "a"])
        harbour.allow()
        replies = [text for text, _ in await asyncio.gather(*map(read, streams))]
    assert replies[3] == "b heard mine"
    assert [*replies[:3], *replies[4:]] == [
        *(f"a heard {n}" for n in range(3)),
        *(f"a heard late {n}" for n in range(3)),
    ]


async def test_an_idle_model_leaves_before_a_busy_one_that_was_used_earlier() -> None:
    harbour = Harbour("a", "b", "c", stepwise=True)
    async with harbour.fleet(budget=2 * SIZE) as fleet:
        busy = await fleet.generate(ask("hi", "a"))
        idle = await fleet.generate(ask("hi", "b"))
        await until(lambda: "b" in harbour.models)
        harbour.models["b"].allow(100)
        await read(idle)
        late = await fleet.generate(ask("hi", "c"))
        await until(lambda: "c" in harbour.models)
        assert harbour.models["b"].is_closed
        assert not harbour.models["a"].is_closed
        harbour.models["a"].allow(100)
        harbour.models["c"].allow(100)
        await asyncio.gather(read(busy), read(late))


async def test_no_two_models_compute_at_once() -> None:
    harbour = Harbour("a", "b", "c")
    async with harbour.fleet() as fleet:
        asking = [answer(fleet, f"{n} " * 20, "abc"[n % 3]) for n in range(12)]
        await asyncio.gather(*asking)
    assert harbour.most_computing == 1
    assert all(len(model.steps) > 3 for model in harbour.models.values())


async def test_tokens_are_counted_and_the_window_is_known_without_loading() -> None:
    harbour = Harbour("a", "wide")
    async with harbour.fleet() as fleet:
        wide = await fleet.model("wide")
        assert (wide.name, wide.window) == ("wide", 2_000)
        assert await wide.count(HI) == 2
        assert fleet.window == 1_000
        assert await fleet.count(HI) == 3, "and the opening of an answer, as the model has it"
        assert harbour.loads == ["a"]
        assert (await read(await wide.generate(ask("hi"))))[0] == "wide heard hi"


async def test_a_question_that_is_stopped_while_its_model_is_loaded_ends_at_once() -> None:
    harbour = Harbour("a", "b")
    async with harbour.fleet() as fleet:
        harbour.may_load.clear()
        stream = await fleet.generate(ask("hi", "b"))
        stream.cancel()
        assert (await read(stream))[1].reason is FinishReason.CANCELLED
        harbour.may_load.set()
        assert await answer(fleet, "hi", "b") == "b heard hi"
    assert metric(harbour, "cancelled_total") == 1


async def test_a_reply_of_a_model_just_loaded_can_be_stopped() -> None:
    harbour = Harbour("a", "b", stepwise=True)
    async with harbour.fleet() as fleet:
        stream = await fleet.generate(ask("hi", "b"))
        await until(lambda: "b" in harbour.models)
        harbour.models["b"].allow(3)
        await until(lambda: len(harbour.models["b"].steps) == 3)
        stream.cancel()
        harbour.models["b"].allow(100)
        assert (await read(stream))[1].reason is FinishReason.CANCELLED
        await until(lambda: not harbour.models["b"].num_used or len(harbour.models["b"].steps) > 3)


async def test_a_model_that_cannot_be_loaded_is_one_sentence_and_is_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    harbour = Harbour("a", "b")
    async with harbour.fleet() as fleet:
        harbour.refuse = lambda name: name == "b"
        _, finished = await read(await fleet.generate(ask("hi", "b")))
        assert finished.reason is FinishReason.ERROR
        assert finished.detail == "The model b could not be loaded."
        assert "There is no memory for b." in caplog.text
        harbour.refuse = lambda _name: False
        assert await answer(fleet, "hi", "b") == "b heard hi"


@pytest.mark.parametrize(
    "defect", [OSError(5, "I/O error", "/models/b.gguf"), KeyError("b"), MemoryError()]
)
async def test_a_load_that_breaks_is_one_sentence_without_a_path_and_is_tried_again(
    defect: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    harbour = Harbour("a", "b")
    async with harbour.fleet() as fleet:
        harbour.breaks = {"b": defect}
        asked = [await fleet.generate(ask("hi", "b")) for _ in range(2)]
        for stream in asked:
            _, finished = await read(stream)
            assert finished.reason is FinishReason.ERROR
            assert finished.detail == "The model b could not be loaded."
        assert "the model b could not be loaded" in caplog.text
        assert await answer(fleet, "hi") == "a heard hi"
        harbour.breaks.clear()
        assert await answer(fleet, "hi", "b") == "b heard hi"


async def test_a_default_model_whose_load_breaks_refuses_the_start() -> None:
    harbour = Harbour("a")
    harbour.breaks = {"a": KeyError("general.name")}
    with pytest.raises(ModelError, match="The model a could not be loaded"):
        await enter(harbour)


async def test_a_model_that_breaks_just_after_it_was_loaded_leaves_the_memory_again() -> None:
    harbour = Harbour("a", "b", offloading=OffloadOptions(1_000))
    async with harbour.fleet() as fleet:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(CountedModel, "keeps_states", broken_state)
            _, finished = await read(await fleet.generate(ask("hi", "b")))
        assert finished.detail == "The model b could not be loaded."
        assert harbour.models["b"].is_closed
        assert await answer(fleet, "hi", "b") == "b heard hi"


def broken_state(_: CountedModel) -> bool:
    raise OSError("no state can be saved")


async def test_a_defect_while_a_model_takes_its_first_question_is_told() -> None:
    harbour = Harbour("a", "b")
    async with harbour.fleet() as fleet:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(CountedModel, "encode", broken_template)
            _, finished = await read(await fleet.generate(ask("hi", "b")))
        assert finished.reason is FinishReason.ERROR
        assert finished.detail == "The model b failed while it took this question."


def broken_template(_: CountedModel, messages: Sequence[ChatMessage]) -> list[int]:
    raise KeyError(len(messages))


async def test_memory_that_is_shorter_than_was_reckoned_makes_others_leave() -> None:
    harbour = Harbour("a", "b")
    async with harbour.fleet() as fleet:
        harbour.refuse = lambda name: not harbour.models["a"].is_closed
        assert await answer(fleet, "hi", "b") == "b heard hi"
        assert fleet.loaded == ("b",)


async def test_nobody_leaves_for_a_model_that_is_known_to_die() -> None:
    harbour = Harbour("a", "b")
    async with harbour.fleet(budget=SIZE) as fleet:
        harbour.deadly = {"b"}
        _, finished = await read(await fleet.generate(ask("hi", "b")))
        assert finished.detail == "The model b could not be loaded."
        assert fleet.loaded == ("a",)
        assert harbour.loads == ["a"]


async def test_a_default_model_that_cannot_be_loaded_refuses_the_start() -> None:
    harbour = Harbour("a")
    harbour.refuse = lambda _name: True
    with pytest.raises(ModelError, match="no memory for a"):
        await enter(harbour)


async def test_a_model_whose_file_is_gone_is_one_sentence() -> None:
    harbour = Harbour("a", "b")
    async with harbour.fleet() as fleet:
        del harbour.sources["b"]
        with pytest.raises(EngineFailed, match="no model b any more"):
            await fleet.model("b")
        _, finished = await read(await fleet.generate(ask("hi", "b")))
        assert finished.detail == "There is no model b any more."


async def test_a_model_whose_file_is_broken_is_one_sentence_that_names_no_path(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: Harbour, source: str) -> FakeOutline:
        raise ModelError(f"{source} is not a GGUF file: set PARLEY_MODEL to one.")

    monkeypatch.setattr(Harbour, "outline", broken)
    async with Harbour("a", "b").fleet() as fleet:
        with pytest.raises(EngineFailed) as caught:
            await fleet.model("b")
    assert str(caught.value) == "The model b could not be loaded."
    assert "/models/b.gguf is not a GGUF file" in caplog.text


async def test_what_all_models_do_adds_up_in_the_metrics() -> None:
    harbour = Harbour("a", "b", stepwise=True)
    async with harbour.fleet(budget=2 * SIZE) as fleet:
        streams = [await fleet.generate(ask("hi", name)) for name in "ab"]
        await until(lambda: len(harbour.models) == 2)
        for model in harbour.models.values():
            model.allow(1)
        await until(lambda: metric(harbour, "running_sequences") == 2)
        assert metric(harbour, "models_loaded") == 2
        for model in harbour.models.values():
            model.allow(100)
        await asyncio.gather(*map(read, streams))
    assert metric(harbour, "resident_threads") == 0


async def test_closing_ends_what_is_under_way() -> None:
    harbour = Harbour("a", "b", stepwise=True)
    async with harbour.fleet() as fleet:
        writing = await fleet.generate(ask("hi", "a"))
        harbour.may_load.clear()
        waiting = await fleet.generate(ask("hi", "b"))
        harbour.models["a"].allow(100)
        harbour.may_load.set()
    for stream in (writing, waiting):
        assert (await read(stream))[1].reason in (FinishReason.CANCELLED, FinishReason.STOP)
    with pytest.raises(EngineFailed):
        await fleet.generate(ask("hi"))


async def enter(harbour: Harbour) -> None:
    async with harbour.fleet():
        raise AssertionError("it started")


async def test_a_thread_is_forgotten_by_the_model_that_has_it() -> None:
    harbour = Harbour("a", "b")
    async with harbour.fleet() as fleet:
        thread = replace(ask("a secret " * 20, "b"), thread="t1", scope="s")
        await read(await fleet.generate(thread))
        assert harbour.models["b"].num_used > 0
        await fleet.forget("t1", "s")
        await until(lambda: harbour.models["b"].num_used == 0)

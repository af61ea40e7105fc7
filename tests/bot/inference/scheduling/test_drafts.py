"""The scheduler puts drafts into a step as far as nobody else needs the room."""

from __future__ import annotations

from bot.inference.core.sequence import Sequence, Step
from tests.bot.inference.letters import Engine, prompt_of, said, script


def begun(engine: Engine, text: str = "Hello?") -> tuple[Sequence, Step]:
    """A reply with its first token, and its next step."""
    sequence = engine.sequence(text)
    engine.policy.add(sequence)
    assert engine.step()
    return sequence, planned(engine)


def planned(engine: Engine) -> Step:
    step = engine.policy.plan()
    assert step is not None
    return step


def test_drafts_take_no_more_than_the_cells_that_are_free() -> None:
    num_prompt = len(Engine().sequence("Hello?").tokens)
    for num_free in (1, 2, 4):
        _, step = begun(Engine(cells=num_prompt + num_free, drafts_err_at=100))
        assert step.num_draft == num_free - 1


def test_no_draft_goes_with_a_prompt() -> None:
    engine = Engine(drafts_err_at=100)
    _, step = begun(engine)
    assert step.num_draft
    engine.run(step)
    engine.policy.add(engine.sequence("Goodbye?", person="bob"))
    step = planned(engine)
    assert (step.num_draft, step.num_prefill > 0) == (0, True)


def test_a_step_that_had_no_room_is_tried_without_drafts() -> None:
    engine = Engine(drafts_err_at=4)
    sequence, step = begun(engine)
    assert engine.policy.undo(step) == []
    assert engine.policy.stats.num_cells_used == engine.model.num_used
    again = planned(engine)
    assert (again.num_draft, again.num_decode) == (0, 1)
    engine.run(again)
    assert planned(engine).num_draft == step.num_draft - 1
    assert engine.policy.undo(step) == []
    while engine.step():
        pass
    assert said(sequence) == script(prompt_of(sequence))


def test_a_reply_that_has_ended_is_forgotten() -> None:
    engine = Engine(drafts_err_at=4)
    assert engine.guesser.forgotten == []
    sequence = engine.ask("Hello?")
    assert engine.guesser.forgotten == [sequence]


def test_what_a_draft_model_is_asked_for_has_cells_until_the_step_is_done() -> None:
    engine = Engine(model_drafts_err_at=100, reads=30)
    sequence, step = begun(engine)
    (request,) = step.requests
    num_used = engine.policy.stats.num_cells_used
    assert num_used == engine.model.num_used + 1 + request.num_tokens
    engine.run(step)
    assert (request.draft, request.num_evaluated) == ([], 30)
    assert engine.policy.stats.num_cells_used == engine.model.num_used
    while engine.step():
        assert engine.policy.stats.num_cells_used == engine.model.num_used
    assert said(sequence) == script(prompt_of(sequence))
    assert engine.policy.stats.num_drafted["model", "accepted"] > 4


def test_a_draft_model_is_asked_for_no_more_than_the_cells_that_are_free() -> None:
    num_prompt = len(Engine().sequence("Hello?").tokens)
    for num_free in (1, 2, 4):
        _, step = begun(Engine(cells=num_prompt + num_free, model_drafts_err_at=100))
        assert sum(request.num_tokens for request in step.requests) == num_free - 1


def test_a_step_that_had_no_room_is_tried_without_asking_the_draft_model() -> None:
    engine = Engine(model_drafts_err_at=4)
    _, step = begun(engine)
    assert engine.policy.undo(step) == []
    assert engine.policy.stats.num_cells_used == engine.model.num_used
    again = planned(engine)
    assert (again.requests, again.num_decode) == ([], 1)
    engine.run(again)
    assert planned(engine).requests


def test_the_draft_model_is_asked_only_where_the_lookup_has_nothing() -> None:
    engine = Engine(drafts_err_at=4, model_drafts_err_at=4)
    replies = [engine.sequence(text, person=text) for text in ("Hello?", "Goodbye?")]
    engine.guesser.is_silent = lambda sequence: sequence is replies[1]
    for reply in replies:
        engine.policy.add(reply)
    while not all(reply.num_generated for reply in replies):
        engine.step()
    first, second = planned(engine).chunks
    assert (bool(first.draft), first.request) == (True, None)
    assert second.request
    assert second.request.sequence == replies[1].id

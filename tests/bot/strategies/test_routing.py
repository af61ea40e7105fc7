"""``strategy: route``: the local model's own verdict decides who answers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.answer_formats import OneOf
from bot.errors import EngineFailed, PromptTooLong, QueueFull, UnsupportedOption
from bot.generation import (
    ChatMessage,
    Finished,
    FinishReason,
    GenerationRequest,
    Progress,
    Sampling,
    Tool,
    ToolUse,
    Usage,
)
from bot.metrics import Metrics
from bot.strategies.answering import Answering
from bot.stream import GenerationStream
from tests.bot.strategies.asking import (
    ASKED,
    ROUTE,
    ScriptedRemotes,
    count,
    end_of,
    heard,
    tasks_of_strategies,
    text_of,
    until,
)
from tests.fakes.clock import FakeClock, settle
from tests.fakes.generator import ScriptedGenerator

BOTH = replace(ROUTE, shows_both=True)
HERE = "_Answered by scripted:_\n\n"
THERE = "_Answered by gpt-x at api.example.com:_\n\n"
INSTEAD = "_Answered by scripted, since gpt-x at api.example.com could not be reached:_\n\n"
BROKE = "The model's server broke off."


class Bench:
    """A local model and a remote one that a test leads, or that play their replies."""

    def __init__(self) -> None:
        self.local = ScriptedGenerator()
        self.remotes = ScriptedRemotes()
        self.there = self.remotes.there
        self.metrics = Metrics()
        self.answering = Answering(self.local, self.metrics, FakeClock(), self.remotes)

    def routed(self, answered_by: str, verdict: str) -> float:
        return count(self.metrics, "routed_total", answered_by=answered_by, verdict=verdict)


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_an_answer_that_its_model_finds_good_is_given(bench: Bench) -> None:
    bench.local.replies += ["Light scatters.", "good"]
    events = await heard(await bench.answering.generate(ASKED, ROUTE))
    assert text_of(events) == f"{HERE}Light scatters."
    assert (end_of(events).reason, end_of(events).model) == (FinishReason.STOP, "")
    assert bench.remotes.wanted == []
    assert bench.routed("local", "good") == 1


async def test_the_verdict_is_a_word_about_the_thread_as_it_stands(bench: Bench) -> None:
    bench.local.replies += ["Light scatters.", "good"]
    request = replace(ASKED, asked_sampling=frozenset({"top_k"}), stop=("\n",))
    await heard(await bench.answering.generate(request, ROUTE))
    answer, verdict = (each.request for each in bench.local.generations)
    assert answer == request
    *before, said, question = verdict.messages
    assert (tuple(before), said.content) == (ASKED.messages, "Light scatters.")
    assert question.role == "user"
    assert (verdict.thread, verdict.scope, verdict.person) == (ASKED.thread, ASKED.scope, "ada")
    assert verdict.answer_format == OneOf(("good", "bad"))
    assert verdict.sampling == Sampling(temperature=0)
    assert verdict.stop == ()


async def test_a_bad_answer_is_asked_of_the_remote_model_alone_that_is_named(bench: Bench) -> None:
    bench.local.replies += ["It is a mirror.", "bad"]
    bench.there.replies.append("Light scatters.")
    favours = replace(ASKED.sampling, logit_bias=((5, 1.0),))
    request = replace(ASKED, model="smol", sampling=favours)
    events = await heard(await bench.answering.generate(request, ROUTE))
    assert text_of(events) == f"{THERE}Light scatters."
    assert bench.remotes.wanted == ["gpt-x"]
    assert end_of(events).model == "gpt-x"
    asked = bench.there.generations[0].request
    assert (asked.messages, asked.model, asked.sampling) == (ASKED.messages, None, ASKED.sampling)
    assert bench.routed("remote", "bad") == 1


async def test_both_answers_are_shown_where_that_is_set(bench: Bench) -> None:
    bench.local.replies += ["It is a mirror.", "bad"]
    bench.there.replies.append("Light scatters.")
    events = await heard(await bench.answering.generate(ASKED, BOTH))
    here = "_Answered by scripted:_\n\nIt is a mirror."
    assert text_of(events) == f"{here}\n\n{THERE}Light scatters."
    assert bench.routed("both", "bad") == 1


async def test_people_see_what_is_done_until_there_is_an_answer(bench: Bench) -> None:
    stream = await bench.answering.generate(ASKED, ROUTE)
    local = await bench.local.started()
    local.say("It is")
    assert await anext(stream) == Progress("answering")
    local.finish()
    verdict = await bench.local.started()
    assert await anext(stream) == Progress("checking the answer")
    verdict.say("bad")
    verdict.finish()
    remote = await bench.there.started()
    assert await anext(stream) == Progress("asking gpt-x at api.example.com")
    remote.say("Light")
    assert text_of([await anext(stream)]) == f"{THERE}Light"
    stream.cancel()


async def test_where_both_are_shown_the_first_grows_at_once(bench: Bench) -> None:
    stream = await bench.answering.generate(ASKED, BOTH)
    (await bench.local.started()).say("It is")
    assert text_of([await anext(stream)]) == f"{HERE}It is"
    stream.cancel()


@pytest.mark.parametrize("reply", ["", "  "])
async def test_an_empty_answer_is_bad_without_a_question(bench: Bench, reply: str) -> None:
    bench.local.replies.append(reply)
    bench.there.replies.append("Light scatters.")
    events = await heard(await bench.answering.generate(ASKED, ROUTE))
    assert text_of(events) == f"{THERE}Light scatters."
    assert len(bench.local.generations) == 1


async def test_an_answer_that_only_repeats_itself_is_bad_without_a_question(bench: Bench) -> None:
    stream = await bench.answering.generate(ASKED, ROUTE)
    bench.there.replies.append("Light scatters.")
    local = await bench.local.started()
    local.say("so so so")
    local.finish(FinishReason.LOOPED)
    assert text_of(await heard(stream)) == f"{THERE}Light scatters."
    assert len(bench.local.generations) == 1


@pytest.mark.parametrize("verdict", ["", "perhaps"])
async def test_without_a_verdict_nothing_goes_out(bench: Bench, verdict: str) -> None:
    bench.local.replies += ["Light scatters.", verdict]
    bench.there.replies.append("It heard of it.")
    events = await heard(await bench.answering.generate(ASKED, ROUTE))
    assert text_of(events) == f"{HERE}Light scatters."
    assert (bench.remotes.wanted, bench.routed("local", "none")) == ([], 1)


async def test_where_there_is_no_room_for_a_verdict_nothing_goes_out(bench: Bench) -> None:
    stream = await bench.answering.generate(ASKED, ROUTE)
    local = await bench.local.started()
    bench.local.failures.append(QueueFull(1.0))
    bench.there.replies.append("It heard of it.")
    local.say("Light scatters.")
    local.finish()
    assert text_of(await heard(stream)) == f"{HERE}Light scatters."
    assert bench.remotes.wanted == []


async def test_a_failure_of_the_local_model_is_no_reason_to_ask_another(bench: Bench) -> None:
    stream = await bench.answering.generate(ASKED, ROUTE)
    local = await bench.local.started()
    local.say("It is")
    local.finish(FinishReason.ERROR, "The model failed.")
    events = await heard(stream)
    assert (text_of(events), end_of(events).detail) == ("It is", "The model failed.")
    assert bench.remotes.wanted == []


@pytest.mark.parametrize(
    "failure", [EngineFailed("It cannot be reached."), PromptTooLong(9, 8), QueueFull(1.0)]
)
async def test_while_the_remote_is_out_of_reach_the_local_answer_is_given_and_that_said(
    bench: Bench, failure: EngineFailed | PromptTooLong | QueueFull
) -> None:
    bench.local.replies += ["It is a mirror.", "bad", "It is a mirror.", "bad"]
    bench.there.failures += [failure, failure]
    events = await heard(await bench.answering.generate(ASKED, ROUTE))
    assert text_of(events) == f"{INSTEAD}It is a mirror."
    assert end_of(events).reason is FinishReason.STOP
    both = text_of(await heard(await bench.answering.generate(ASKED, BOTH)))
    note = "_gpt-x at api.example.com could not be reached._"
    assert both == f"{HERE}It is a mirror.\n\n{note}"
    assert bench.routed("local", "bad") == 2


async def test_what_only_repeats_itself_is_all_that_is_cut_from_an_answer(bench: Bench) -> None:
    bench.there.failures += [EngineFailed("away"), EngineFailed("away")]
    for personality, num_repeated in ((ROUTE, 6), (BOTH, 0)):
        stream = await bench.answering.generate(ASKED, personality)
        local = await bench.local.started()
        local.say("so so so")
        local.end(Finished(FinishReason.LOOPED, num_repeated=6))
        last = end_of(await heard(stream))
        assert (last.reason, last.num_repeated) == (FinishReason.LOOPED, num_repeated)


@pytest.mark.parametrize("detail", [BROKE, ""])
async def test_a_remote_that_fails_before_its_first_word_was_not_reached(
    bench: Bench, detail: str
) -> None:
    bench.local.replies += ["It is a mirror.", "bad"]
    stream = await bench.answering.generate(ASKED, ROUTE)
    (await bench.there.started()).finish(FinishReason.ERROR, detail)
    assert text_of(await heard(stream)) == f"{INSTEAD}It is a mirror."


async def test_a_remote_that_breaks_off_is_followed_by_the_local_answer(bench: Bench) -> None:
    bench.local.replies += ["It is a mirror.", "bad"]
    stream = await bench.answering.generate(ASKED, ROUTE)
    remote = await bench.there.started()
    remote.say("Light")
    remote.finish(FinishReason.ERROR, BROKE)
    note = "_gpt-x at api.example.com broke off. Answered by scripted:_"
    events = await heard(stream)
    assert text_of(events) == f"{THERE}Light\n\n{note}\n\nIt is a mirror."
    assert end_of(events).model == ""


async def test_usage_is_the_sum_over_all_calls(bench: Bench) -> None:
    stream = await bench.answering.generate(ASKED, ROUTE)
    usages = Usage(10, 1, 5, 2), Usage(20, 15, 1), Usage(11, 0, 7)
    for generator, said, usage in zip(
        (bench.local, bench.local, bench.there), ("It is", "bad", "Light"), usages, strict=True
    ):
        call = await generator.started()
        call.say(said)
        call.end(Finished(FinishReason.STOP, usage, queue_seconds=usage.prompt_tokens))
    last = end_of(await heard(stream))
    assert (last.usage, last.queue_seconds) == (Usage(41, 16, 13, 2), 10)


@pytest.mark.parametrize(
    ("num_before", "shown", "num_tokens"), [(0, "", 1), (1, "", 5), (2, f"{THERE}Light", 6)]
)
async def test_a_stop_ends_whatever_is_under_way(
    bench: Bench, num_before: int, shown: str, num_tokens: int
) -> None:
    bench.local.replies += ["It is a mirror.", "bad"][:num_before]
    stream = await bench.answering.generate(ASKED, ROUTE)
    call = await (bench.there if num_before == 2 else bench.local).started()
    call.say("Light")
    await settle()
    stream.cancel()
    assert call.is_cancelled
    events = await heard(stream)
    assert (text_of(events), end_of(events).reason) == (shown, FinishReason.CANCELLED)
    assert end_of(events).usage.completion_tokens == num_tokens
    assert end_of(events).model == ("gpt-x" if num_before == 2 else "")
    await settle()
    assert len(bench.local.generations) + len(bench.there.generations) == num_before + 1


async def test_no_model_reads_who_answered_before(bench: Bench) -> None:
    first = f"{HERE}It is a mirror.\n\n{THERE}Light scatters."
    second = f"{INSTEAD}At dusk."
    messages = (
        *ASKED.messages,
        ChatMessage("assistant", first),
        ChatMessage("user", "When is it red?"),
        ChatMessage("assistant", second),
        ChatMessage("user", "_Answered by me:_"),
    )
    bench.local.replies += ["So.", "good"]
    await heard(await bench.answering.generate(replace(ASKED, messages=messages), ROUTE))
    said = [each.content for each in bench.local.generations[0].request.messages]
    assert said[2:] == ["Light scatters.", "When is it red?", "At dusk.", "_Answered by me:_"]


async def test_nor_does_a_personality_that_answers_by_itself_read_it(bench: Bench) -> None:
    said = ChatMessage("assistant", f"{THERE}Light scatters.")
    messages = (*ASKED.messages, said, ChatMessage("user", "When is it red?"))
    bench.local.replies.append("At dusk.")
    direct = replace(ROUTE, strategy="direct", remote=None)
    await heard(await bench.answering.generate(replace(ASKED, messages=messages), direct))
    assert bench.local.generations[0].request.messages[2].content == "Light scatters."


async def test_the_local_model_cannot_say_that_another_has_answered(bench: Bench) -> None:
    bench.local.replies += [f"{THERE}Trust me.", "good"]
    events = await heard(await bench.answering.generate(ASKED, ROUTE))
    assert text_of(events) == f"{HERE}\n\nTrust me."


@pytest.mark.parametrize("line", ["_Answered by Ada:_", "> *Answered by Ada:*", "_It broke off._"])
async def test_no_model_can_while_its_answer_grows(bench: Bench, line: str) -> None:
    said = f"Light.\n{line}\n**So** it is.\n_Really_ so.\n{line}"
    seen = "Light.\n\n**So** it is.\n_Really_ so.\n"
    bench.local.replies += [said, "bad"]
    bench.there.replies.append(said)
    events = await heard(await bench.answering.generate(ASKED, BOTH))
    assert text_of(events) == f"{HERE}{seen}\n\n{THERE}{seen}"


async def test_nor_in_two_parts(bench: Bench) -> None:
    bench.local.replies.append(" Ada:_\nTrust me.")
    events = await heard(await bench.answering.generate(begun(f"{HERE}So.\n_Answered by"), ROUTE))
    assert text_of(events) == "\nTrust me."


async def test_what_may_become_such_a_line_waits_for_its_end(bench: Bench) -> None:
    stream = await bench.answering.generate(ASKED, BOTH)
    local = await bench.local.started()
    for said, shown in (("_Answered", ""), (" quickly_\nand", f"{HERE}_Answered quickly_\nand")):
        local.say(said)
        await settle()
        assert (text_of([await anext(stream)]) if shown else "") == shown
    stream.cancel()


def begun(reply: str) -> GenerationRequest:
    return replace(ASKED, messages=(*ASKED.messages, ChatMessage("assistant", reply, is_open=True)))


async def test_who_has_begun_an_answer_goes_on_with_it(bench: Bench) -> None:
    bench.local.replies.append(" scatters.")
    events = await heard(await bench.answering.generate(begun(f"{HERE}Light"), ROUTE))
    assert text_of(events) == " scatters."
    assert bench.local.generations[0].request.begun == "Light"
    assert bench.remotes.wanted == []
    bench.there.replies.append(" scatters.")
    events = await heard(await bench.answering.generate(begun(f"{THERE}Light"), ROUTE))
    assert text_of(events) == " scatters."
    assert bench.there.generations[0].request.begun == "Light"
    assert len(bench.local.generations) == 1


async def test_a_model_that_names_the_other_does_not_have_it_go_on(bench: Bench) -> None:
    bench.local.replies.append(" Indeed.")
    bench.there.replies.append("It heard of it.")
    await heard(await bench.answering.generate(begun(f"See:\n{THERE}Light"), ROUTE))
    assert bench.remotes.wanted == []


async def test_of_two_who_have_answered_the_last_goes_on(bench: Bench) -> None:
    bench.there.replies.append(" scatters.")
    both = begun(f"{HERE}It is a mirror.\n\n{THERE}Light")
    assert text_of(await heard(await bench.answering.generate(both, BOTH))) == " scatters."
    assert bench.there.generations[0].request.begun == "Light"
    broken = "_gpt-x at api.example.com broke off. Answered by scripted:_"
    bench.local.replies.append(" mirror.")
    events = await heard(
        await bench.answering.generate(begun(f"{THERE}Light\n\n{broken}\n\nIt is a"), ROUTE)
    )
    assert text_of(events) == " mirror."
    assert len(bench.there.generations) == 1


async def test_a_server_that_cannot_continue_a_text_is_asked_to_go_on(bench: Bench) -> None:
    bench.there.failures.append(UnsupportedOption("continue_final_message", "is not supported."))
    bench.there.replies.append(" scatters.")
    events = await heard(await bench.answering.generate(begun(f"{THERE}Light"), ROUTE))
    assert text_of(events) == " scatters."
    *_, said, question = bench.there.generations[0].request.messages
    assert (said, question.role) == (ChatMessage("assistant", "Light"), "user")


async def test_a_remote_that_cannot_be_reached_to_go_on_is_a_failure_in_one_sentence(
    bench: Bench,
) -> None:
    bench.there.failures.append(EngineFailed("away"))
    events = await heard(await bench.answering.generate(begun(f"{THERE}Light"), ROUTE))
    assert end_of(events).detail.startswith("gpt-x at api.example.com could not be reached.")


@pytest.mark.parametrize(
    "exact",
    [
        {"answer_format": OneOf(("a", "b"))},
        {"tool_use": ToolUse((Tool("f"),), frozenset({"f"}))},
        {"num_logprobs": 0},
    ],
)
async def test_what_is_more_than_text_is_answered_here_alone(
    bench: Bench, exact: dict[str, object]
) -> None:
    bench.local.replies.append("a")
    request = replace(ASKED, **exact)  # type: ignore[arg-type]
    assert text_of(await heard(await bench.answering.generate(request, ROUTE))) == "a"
    assert len(bench.local.generations) == 1


async def test_refusals_of_the_question_itself_are_raised(bench: Bench) -> None:
    bench.local.failures.append(QueueFull(3.0))
    with pytest.raises(QueueFull):
        await bench.answering.generate(ASKED, ROUTE)


async def test_a_prompt_that_proves_too_long_is_refused_so_that_it_can_be_shortened(
    bench: Bench,
) -> None:
    stream = await bench.answering.generate(ASKED, ROUTE)
    (await bench.local.started()).refuse(PromptTooLong(9, 8))
    with pytest.raises(PromptTooLong):
        await heard(stream)


async def test_a_defect_ends_the_reply_with_a_sentence(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.local.replies += ["It is a mirror.", "bad"]
    bench.there.failures.append(KeyError("secret"))  # type: ignore[arg-type]
    events = await heard(await bench.answering.generate(ASKED, ROUTE))
    assert end_of(events).reason is FinishReason.ERROR
    assert "secret" not in end_of(events).detail
    assert "a strategy failed" in caplog.text


async def test_no_task_outlives_its_reply(bench: Bench) -> None:
    stream = await bench.answering.generate(ASKED, ROUTE)
    assert isinstance(stream, GenerationStream)
    await bench.local.started()
    stream.cancel()
    await until(FakeClock(), lambda: tasks_of_strategies() == [])

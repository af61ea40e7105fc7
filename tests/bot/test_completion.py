"""Programs: one answer, no history."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.answer_formats import OneOf
from bot.errors import (
    AccessDenied,
    EngineFailed,
    NotOffered,
    OverLimit,
    PromptTooLong,
    QueueFull,
    UnknownPersonality,
)
from bot.generation import (
    ChatMessage,
    CompletionRequest,
    Delta,
    Finished,
    GenerationRequest,
    RawPrompt,
    Reasoning,
)
from bot.ports import Generation
from bot.types import Person
from tests.bot.talk import Talk, talking
from tests.fakes.generator import ScriptedGenerator, num_tokens

HELLO = CompletionRequest(account="local", messages=(ChatMessage("user", "Hello?"),))


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    async with talking(tmp_path, max_in_flight=1) as talk:
        yield talk


async def read(generation: Generation) -> str:
    return "".join([event.text async for event in generation if isinstance(event, Delta)])


async def asked(talk: Talk, request: CompletionRequest) -> GenerationRequest:
    """What the model is asked for this request."""
    talk.generator.replies.append("Hi.")
    assert await read(await talk.service.complete(request)) == "Hi."
    return talk.generator.generations[-1].request


async def test_without_a_personality_the_model_gets_the_messages_as_they_are(
    talk: Talk,
) -> None:
    assert (await asked(talk, HELLO)).messages == HELLO.messages


async def test_a_personality_speaks_first(talk: Talk) -> None:
    request = await asked(talk, replace(HELLO, personality="pirate"))
    assert request.messages == (ChatMessage("system", "You are a pirate."), *HELLO.messages)


async def test_a_system_message_of_the_request_takes_the_personalitys_place(talk: Talk) -> None:
    own = (ChatMessage("system", "Be brief."), *HELLO.messages)
    request = await asked(talk, replace(HELLO, personality="pirate", messages=own))
    assert request.messages == own


async def test_a_reply_continues_the_last_message_if_that_is_asked_for(talk: Talk) -> None:
    begun = replace(HELLO, messages=(*HELLO.messages, ChatMessage("assistant", "I am")))
    assert (await asked(talk, replace(begun, continues=True))).begun == "I am"
    assert not (await asked(talk, begun)).continues


async def test_what_a_program_s_api_assumes_is_not_what_it_asked_for(talk: Talk) -> None:
    request = replace(HELLO, sampling={"top_k": 7}, default_sampling={"top_k": 40, "min_p": 0.1})
    generation = await asked(talk, request)
    assert (generation.sampling.top_k, generation.sampling.min_p) == (7, 0.1)
    assert generation.asked_sampling == {"top_k"}


async def test_only_who_sends_the_same_salt_shares_what_was_evaluated(talk: Talk) -> None:
    requests = [
        HELLO,
        replace(HELLO, cache_salt="red"),
        replace(HELLO, cache_salt="blue"),
        replace(HELLO, account="local/red"),
        replace(HELLO, account="local/red", cache_salt="red"),
        replace(HELLO, account="local", cache_salt="red/red"),
    ]
    scopes = [(await asked(talk, request)).scope for request in requests]
    assert len(set(scopes)) == len(requests)
    again = await asked(talk, replace(HELLO, cache_salt="red", user="ann"))
    assert again.scope == scopes[1]


async def test_each_raw_prompt_is_answered_without_the_personalitys_prompt(talk: Talk) -> None:
    prompts = (RawPrompt("Once"), RawPrompt((5, 7)))
    asked = CompletionRequest(account="local", prompts=prompts, personality="pirate", thread="t")
    talk.generator.replies += ["a", "b", "c", "d"]
    answers = await talk.service.complete_all(asked, 2)
    assert [await read(answer) for answer in answers] == ["a", "b", "c", "d"]
    requests = [generation.request for generation in talk.generator.generations]
    assert [request.raw for request in requests] == [prompts[0]] * 2 + [prompts[1]] * 2
    assert [request.messages for request in requests] == [()] * 4
    assert [request.thread is not None for request in requests] == [True, False, False, False]
    counted = {"kind": "text"}
    assert talk.metrics.registry.get_sample_value("parley_completions_total", counted) == 1


async def test_raw_prompts_count_as_one_question_and_a_long_one_refuses_them_all(
    talk: Talk,
) -> None:
    prompts = (RawPrompt("a"), RawPrompt("b"))
    asked = CompletionRequest(account="key", prompts=prompts, user="ada")
    for generation in (answers := await talk.service.complete_all(asked, 1)):
        with pytest.raises(OverLimit):
            await talk.service.complete(asked)
        generation.cancel()
    assert len(answers) == 2
    long = replace(asked, prompts=(*prompts, RawPrompt("x " * 5_000)))
    with pytest.raises(PromptTooLong):
        await talk.service.complete_all(long, 1)
    talk.generator.replies.append("free again")
    assert await read(await talk.service.complete(replace(HELLO, account="key", user="ada")))


async def test_an_engine_that_makes_no_embeddings_says_so_and_keeps_no_place(talk: Talk) -> None:
    for _ in range(2):
        with pytest.raises(NotOffered, match="No model here makes embeddings"):
            await talk.service.embed("key", "ada", None, {"input": "Once"})


async def test_an_engine_that_shows_no_tokens_says_so(talk: Talk) -> None:
    with pytest.raises(NotOffered, match="does not show its tokens"):
        await talk.service.tokenizer("local", "pirate", None)


async def test_a_personality_may_let_replies_repeat_themselves(tmp_path: Path) -> None:
    folder = tmp_path / "personalities"
    folder.mkdir()
    (folder / "parrot.md").write_text("---\ntitle: Parrot\nloop_guard: off\n---\nRepeat.\n")
    async with talking(tmp_path) as talk:
        assert not (await asked(talk, replace(HELLO, personality="parrot"))).loop_guard
        assert (await asked(talk, replace(HELLO, personality="pirate"))).loop_guard
        assert (await asked(talk, HELLO)).loop_guard
        assert not (await asked(talk, replace(HELLO, loop_guard=False))).loop_guard
        guarded = replace(HELLO, personality="parrot", loop_guard=True)
        assert (await asked(talk, guarded)).loop_guard
        talk.generator.replies.append("Hi.")
        await talk.command("personality", "parrot")
        await talk.ended(await talk.ask("Hello?"))
        assert not talk.generator.generations[-1].request.loop_guard


@pytest.mark.parametrize(
    ("mode", "is_told"), [("hidden", False), ("folded", True), ("shown", True), (None, True)]
)
async def test_a_program_gets_the_reasoning_unless_its_personality_hides_it(
    tmp_path: Path, mode: str | None, is_told: bool
) -> None:
    folder = tmp_path / "personalities"
    folder.mkdir()
    (folder / "thinker.md").write_text(f"---\ntitle: T\nreasoning: {mode or 'shown'}\n---\nHm.\n")
    async with talking(tmp_path) as talk:
        chosen = None if mode is None else "thinker"
        generation = await talk.service.complete(replace(HELLO, personality=chosen))
        led = await talk.generator.started()
        led.think("Hm.")
        led.say("Yes.")
        led.finish()
        events = [event async for event in generation]
    assert (Reasoning("Hm.") in events) is is_told
    assert Delta("Yes.") in events


async def test_an_unknown_personality_is_refused(talk: Talk) -> None:
    with pytest.raises(UnknownPersonality):
        await talk.service.complete(replace(HELLO, personality="ninja"))


async def test_the_format_asked_for_reaches_the_model(talk: Talk) -> None:
    request = await asked(talk, replace(HELLO, answer_format=OneOf(("yes", "no"))))
    assert request.answer_format == OneOf(("yes", "no"))
    assert (await asked(talk, HELLO)).answer_format is None


async def test_what_the_request_leaves_open_is_the_default(talk: Talk) -> None:
    request = await asked(
        talk, replace(HELLO, sampling={"temperature": 0.0, "seed": 7}, stop=("END",))
    )
    assert (request.sampling.temperature, request.sampling.seed) == (0.0, 7)
    assert request.sampling.top_p == 0.95
    assert request.asked_sampling == {"temperature", "seed"}
    assert request.stop == ("END",)
    assert request.max_tokens == 100


async def test_several_answers_differ_in_seed_and_only_the_first_has_the_thread(
    talk: Talk,
) -> None:
    talk.generator.replies += ["One.", "Two.", "Three."]
    asked = replace(HELLO, thread="t", sampling={"seed": 7})
    answers = await talk.service.complete_all(asked, 3)
    assert [await read(answer) for answer in answers] == ["One.", "Two.", "Three."]
    requests = [each.request for each in talk.generator.generations]
    assert [request.sampling.seed for request in requests] == [7, 8, 9]
    assert [request.thread for request in requests] == ["http:local/t", None, None]
    assert all(request.shares_prompt for request in requests)


async def test_several_answers_count_once_for_the_limits_until_the_last_has_ended(
    talk: Talk,
) -> None:
    talk.generator.replies += ["One.", "Two.", "Three."]
    asked = replace(HELLO, account="bob", user="ann")
    one, two = await talk.service.complete_all(asked, 2)
    await read(one)
    with pytest.raises(OverLimit):
        await talk.service.complete(asked)
    await read(two)
    assert await read(await talk.service.complete(asked)) == "Three."


async def test_a_program_may_ask_for_as_much_as_fits_the_window(talk: Talk) -> None:
    assert (await asked(talk, replace(HELLO, max_tokens=1000))).max_tokens == 1000
    assert (await asked(talk, replace(HELLO, max_tokens=100_000))).max_tokens == 4096 - 5


async def test_a_prompt_beyond_the_window_is_refused(tmp_path: Path) -> None:
    async with talking(tmp_path, generator=ScriptedGenerator(window=10)) as talk:
        with pytest.raises(PromptTooLong):
            await talk.service.complete(
                replace(HELLO, messages=(ChatMessage("user", "word " * 20),))
            )


def thread(num_turns: int, words: int = 6) -> tuple[ChatMessage, ...]:
    """Each turn is 20 tokens; the system prompt stands second to last, as some programs send it."""
    said = [
        (ChatMessage("user", f"q{n} " + "word " * (words - 1)), ChatMessage("assistant", "w " * 6))
        for n in range(num_turns)
    ]
    turns = [message for pair in said for message in pair]
    return (*turns, ChatMessage("system", "Be kind."), ChatMessage("user", "And now?"))


def first_word(request: GenerationRequest) -> str:
    return request.messages[0].content.split()[0]


async def test_a_thread_longer_than_the_window_is_asked_without_its_oldest_turns(
    tmp_path: Path,
) -> None:
    async with talking(tmp_path, generator=ScriptedGenerator(window=400)) as talk:
        sent = thread(50)
        got = (await asked(talk, replace(HELLO, messages=sent, max_tokens=100))).messages
        assert got == sent[-len(got) :]
        assert got[0].role == "user"
        assert 200 < num_tokens(got) <= 300


async def test_a_thread_that_grows_keeps_its_beginning_for_many_turns(tmp_path: Path) -> None:
    async with talking(tmp_path, generator=ScriptedGenerator(window=4000)) as talk:
        firsts = [
            first_word(await asked(talk, replace(HELLO, messages=thread(n), max_tokens=100)))
            for n in range(180, 300)
        ]
    assert firsts[0] == "q0"
    assert len(set(firsts)) <= 6
    assert sorted(firsts, key=lambda word: int(word[1:])) == firsts


async def test_a_system_message_stays_wherever_it_stands(tmp_path: Path) -> None:
    async with talking(tmp_path, generator=ScriptedGenerator(window=400)) as talk:
        sent = (ChatMessage("system", "First of all."), *thread(50))
        got = (await asked(talk, replace(HELLO, messages=sent))).messages
    assert [each.content for each in got if each.role == "system"] == ["First of all.", "Be kind."]


EXAMPLE = """---
title: Pirate
examples:
  - question: Where to?
    answer: To the sea!
---
You are a pirate.
"""


async def test_the_examples_of_a_personality_stay_at_the_beginning(tmp_path: Path) -> None:
    async with talking(tmp_path, generator=ScriptedGenerator(window=400)) as talk:
        (tmp_path / "personalities" / "pirate.md").write_text(EXAMPLE)
        await talk.service._services.personalities.refresh(talk.clock.now())
        sent = [each for each in thread(50) if each.role != "system"]
        got = (
            await asked(talk, replace(HELLO, messages=tuple(sent), personality="pirate"))
        ).messages
        assert [each.content for each in got[:3]] == [
            "You are a pirate.",
            "Where to?",
            "To the sea!",
        ]
        assert got[3:] == tuple(sent[3 - len(got) :])
        alone = (ChatMessage("assistant", "Ahoy " * 500),)
        with pytest.raises(PromptTooLong):
            await talk.service.complete(replace(HELLO, messages=alone, personality="pirate"))


async def test_a_long_first_message_does_not_keep_a_short_question_from_its_answer(
    tmp_path: Path,
) -> None:
    async with talking(tmp_path, generator=ScriptedGenerator(window=400)) as talk:
        long = (ChatMessage("user", "word " * 1000), ChatMessage("assistant", "Read."))
        got = (await asked(talk, replace(HELLO, messages=(*long, *HELLO.messages)))).messages
    assert got == HELLO.messages


async def test_an_answer_that_is_to_be_continued_stays_with_its_question(tmp_path: Path) -> None:
    async with talking(tmp_path, generator=ScriptedGenerator(window=400)) as talk:
        sent = (*thread(50), ChatMessage("assistant", "Now we"))
        got = (await asked(talk, replace(HELLO, messages=sent, continues=True))).messages
    assert [each.content for each in got[-2:]] == ["And now?", "Now we"]


async def test_one_message_longer_than_the_window_is_refused_whatever_is_before_it(
    tmp_path: Path,
) -> None:
    async with talking(tmp_path, generator=ScriptedGenerator(window=400)) as talk:
        sent = (*thread(50), ChatMessage("user", "word " * 500))
        with pytest.raises(PromptTooLong) as refused:
            await talk.service.complete(replace(HELLO, messages=sent))
    assert (refused.value.num_tokens, refused.value.max_tokens) == (504 + 6, 399)


async def test_a_thread_that_leaves_an_answer_room_is_asked_whole(tmp_path: Path) -> None:
    async with talking(tmp_path, generator=ScriptedGenerator(window=400)) as talk:
        sent = thread(15)
        got = await asked(talk, replace(HELLO, messages=sent, max_tokens=1000))
    assert got.messages == sent
    assert got.max_tokens == 400 - num_tokens(sent)


async def test_nothing_of_it_is_kept(talk: Talk) -> None:
    await asked(talk, replace(HELLO, user="u"))
    assert await talk.service.threads(Person("http:local/u")) == []
    assert await talk.store.unfinished() == []


async def test_one_user_of_a_key_is_limited_until_the_answer_has_ended(talk: Talk) -> None:
    mine = replace(HELLO, user="u")
    generation = await talk.service.complete(mine)
    with pytest.raises(OverLimit):
        await talk.service.complete(mine)
    await talk.service.complete(replace(HELLO, user="v"))
    await talk.service.complete(replace(HELLO, user="u", account="other"))
    scripted = talk.generator.generations[0]
    scripted.say("Hi.")
    scripted.finish()
    assert await read(generation) == "Hi."
    await talk.service.complete(mine)


async def test_an_answer_that_is_cancelled_gives_the_place_back(talk: Talk) -> None:
    mine = replace(HELLO, user="u")
    (await talk.service.complete(mine)).cancel()
    assert talk.generator.generations[0].is_cancelled
    await talk.service.complete(mine)


async def test_a_cancelled_answer_still_ends_with_finished(talk: Talk) -> None:
    generation = await talk.service.complete(HELLO)
    generation.cancel()
    assert isinstance([event async for event in generation][-1], Finished)


async def test_a_refused_answer_gives_the_place_back(talk: Talk) -> None:
    mine = replace(HELLO, user="u")
    talk.generator.failures.append(QueueFull(2))
    with pytest.raises(QueueFull):
        await talk.service.complete(mine)
    await talk.service.complete(mine)


async def test_without_a_user_every_call_is_a_person_of_its_own(talk: Talk) -> None:
    for _ in range(3):
        await talk.service.complete(HELLO)
    people = {each.request.person for each in talk.generator.generations}
    assert len(people) == 3


@pytest.mark.parametrize("user", [None, ""])
async def test_without_a_user_a_key_is_one_person_for_the_limit_in_flight(
    talk: Talk, user: str | None
) -> None:
    nameless = replace(HELLO, account="ci", user=user)
    first = await talk.service.complete(nameless)
    with pytest.raises(OverLimit):
        await talk.service.complete(nameless)
    await talk.service.complete(replace(nameless, user="u"))
    await talk.service.complete(replace(nameless, account="other"))
    first.cancel()
    await talk.service.complete(nameless)


async def test_without_a_user_a_key_is_one_person_for_the_limit_a_minute(tmp_path: Path) -> None:
    async with talking(tmp_path, per_minute=2) as talk:
        nameless = replace(HELLO, account="ci")
        for _ in range(2):
            (await talk.service.complete(nameless)).cancel()
        with pytest.raises(OverLimit, match="2 questions a minute"):
            await talk.service.complete(nameless)


async def test_an_empty_user_is_none(talk: Talk) -> None:
    for _ in range(3):
        await talk.service.complete(replace(HELLO, user=""))
    assert len({each.request.person for each in talk.generator.generations}) == 3


@pytest.mark.parametrize("rule", ["http:local/u", "http:*"])
async def test_a_denied_program_is_refused_before_anything_is_asked(
    tmp_path: Path, rule: str
) -> None:
    async with talking(tmp_path, deny=[rule], max_in_flight=1) as talk:
        with pytest.raises(AccessDenied):
            await talk.service.complete(replace(HELLO, user="u"))
        assert talk.generator.generations == []
        assert talk.access.remainder(Person("http:local/u")).in_flight == 1


async def test_a_denied_user_of_a_key_leaves_the_others_and_the_nameless_alone(
    tmp_path: Path,
) -> None:
    async with talking(tmp_path, deny=["http:local/u"]) as talk:
        await talk.service.complete(HELLO)
        await talk.service.complete(replace(HELLO, user="v"))
        await talk.service.complete(replace(HELLO, user="u", account="other"))


async def test_rules_for_people_on_platforms_do_not_lock_programs_out(tmp_path: Path) -> None:
    async with talking(tmp_path, allow=["fake:W"], direct_messages=False) as talk:
        await talk.service.complete(HELLO)


async def test_nobody_can_name_a_user_like_a_nameless_call(talk: Talk) -> None:
    await talk.service.complete(HELLO)
    nameless = talk.generator.generations[-1].request.person
    await talk.service.complete(replace(HELLO, user=nameless.rpartition("/")[2]))
    assert talk.generator.generations[-1].request.person != nameless


async def test_names_of_threads_live_under_the_key(talk: Talk) -> None:
    mine = await asked(talk, replace(HELLO, thread="slack:T/C/1"))
    theirs = await asked(talk, replace(HELLO, thread="slack:T/C/1", account="other"))
    assert mine.thread != theirs.thread
    assert mine.thread is not None
    assert mine.thread.startswith("http:local/")


async def test_draining_lets_answers_end_and_begins_no_more(talk: Talk) -> None:
    generation = await talk.service.complete(HELLO)
    await talk.service.drain(0, asyncio.Event())
    with pytest.raises(EngineFailed):
        await talk.service.complete(HELLO)
    scripted = talk.generator.generations[0]
    scripted.say("Hi.")
    scripted.finish()
    assert await read(generation) == "Hi."


async def test_who_has_signed_in_is_one_person_whatever_the_program_says(talk: Talk) -> None:
    mine = replace(HELLO, account="user:ann")
    assert (await asked(talk, replace(mine, user="somebody"))).person == "http:user:ann"
    generation = await talk.service.complete(replace(mine, user="one"))
    with pytest.raises(OverLimit):
        await talk.service.complete(replace(mine, user="two"))
    generation.cancel()

"""``kill -9`` at every moment of a turn: no question is lost, and no reply stands twice.

One Parley, killed and started again by each test; its replies are short, and grow slowly where
they are to be cut off.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.fakes.slack import Fault
from tests.fakes.slack_api import ADA, BOT, CHANNEL
from tests.scenarios.asking import metric
from tests.scenarios.disk import let_pass
from tests.scenarios.plug import PLACEHOLDERS, Scene, scene
from tests.scenarios.polling import eventually

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="module")]

LONG_QUESTION = "Please sum up: " + "the tide comes and the tide goes. " * 80
LAST_WORDS = "say “continue” for more)_"
HELD = Fault(hangs=True, happens=True)


def is_finished(text: str) -> bool:
    return text.endswith(LAST_WORDS)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def it(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    folder = tmp_path_factory.mktemp("kill")
    async with scene(
        folder, update_limit=4 * 50, PARLEY_RUNNING="1", PARLEY_DRAIN_SECONDS="0"
    ) as it:
        yield it


async def kill(it: Scene) -> None:
    """What was left is finished soon by the next process."""
    await it.parley.kill()
    it.hurry()


async def tokens(it: Scene, source: str) -> float:
    """Of prompts that this process has seen, and where they were found."""
    return await metric(it.parley, "parley_prompt_tokens_total", source=source)


async def test_right_after_the_200_the_question_is_on_disk(it: Scene) -> None:
    text = f"<@{BOT}> tell me a story"
    message = {"type": "app_mention", "user": ADA, "text": text, "channel": CHANNEL}
    ts = it.slack.keep(message)
    assert await it.slack.deliver({**message, "ts": ts, "event_ts": ts}) == 200
    await it.parley.kill()
    turn = it.turn(ts)
    assert (turn.text, turn.is_finished) == ("tell me a story", False)
    await it.parley.start()
    await it.ends_well(ts)


async def test_questions_killed_while_they_wait_in_their_thread_are_answered_in_order(
    it: Scene,
) -> None:
    it.slow_down()
    first = await it.ask("tell me a story")
    await it.grows(first)
    second = await it.ask("and another", thread_ts=first)
    await kill(it)
    assert (it.turn(second).state, it.turn(second).attempts) == ("queued", 0)
    await it.parley.start()
    await it.ends_well(first)
    await it.ends_well(second)
    assert len(it.replies(first)) == 2
    assert it.turn(first).posts < it.turn(second).posts


async def test_a_question_killed_in_the_models_queue_is_answered(it: Scene) -> None:
    it.slow_down()
    first = await it.ask("tell me a story")
    await it.grows(first)
    second = await it.ask("tell me another story")
    await it.sees(second, "You are next in line")
    await kill(it)
    await it.parley.start()
    await it.ends_well(first)
    await it.ends_well(second)


async def test_a_question_killed_in_prefill_is_answered_in_the_same_message(it: Scene) -> None:
    evaluated = await metric(it.parley, "parley_prompt_tokens_total")
    answered = await metric(it.parley, "parley_first_token_seconds_count")
    ts = await it.ask(LONG_QUESTION)
    await it.sees(ts, *PLACEHOLDERS)

    async def is_evaluating() -> bool:
        return await metric(it.parley, "parley_prompt_tokens_total") > evaluated

    await eventually(is_evaluating, what=it)
    assert await metric(it.parley, "parley_first_token_seconds_count") == answered
    await kill(it)
    (placeholder,) = it.replies(ts)
    assert placeholder["text"].startswith(PLACEHOLDERS)
    await it.parley.start()
    turn = await it.ends_well(ts)
    assert turn.posts == (placeholder["ts"],)


async def test_a_reply_killed_while_it_grows_is_finished_in_the_same_message(it: Scene) -> None:
    it.slow_down()
    ts = await it.ask("tell me a story")
    await it.grows(ts)
    await kill(it)
    (growing,) = it.replies(ts)
    assert (it.turn(ts).state, it.turn(ts).attempts) == ("running", 1)
    await it.parley.start()
    turn = await it.ends_well(ts)
    assert turn.posts == (growing["ts"],)
    assert turn.attempts == 2


async def test_an_answer_goes_on_from_its_cells_and_after_a_kill_from_the_disk(it: Scene) -> None:
    before = await tokens(it, "evaluated")
    ts = await it.ask("tell me a story")
    first = await it.ends_well(ts)
    (cut_off,) = it.texts(ts)
    assert is_finished(cut_off)
    evaluated, resumed = await tokens(it, "evaluated") - before, await tokens(it, "resumed")
    await it.ask("continue", thread_ts=ts)
    await eventually(lambda: len(it.turn(ts).reply) > len(first.reply), what=it)
    second = await it.ends_well(ts)
    assert second.reply.startswith(first.reply)
    resumed = await tokens(it, "resumed") - resumed
    assert resumed > evaluated, "the answer so far was not in its cells any more"
    it.slow_down()
    num_before = len(it.slack.shown)
    await it.ask("continue", thread_ts=ts)
    await it.grows(ts, after=num_before)
    await kill(it)
    assert (it.turn(ts).state, it.turn(ts).reply) == ("running", second.reply)
    await it.parley.start()
    last = await it.ends_well(ts)
    assert last.reply.startswith(second.reply)
    assert len(last.reply) > len(second.reply)
    assert last.posts == first.posts


async def test_a_post_that_was_made_but_not_noted_is_found_again(it: Scene) -> None:
    num_before = it.slack.num_calls("chat.postMessage")
    it.slack.fail("chat.postMessage", HELD)
    ts = await it.ask("tell me a story")
    await eventually(lambda: it.replies(ts), what=it)
    await it.parley.kill()
    assert it.turn(ts).posts == ()
    (orphan,) = it.replies(ts)
    await it.parley.start()
    turn = await it.ends_well(ts)
    assert turn.posts == (orphan["ts"],)
    assert it.slack.num_calls("chat.postMessage") == num_before + 1


async def test_a_reply_that_was_delivered_but_not_noted_stands_once(it: Scene) -> None:
    held = Fault(hangs=True, happens=True, when=lambda call: is_finished(call["text"]))
    it.slack.fail("chat.update", *[held] * 9)
    ts = await it.ask("tell me a story")
    await eventually(lambda: any(map(is_finished, it.texts(ts))), what=it)
    await it.parley.kill()
    assert it.turn(ts).state == "running"
    it.slack.heal("chat.update")
    await it.parley.start()
    await it.ends_well(ts)
    assert len(it.replies(ts)) == 1


async def test_a_question_that_killed_the_process_twice_is_not_run_a_third_time(it: Scene) -> None:
    it.slow_down()
    ts = await it.ask("tell me a story")
    await it.grows(ts)
    await it.parley.kill()
    num_before = len(it.slack.shown)
    await it.parley.start()
    await it.grows(ts, after=num_before)
    await kill(it)
    assert (it.turn(ts).state, it.turn(ts).attempts) == ("running", 2)
    await it.parley.start()
    assert (await it.ends(ts)).state == "failed", str(it)
    (reply,) = it.texts(ts)
    assert reply.startswith("I was interrupted twice")
    assert "retry" in reply
    await it.ask("retry", thread_ts=ts)
    await eventually(lambda: it.turn(ts).state == "done", what=it)
    await it.ends_well(ts)


async def test_an_old_question_is_not_answered_out_of_the_blue_but_offers_retry(it: Scene) -> None:
    it.slow_down()
    ts = await it.ask("tell me a story")
    await it.grows(ts)
    await kill(it)
    (growing,) = it.replies(ts)
    let_pass(it.parley.database, 901)
    await it.parley.start()
    assert (await it.ends(ts)).state == "interrupted", str(it)
    (reply,) = it.texts(ts)
    assert reply.startswith("I was interrupted")
    assert "retry" in reply
    await it.ask("retry", thread_ts=ts)
    await eventually(lambda: it.turn(ts).state == "done", what=it)
    assert (await it.ends_well(ts)).posts == (growing["ts"],)


async def test_what_a_stop_by_sigterm_cuts_short_is_finished_at_the_next_start(it: Scene) -> None:
    it.slow_down()
    ts = await it.ask("tell me a story")
    await it.grows(ts)
    assert await it.parley.stop() == 0
    it.hurry()
    assert (it.turn(ts).state, it.turn(ts).attempts) == ("queued", 0)
    (growing,) = it.replies(ts)
    await it.parley.start()
    assert (await it.ends_well(ts)).posts == (growing["ts"],)


async def test_a_stop_by_sigterm_lets_a_reply_end(it: Scene) -> None:
    await it.parley.kill()
    await it.parley.start(PARLEY_DRAIN_SECONDS="60")
    it.slow_down()
    ts = await it.ask("tell me a story")
    await it.grows(ts)
    assert await it.parley.stop() == 0
    await it.ends_well(ts)
    assert it.texts(ts)[0].endswith(LAST_WORDS)

"""``kill -9`` at every moment of a turn: no question is lost, and no reply stands twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.slack import Fault
from tests.fakes.slack_api import ADA, BOT, CHANNEL
from tests.scenarios.asking import metric
from tests.scenarios.disk import let_pass
from tests.scenarios.plug import LONG, PLACEHOLDERS, SHORT, Scene, scene
from tests.scenarios.polling import eventually

pytestmark = pytest.mark.model

LONG_QUESTION = "Please sum up: " + "the tide comes and the tide goes. " * 80
LAST_WORDS = "say “continue” for more)_"
HELD = Fault(hangs=True, happens=True)


def is_finished(text: str) -> bool:
    return text.endswith(LAST_WORDS)


async def restart(scene: Scene, max_tokens: str = SHORT) -> None:
    """With short replies, so that what was left is finished soon."""
    await scene.parley.start(PARLEY_MAX_TOKENS=max_tokens)


async def test_right_after_the_200_the_question_is_on_disk(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        text = f"<@{BOT}> tell me a story"
        message = {"type": "app_mention", "user": ADA, "text": text, "channel": CHANNEL}
        ts = it.slack.keep(message)
        assert await it.slack.deliver({**message, "ts": ts, "event_ts": ts}) == 200
        await it.parley.kill()
        turn = it.turn(ts)
        assert (turn.text, turn.is_finished) == ("tell me a story", False)
        await restart(it)
        await it.ends_well(ts)


async def test_questions_killed_while_they_wait_in_their_thread_are_answered_in_order(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path, PARLEY_MAX_TOKENS=LONG) as it:
        first = await it.ask("tell me a story")
        await it.grows(first)
        second = await it.ask("and another", thread_ts=first)
        await it.parley.kill()
        assert (it.turn(second).state, it.turn(second).attempts) == ("queued", 0)
        await restart(it)
        await it.ends_well(first)
        await it.ends_well(second)
        assert len(it.replies(first)) == 2
        assert it.turn(first).posts < it.turn(second).posts


async def test_a_question_killed_in_the_models_queue_is_answered(tmp_path: Path) -> None:
    async with scene(tmp_path, PARLEY_MAX_TOKENS=LONG, PARLEY_RUNNING="1") as it:
        first = await it.ask("tell me a story")
        await it.grows(first)
        second = await it.ask("tell me another story")
        await it.sees(second, "You are next in line")
        await it.parley.kill()
        await restart(it)
        await it.ends_well(first)
        await it.ends_well(second)


async def test_a_question_killed_in_prefill_is_answered_in_the_same_message(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as it:
        ts = await it.ask(LONG_QUESTION)
        await it.sees(ts, *PLACEHOLDERS)
        await eventually(lambda: metric(it.parley, "parley_prompt_tokens_total"), what=it)
        assert not await metric(it.parley, "parley_first_token_seconds_count")
        await it.parley.kill()
        (placeholder,) = it.replies(ts)
        assert placeholder["text"].startswith(PLACEHOLDERS)
        await restart(it)
        turn = await it.ends_well(ts)
        assert turn.posts == (placeholder["ts"],)


async def test_a_reply_killed_while_it_grows_is_finished_in_the_same_message(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path, PARLEY_MAX_TOKENS=LONG) as it:
        ts = await it.ask("tell me a story")
        await it.grows(ts)
        await it.parley.kill()
        (growing,) = it.replies(ts)
        assert (it.turn(ts).state, it.turn(ts).attempts) == ("running", 1)
        await restart(it)
        turn = await it.ends_well(ts)
        assert turn.posts == (growing["ts"],)
        assert turn.attempts == 2


async def test_an_answer_goes_on_from_its_cells_and_after_a_kill_from_the_disk(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as it:
        ts = await it.ask("tell me a story")
        first = await it.ends_well(ts)
        (cut_off,) = it.texts(ts)
        assert is_finished(cut_off)
        evaluated = await metric(it.parley, "parley_prompt_tokens_total", source="evaluated")
        await it.ask("continue", thread_ts=ts)
        await eventually(lambda: len(it.turn(ts).reply) > len(first.reply), what=it)
        second = await it.ends_well(ts)
        assert second.reply.startswith(first.reply)
        resumed = await metric(it.parley, "parley_prompt_tokens_total", source="resumed")
        assert resumed > evaluated, "the answer so far was not in its cells any more"
        await it.parley.stop()
        await restart(it, LONG)
        num_before = len(it.slack.shown)
        await it.ask("continue", thread_ts=ts)
        await it.grows(ts, after=num_before)
        await it.parley.kill()
        assert (it.turn(ts).state, it.turn(ts).reply) == ("running", second.reply)
        await restart(it)
        last = await it.ends_well(ts)
        assert last.reply.startswith(second.reply)
        assert len(last.reply) > len(second.reply)
        assert last.posts == first.posts


async def test_a_post_that_was_made_but_not_noted_is_found_again(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        it.slack.fail("chat.postMessage", HELD)
        ts = await it.ask("tell me a story")
        await eventually(lambda: it.replies(ts), what=it)
        await it.parley.kill()
        assert it.turn(ts).posts == ()
        (orphan,) = it.replies(ts)
        await restart(it)
        turn = await it.ends_well(ts)
        assert turn.posts == (orphan["ts"],)
        assert it.slack.num_calls("chat.postMessage") == 1


async def test_a_reply_that_was_delivered_but_not_noted_stands_once(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        held = Fault(hangs=True, happens=True, when=lambda call: is_finished(call["text"]))
        it.slack.fail("chat.update", *[held] * 9)
        ts = await it.ask("tell me a story")
        await eventually(lambda: any(map(is_finished, it.texts(ts))), what=it)
        await it.parley.kill()
        assert it.turn(ts).state == "running"
        it.slack.heal("chat.update")
        await restart(it)
        await it.ends_well(ts)
        assert len(it.replies(ts)) == 1


async def test_a_question_that_killed_the_process_twice_is_not_run_a_third_time(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path, PARLEY_MAX_TOKENS=LONG) as it:
        ts = await it.ask("tell me a story")
        await it.grows(ts)
        await it.parley.kill()
        num_before = len(it.slack.shown)
        await restart(it, LONG)
        await it.grows(ts, after=num_before)
        await it.parley.kill()
        assert (it.turn(ts).state, it.turn(ts).attempts) == ("running", 2)
        await restart(it)
        assert (await it.ends(ts)).state == "failed", str(it)
        (reply,) = it.texts(ts)
        assert reply.startswith("I was interrupted twice")
        assert "retry" in reply
        await it.ask("retry", thread_ts=ts)
        await eventually(lambda: it.turn(ts).state == "done", what=it)
        await it.ends_well(ts)


async def test_an_old_question_is_not_answered_out_of_the_blue_but_offers_retry(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path, PARLEY_MAX_TOKENS=LONG) as it:
        ts = await it.ask("tell me a story")
        await it.grows(ts)
        await it.parley.kill()
        (growing,) = it.replies(ts)
        let_pass(it.parley.database, 901)
        await restart(it)
        assert (await it.ends(ts)).state == "interrupted", str(it)
        (reply,) = it.texts(ts)
        assert reply.startswith("I was interrupted")
        assert "retry" in reply
        await it.ask("retry", thread_ts=ts)
        await eventually(lambda: it.turn(ts).state == "done", what=it)
        assert (await it.ends_well(ts)).posts == (growing["ts"],)


async def test_a_stop_by_sigterm_lets_a_reply_end(tmp_path: Path) -> None:
    async with scene(tmp_path, PARLEY_MAX_TOKENS="50", PARLEY_DRAIN_SECONDS="60") as it:
        ts = await it.ask("tell me a story")
        await it.grows(ts)
        assert await it.parley.stop() == 0
        await it.ends_well(ts)
        assert it.texts(ts)[0].endswith(LAST_WORDS)


async def test_what_a_stop_by_sigterm_cuts_short_is_finished_at_the_next_start(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path, PARLEY_MAX_TOKENS=LONG, PARLEY_DRAIN_SECONDS="0") as it:
        ts = await it.ask("tell me a story")
        await it.grows(ts)
        assert await it.parley.stop() == 0
        assert (it.turn(ts).state, it.turn(ts).attempts) == ("queued", 0)
        (growing,) = it.replies(ts)
        await restart(it)
        assert (await it.ends_well(ts)).posts == (growing["ts"],)

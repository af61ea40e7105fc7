"""The assistant panel and App Home, as people open them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.slack.assistant.home import home_view
from adapters.slack.assistant.panel import STATUS
from adapters.slack.mrkdwn.markup import render
from bot.types import Personality, Place, Standing
from tests.bot.talk import PERSONALITIES
from tests.fakes.slack import rate_limited
from tests.fakes.slack_api import ADA, DIRECT, TEAM
from tests.scenarios.stage import Stage, staged

METHODS = (
    "assistant.threads.setSuggestedPrompts",
    "assistant.threads.setTitle",
    "assistant.threads.setStatus",
    "views.publish",
)
PERSONALITY = Personality("assistant", "Assistant", "You help.", description="Helps <everybody>.")


QUESTIONS = "".join(f"  - Question {number}?\n" for number in range(1, 6))


@pytest.fixture
async def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    head = f"---\ntitle: Assistant\ngreeting: Hello!\nsuggested_questions:\n{QUESTIONS}---\n"
    monkeypatch.setitem(PERSONALITIES, "assistant", f"{head}You help.\n")
    async with staged(tmp_path) as stage:
        yield stage


async def test_home_says_who_answers_how_to_ask_what_is_left_and_what_is_kept(
    stage: Stage,
) -> None:
    assert await stage.slack.open_home("home") == 200
    await stage.until(lambda: ADA in stage.slack.homes)
    home = "\n".join(stage.slack.homes[ADA])
    assert "*Assistant* answers you here" in home
    assert f"Model: `{stage.generator.name}`" in home
    for part in ("*How to ask*", "*Left for you:*", "at once", "*What is kept:*", "until `forget`"):
        assert part in home


async def test_home_is_new_each_time_it_is_opened(stage: Stage) -> None:
    for number in (1, 2):
        await stage.slack.open_home("home")
        await stage.until(lambda n=number: stage.slack.num_calls("views.publish") == n)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("days", "shown"),
    [(0, "I run, until"), (1, "for 1 day, or until"), (0.5, "for 0.5 days, or until")],
)
def test_home_says_how_long_turns_are_kept(days: float, shown: str) -> None:
    view = home_view(Standing(PERSONALITY, "smollm2", "4 questions at once", days), render)
    assert shown in str(view)
    assert "Helps &lt;everybody&gt;." in str(view)


@pytest.mark.parametrize("description", ["A very helpful one. " * 400, "&" * 4000])
def test_home_is_shown_however_long_a_description_is(description: str) -> None:
    talkative = replace(PERSONALITY, description=description)
    view = home_view(Standing(talkative, "smollm2", "4 questions at once", 1), render)
    assert all(len(block["text"]["text"]) <= 3000 for block in view["blocks"])
    assert "…" in str(view)


def test_home_tells_somebody_who_may_not_ask_why() -> None:
    view = home_view("Sorry, I have been asked not to answer here.", render)
    assert "Sorry, I have been asked" in str(view)
    assert "How to ask" not in str(view)


async def test_an_agents_messages_open_with_the_personalitys_questions(stage: Stage) -> None:
    await stage.slack.open_home("messages")
    await stage.until(lambda: bool(stage.slack.prompts))
    assert stage.slack.prompts == {(DIRECT, ""): [f"Question {n}?" for n in (1, 2, 3, 4)]}
    assert stage.slack.homes == {}


async def test_the_older_panel_greets_suggests_and_is_named_after_the_first_question(
    stage: Stage,
) -> None:
    ts = await stage.slack.start_assistant()
    await stage.until(lambda: bool(stage.slack.prompts) and len(stage.replies(ts, DIRECT)) == 1)
    assert "Hello!" in stage.replies(ts, DIRECT)[0]
    assert len(stage.slack.prompts[DIRECT, ts]) == 4
    for text in ("What is a pear?\nTell me.", "And a plum?"):
        await stage.slack.say(text, channel=DIRECT, thread_ts=ts)
        generation = await stage.generation()
        generation.say("A fruit.")
        generation.finish()
        await stage.until(lambda: "A fruit." in stage.replies(ts, DIRECT))
    assert stage.slack.titles == {(DIRECT, ts): "What is a pear?"}
    assert stage.slack.num_calls("assistant.threads.setTitle") == 1


async def test_a_title_that_changes_is_no_question(stage: Stage) -> None:
    ts = await stage.slack.start_assistant()
    assert await stage.slack.change(ts, "What is a pear?", channel=DIRECT) == 200
    assert stage.generator.generations == []


async def test_a_thread_of_direct_messages_shows_that_parley_thinks_until_it_answers(
    stage: Stage,
) -> None:
    ts = await stage.slack.say("Hello", channel=DIRECT)
    place = Place("slack", TEAM, DIRECT, ts)
    await stage.adapter.typing(place)
    assert stage.slack.statuses == {(DIRECT, ts): STATUS}
    reply = stage.slack.keep({"type": "message", "user": "UBOT", "text": "Hm", "channel": DIRECT})
    await stage.adapter.edit(place, reply, render("Hello."))
    assert stage.slack.statuses == {}
    await stage.adapter.edit(place, reply, render("Hello!"))
    assert stage.slack.num_calls("assistant.threads.setStatus") == 2


async def test_elsewhere_slack_has_no_such_line(stage: Stage) -> None:
    await stage.adapter.typing(Place("slack", TEAM, DIRECT, ""))
    await stage.adapter.typing(Place("slack", TEAM, "C01", "1.000001"))
    assert stage.slack.num_calls("assistant.threads.setStatus") == 0


async def test_what_slack_refuses_is_said_once_and_costs_nobody_an_answer(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    stage.slack.forbidden.update(METHODS)
    for _ in range(2):
        await stage.slack.open_home("home")
        await stage.slack.open_home("messages")
        ts = await stage.slack.start_assistant()
        await stage.adapter.typing(Place("slack", TEAM, DIRECT, ts))
        await stage.slack.say("What is a pear?", channel=DIRECT, thread_ts=ts)
        generation = await stage.generation()
        generation.say("A fruit.")
        generation.finish()
        await stage.until(lambda ts=ts: "A fruit." in stage.replies(ts, DIRECT))  # type: ignore[misc]
    for method in METHODS:
        await stage.until(lambda m=method: stage.slack.num_calls(m) > 1)  # type: ignore[misc]
        assert caplog.text.count(f"{method} is not permitted: missing_scope.") == 1


async def test_a_line_that_is_lost_is_nobodys_matter(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    stage.slack.fail("assistant.threads.setStatus", rate_limited())
    await stage.adapter.typing(Place("slack", TEAM, DIRECT, "1.000001"))
    assert caplog.text == ""

"""The adapter with people in a Slack that is not ours: local-slack from npm."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.slack.adapter import SlackAdapter
from bot.types import (
    Command,
    Feedback,
    Incoming,
    Label,
    Question,
    QuestionDeleted,
    QuestionEdited,
    ReplyEnd,
    StopRequest,
    UnpostedQuestion,
)
from tests.adapters.slack.conftest import adapter_on_local_slack
from tests.contracts.adapter import listening
from tests.local_slack import (
    ADA,
    BOB,
    BOT,
    DIRECT,
    LocalSlack,
    LocalSlackMissing,
    Page,
    ensure_binary,
)

pytestmark = pytest.mark.local_slack


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[tuple[SlackAdapter, LocalSlack]]:
    async with adapter_on_local_slack(tmp_path) as both:
        yield both


@pytest.fixture
def adapter(both: tuple[SlackAdapter, LocalSlack]) -> SlackAdapter:
    return both[0]


@pytest.fixture
def local(both: tuple[SlackAdapter, LocalSlack]) -> LocalSlack:
    return both[1]


@pytest.fixture
async def taken(adapter: SlackAdapter) -> AsyncIterator[list[Incoming]]:
    taken: list[Incoming] = []

    async def handler(incoming: Incoming) -> None:
        taken.append(incoming)

    async with listening(adapter, handler):
        yield taken


def questions(taken: list[Incoming]) -> list[Question]:
    return [incoming for incoming in taken if isinstance(incoming, Question)]


async def test_a_person_asks_and_sees_the_reply_grow_in_the_thread(
    adapter: SlackAdapter, local: LocalSlack, taken: list[Incoming]
) -> None:
    async with local.page() as page:
        root = await local.message(f"<@{BOT}> what is a turn?")
        place = questions(taken)[0].place
        ts = await adapter.post(place, adapter.render("…"), Label("t1", 0))
        for text in ("A", "A turn", "A **turn**."):
            await adapter.edit(place, ts, adapter.render(text))
        (reply,) = await local.replies(root)
        assert reply["text"] == "A *turn*."
        await adapter.delete(place, ts)
        await seen(page, local, ts, None)
    assert page.texts(ts) == ["…", "A", "A turn", "A *turn*.", None]


async def seen(page: Page, local: LocalSlack, ts: str, text: str | None) -> None:
    """Until the page has shown ``text``; every look at the server lets the page catch up."""
    while not page.texts(ts) or page.texts(ts)[-1] != text:
        await local.messages()


async def test_one_mention_is_one_message_however_often_it_is_delivered(
    local: LocalSlack, taken: list[Incoming]
) -> None:
    ts = await local.message(f"<@{BOT}> hello")
    assert {question.message_id for question in questions(taken)} == {ts}
    assert {question.person.name for question in questions(taken)} == {"ada"}
    assert all(question.is_mention for question in questions(taken))


async def test_a_direct_message_arrives_as_one(local: LocalSlack, taken: list[Incoming]) -> None:
    await local.message("hello", channel=DIRECT)
    (question,) = questions(taken)
    assert question.is_direct
    assert question.place.thread == ""


async def test_a_follow_up_arrives_without_a_mention(
    local: LocalSlack, taken: list[Incoming]
) -> None:
    root = await local.message("a root that is nobody's business")
    await local.message("and why?", user=BOB, thread_ts=root)
    (question,) = questions(taken)
    assert (question.text, question.place.thread) == ("and why?", root)
    assert question.person.id.endswith(BOB)


async def test_what_was_said_before_a_mention_in_a_thread_is_read(
    adapter: SlackAdapter, local: LocalSlack, taken: list[Incoming]
) -> None:
    root = await local.message("the lift is broken")
    await local.message("I am looking at it", user=BOB, thread_ts=root)
    ts = await local.message(f"<@{BOT}> summarise this thread", thread_ts=root)
    await local.message("thanks", thread_ts=root)
    place = questions(taken)[-1].place
    assert adapter.may_have_earlier(place, ts)
    said = [("ada", "the lift is broken"), ("bob", "I am looking at it")]
    assert await adapter.earlier(place, ts) == said


async def test_an_edit_that_mentions_parley_makes_a_question(
    local: LocalSlack, taken: list[Incoming]
) -> None:
    ts = await local.message(f"<@{BOT}>")
    del taken[:]
    await local.edit(ts, f"<@{BOT}> what is a turn?")
    (edited,) = [incoming for incoming in taken if isinstance(incoming, QuestionEdited)]
    assert isinstance(edited.becomes, Question)
    assert (edited.becomes.text, edited.becomes.is_mention) == ("what is a turn?", True)
    assert edited.becomes.message_id == ts


async def test_a_stop_sign_an_edit_and_a_deletion_arrive(
    local: LocalSlack, taken: list[Incoming]
) -> None:
    ts = await local.message(f"<@{BOT}> befor")
    del taken[:]
    await local.reaction(ts, "octagonal_sign", user=BOB)
    await local.edit(ts, f"<@{BOT}> before")
    await local.delete(ts)
    stop, edited, gone = taken
    assert isinstance(stop, StopRequest)
    assert isinstance(edited, QuestionEdited)
    assert isinstance(gone, QuestionDeleted)
    assert (stop.reaction, stop.person.id) == ("octagonal_sign", f"slack:T01/{BOB}")
    assert (edited.text, edited.person.id) == ("before", f"slack:T01/{ADA}")
    assert {stop.message_id, edited.message_id, gone.message_id} == {ts}


async def test_what_the_bot_does_itself_comes_back_as_nothing(
    adapter: SlackAdapter, local: LocalSlack, taken: list[Incoming]
) -> None:
    await local.message("hello", channel=DIRECT)
    place = questions(taken)[0].place
    del taken[:]
    ts = await adapter.post(place, adapter.render("hi"), Label("t1", 0))
    await adapter.react(place, ts)
    await adapter.edit(place, ts, adapter.render("hi there"))
    await adapter.unreact(place, ts)
    assert taken == []


def test_without_npm_it_is_said_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalSlackMissing, match="npm is not installed"):
        ensure_binary(tmp_path)


async def test_a_slash_command_arrives_and_its_question_is_posted(
    adapter: SlackAdapter, local: LocalSlack, taken: list[Incoming]
) -> None:
    await local.command("status")
    await local.command("ask What is a turn?")
    status, asked = taken
    assert isinstance(status, Command)
    assert (status.name, status.is_private) == ("status", True)
    assert isinstance(asked, UnpostedQuestion)
    label = Label("command-asked", 0)
    place, _, ts = await adapter.post_question(asked.place, asked.person, asked.text, label)
    assert await local.text(ts) == "*ada asks:*\n> What is a turn?"
    assert place.thread == ts
    await adapter.whisper(status.place, status.person, adapter.render("psst"))
    assert (await local.messages())[-1]["text"] == "psst"
    assert taken == [status, asked]


async def test_buttons_are_pressed_under_a_reply_and_gone_when_it_ends(
    adapter: SlackAdapter, local: LocalSlack, taken: list[Incoming]
) -> None:
    await local.message(f"<@{BOT}> why?")
    place, label = questions(taken)[0].place, Label("t1", 0)
    ts = await adapter.begin(place, adapter.render("Be"), label, is_text=True)
    await adapter.grow(place, ts, adapter.render("Because"), is_text=True)
    del taken[:]
    await local.press(ts, "Stop", user=BOB)
    (stop,) = taken
    assert isinstance(stop, StopRequest)
    assert (stop.message_id, stop.reaction, stop.place) == (ts, None, place)
    assert stop.person.id.endswith(BOB)

    await adapter.finish(place, ts, adapter.render("Because."), label, ReplyEnd())
    for title in ("Retry", "👎"):
        await local.press(ts, title)
    _, retry, down = taken
    assert isinstance(retry, Command)
    assert (retry.name, retry.place) == ("retry", place)
    assert isinstance(down, Feedback)
    assert (down.message_id, down.rating) == (ts, -1)
    with pytest.raises(KeyError):
        await local.press(ts, "Stop")
    assert await local.text(ts) == "Because."

"""What people in Teams see of a reply, and what Teams gets to hear from the bot."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.teams.adapter import TeamsAdapter
from bot.capabilities import GrowsReplies, OffersChoices
from bot.errors import (
    MessageTooLong,
    NotPermitted,
    PlatformError,
    PlatformRefused,
    RateLimited,
    ReplyStopped,
    Unavailable,
)
from bot.types import Choice, Label, Place
from tests.adapters.teams.conftest import (
    HERE,
    IN_CHANNEL,
    Observed,
    introduce,
    make_adapter,
    serving,
)
from tests.fakes import teams as wire
from tests.fakes.clock import FakeClock
from tests.fakes.teams import FakeTeams
from tests.fakes.teams_activities import CHANNEL, ROOT

REPLY = Label("turn-1", 0)


@pytest.fixture
async def quick(teams: FakeTeams) -> AsyncIterator[TeamsAdapter]:
    """Streams at the pace of a clock that jumps to whenever somebody waits for."""

    class Jumping(FakeClock):
        async def sleep(self, seconds: float) -> None:
            if seconds < 60:
                self._elapsed += seconds
                await asyncio.sleep(0)
            else:
                await super().sleep(seconds)

    teams.clock = teams.issuer.clock = clock = Jumping()
    adapter = make_adapter(teams, clock=clock)
    async with serving(adapter, teams), adapter:
        await introduce(adapter, teams)
        yield adapter


async def test_in_a_personal_chat_a_reply_streams(quick: TeamsAdapter, teams: FakeTeams) -> None:
    assert isinstance(quick, GrowsReplies)
    message_id = await quick.begin(HERE, quick.render("Thinking…"), REPLY, is_text=False)
    await quick.grow(HERE, message_id, quick.render("Hello"), is_text=True)
    await quick.grow(HERE, message_id, quick.render("Hello there"), is_text=True)
    assert await quick.finish(HERE, message_id, quick.render("Hello there!"), REPLY) == message_id
    assert [text for _, _, text in teams.shown] == ["Hello", "Hello there", "Hello there!"]
    assert [method for method, _, _ in teams.calls] == ["stream", "stream", "stream", "post"]


async def test_in_a_channel_a_reply_grows_by_edits_with_a_stop_button_until_its_end(
    adapter: TeamsAdapter, teams: FakeTeams
) -> None:
    message_id = await adapter.begin(IN_CHANNEL, adapter.render("Thinking…"), REPLY, is_text=False)
    await adapter.grow(IN_CHANNEL, message_id, adapter.render("Hello"), is_text=True)
    (card,) = teams.messages[message_id].body["attachments"]
    assert card["content"]["actions"][0]["title"] == "Stop"
    await adapter.finish(IN_CHANNEL, message_id, adapter.render("Hello there"), REPLY)
    body = teams.messages[message_id].body
    assert "attachments" not in body
    assert body["entities"][0]["additionalType"] == ["AIGeneratedContent"]
    assert body["channelData"]["feedbackLoop"]


async def test_a_reply_in_a_channel_stands_in_the_thread_of_its_question(
    adapter: TeamsAdapter, teams: FakeTeams
) -> None:
    await adapter.post(IN_CHANNEL, adapter.render("here"), REPLY)
    assert teams.calls[-1][1] == f"{CHANNEL};messageid={ROOT}"


async def test_where_streaming_is_refused_the_reply_is_posted_and_edited(
    quick: TeamsAdapter, teams: FakeTeams
) -> None:
    teams.takes_streams = False
    for _ in range(2):
        message_id = await quick.begin(HERE, quick.render("Thinking…"), REPLY, is_text=False)
        await quick.grow(HERE, message_id, quick.render("Hello"), is_text=True)
        await quick.finish(HERE, message_id, quick.render("Hello!"), REPLY)
        assert teams.text(message_id) == "Hello!"
    assert teams.num_made("stream") == 1, "it is asked once and not again"
    assert quick.growth_interval(HERE) == quick.limits.edit_interval


async def test_teams_own_stop_is_told(quick: TeamsAdapter, teams: FakeTeams) -> None:
    message_id = await quick.begin(HERE, quick.render("Hello"), REPLY, is_text=True)
    teams.cancel()
    with pytest.raises(ReplyStopped):
        await quick.grow(HERE, message_id, quick.render("Hello there"), is_text=True)
    await quick.finish(HERE, message_id, quick.render("Hello _(stopped)_"), REPLY)
    assert teams.text(message_id) == "Hello _(stopped)_"


async def test_a_stream_that_never_had_a_text_is_answered_in_a_new_message(
    quick: TeamsAdapter, teams: FakeTeams
) -> None:
    message_id = await quick.begin(HERE, quick.render("Thinking…"), REPLY, is_text=False)
    teams.streams[message_id].refusal = "Content stream finished due to exceeded streaming time."
    new_id = await quick.finish(HERE, message_id, quick.render("Here it is"), REPLY)
    assert new_id != message_id
    assert teams.text(new_id) == "Here it is"


async def test_a_last_text_that_may_have_been_posted_is_not_posted_again(
    adapter: TeamsAdapter, teams: FakeTeams
) -> None:
    teams.fail("post", wire.FAILS_AFTER)
    with pytest.raises(NotPermitted):  # which the reply editor does not try again
        await adapter.finish(IN_CHANNEL, None, adapter.render("Once"), REPLY)
    assert teams.texts(CHANNEL) == ["Once"]


@pytest.mark.parametrize("status", [412, 502, 503, 504])
async def test_an_edit_that_failed_may_be_tried_again(
    adapter: TeamsAdapter, teams: FakeTeams, status: int
) -> None:
    message_id = await adapter.post(IN_CHANNEL, adapter.render("one"), REPLY)
    teams.fail("edit", wire.Fault(status))
    with pytest.raises(Unavailable):
        await adapter.edit(IN_CHANNEL, message_id, adapter.render("two"))
    assert teams.num_made("edit") == 1, "nothing below the adapter tries again"
    await adapter.edit(IN_CHANNEL, message_id, adapter.render("two"))
    assert teams.text(message_id) == "two"


async def test_a_precondition_that_failed_is_not_ambiguous(
    adapter: TeamsAdapter, teams: FakeTeams
) -> None:
    teams.fail("post", wire.Fault(412))
    with pytest.raises(Unavailable) as caught:
        await adapter.post(IN_CHANNEL, adapter.render("one"), REPLY)
    assert not caught.value.ambiguous


@pytest.mark.parametrize("fault", [wire.rate_limited(0), wire.FAILS, wire.DROPS])
async def test_no_call_is_made_twice_by_anybody_below(
    adapter: TeamsAdapter, teams: FakeTeams, fault: wire.Fault
) -> None:
    message_id = await adapter.post(IN_CHANNEL, adapter.render("one"), REPLY)
    for method, call in (
        ("post", adapter.post(IN_CHANNEL, adapter.render("two"), REPLY)),
        ("edit", adapter.edit(IN_CHANNEL, message_id, adapter.render("two"))),
        ("delete", adapter.delete(IN_CHANNEL, message_id)),
    ):
        before = teams.num_made(method)
        teams.fail(method, fault)
        with pytest.raises(PlatformError):
            await call
        assert teams.num_made(method) == before + 1


async def test_teams_says_how_long_to_wait(adapter: TeamsAdapter, teams: FakeTeams) -> None:
    teams.fail("edit", wire.rate_limited(7))
    message_id = await adapter.post(IN_CHANNEL, adapter.render("one"), REPLY)
    with pytest.raises(RateLimited) as caught:
        await adapter.edit(IN_CHANNEL, message_id, adapter.render("two"))
    assert caught.value.retry_after == 7


async def test_a_bot_that_was_removed_is_not_permitted(
    adapter: TeamsAdapter, teams: FakeTeams
) -> None:
    teams.removed_from = {CHANNEL}
    with pytest.raises(NotPermitted):
        await adapter.post(IN_CHANNEL, adapter.render("anybody?"), REPLY)


async def test_a_text_that_teams_finds_too_large_is_too_long(
    adapter: TeamsAdapter, teams: FakeTeams
) -> None:
    with pytest.raises(MessageTooLong):
        await adapter.post(IN_CHANNEL, adapter.render("x" * 90_000), REPLY)


async def test_few_choices_are_buttons_and_many_are_a_list(
    adapter: TeamsAdapter, teams: FakeTeams
) -> None:
    assert isinstance(adapter, OffersChoices)
    for number, kind in ((3, "Action.Submit"), (9, "Input.ChoiceSet")):
        choices = [Choice(f"Title {n}", f"personality {n}") for n in range(number)]
        message_id = await adapter.offer(IN_CHANNEL, adapter.render("Pick"), choices, REPLY)
        (card,) = teams.messages[message_id].body["attachments"]
        assert f'"{kind}"' in json.dumps(card)
        assert "personality 2" in json.dumps(card)


async def test_a_bot_that_stops_leaves_messages_that_can_be_edited(
    quick: TeamsAdapter, teams: FakeTeams
) -> None:
    message_id = await quick.begin(HERE, quick.render("Hello"), REPLY, is_text=True)
    await quick.__aexit__(None, None, None)
    async with quick:
        await quick.finish(HERE, message_id, quick.render("Another answer"), REPLY)
    assert teams.text(message_id) == "Another answer"


async def test_a_stream_of_a_bot_that_was_killed_is_refused_so_that_another_message_comes(
    teams: FakeTeams, quick: TeamsAdapter
) -> None:
    message_id = await quick.begin(HERE, quick.render("Hello"), REPLY, is_text=True)
    quick._streams.clear()
    teams.orphan()
    with pytest.raises(PlatformRefused):  # upon which the reply editor posts anew
        await quick.grow(HERE, message_id, quick.render("Again"), is_text=True)


async def test_a_reply_that_still_streams_can_be_deleted(
    quick: TeamsAdapter, teams: FakeTeams
) -> None:
    message_id = await quick.begin(HERE, quick.render("Hello"), REPLY, is_text=True)
    await quick.delete(HERE, message_id)
    assert teams.text(message_id) is None


# Restarts


async def _introduce(adapter: TeamsAdapter, teams: FakeTeams) -> None:
    async with serving(adapter, teams):
        await introduce(adapter, teams)


async def test_after_a_restart_replies_still_find_their_conversation(
    teams: FakeTeams, tmp_path: Path
) -> None:
    first = make_adapter(teams, folder=tmp_path / "teams")
    async with first:
        await _introduce(first, teams)
        message_id = await first.post(IN_CHANNEL, first.render("one"), REPLY)
    second = make_adapter(teams, folder=tmp_path / "teams")
    async with second:
        await second.edit(IN_CHANNEL, message_id, second.render("two"))
    assert teams.text(message_id) == "two"


@pytest.mark.parametrize("content", ["", "[]", "{", '{"t": 7}'])
async def test_a_broken_file_of_addresses_is_as_good_as_none(
    teams: FakeTeams, tmp_path: Path, content: str
) -> None:
    (tmp_path / "services.json").write_text(content)
    async with make_adapter(teams, folder=tmp_path) as adapter:
        await _introduce(adapter, teams)
        await adapter.post(IN_CHANNEL, adapter.render("hello"), REPLY)


async def test_calls_are_counted_by_how_they_ended(
    adapter: TeamsAdapter, teams: FakeTeams, observed: Observed
) -> None:
    observed.clear()
    teams.fail("post", wire.Fault(400, "BadArgument"))
    with pytest.raises(PlatformRefused):
        await adapter.post(IN_CHANNEL, adapter.render("x"), REPLY)
    await adapter.typing(Place("teams", HERE.workspace, CHANNEL, ROOT))
    assert observed == [("post", "BadArgument"), ("typing", "ok")]

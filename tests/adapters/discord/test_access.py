"""Who is refused on Discord, and that nobody is left looking at "thinking…" for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.adapters.discord.talk import talking
from tests.fakes.discord import FakeDiscord
from tests.fakes.discord_guild import (
    ADA,
    ADULT,
    BOB,
    BOSS,
    BOSS_ROLE,
    CHANNEL,
    DIRECT,
    GUILD,
    OTHER_CHANNEL,
    Asked,
)

ADULTS = "I do not answer in age-restricted channels."
NOT_HERE = "Sorry, I have been asked not to answer here."
NOT_LISTED = "Sorry, I only answer certain people and channels"


async def whispered(discord: FakeDiscord, asked: Asked, text: str) -> None:
    """Until the person, and nobody else, has this for an answer, and waits no longer."""
    count = len([each for each in discord.interactions.values() if each.user == asked.user])

    def is_told_each_time() -> bool:
        told = discord.whispers(asked.user)
        return len(told) == count and all(each.startswith(text) for each in told)

    await discord.until(is_told_each_time)
    if asked.callback == 5:
        await discord.until(
            lambda: asked.original not in discord.messages or discord.answer_to(asked)
        )


@pytest.mark.parametrize(
    "rule",
    [
        f"discord:{GUILD}",
        f"discord:{GUILD}/{CHANNEL}",
        f"discord:{GUILD}/{BOSS}",
        f"discord:{GUILD}/@{BOSS_ROLE}",
    ],
    ids=["server", "channel", "user", "role"],
)
async def test_each_kind_of_rule_denies_and_allows(
    tmp_path: Path, discord: FakeDiscord, rule: str
) -> None:
    async with talking(tmp_path, discord, access={"deny": [rule]}) as talk:
        await whispered(discord, await discord.slash("ask", question="Hi?", user=BOSS), NOT_HERE)
        assert talk.generator.generations == []
    async with talking(tmp_path, discord, access={"allow": [rule]}) as talk:
        await talk.answered("Hello?", "Hi.", user=BOSS)


@pytest.mark.parametrize(
    "where",
    [{"channel": OTHER_CHANNEL, "user": BOSS}, {"channel": CHANNEL, "user": BOB}],
    ids=["elsewhere", "somebody else"],
)
async def test_who_is_on_no_allow_list_is_told_what_to_do(
    tmp_path: Path, discord: FakeDiscord, where: dict[str, str]
) -> None:
    rules = [f"discord:{GUILD}/{CHANNEL}"] if where["user"] == BOSS else [f"discord:{GUILD}/{BOSS}"]
    async with talking(tmp_path, discord, access={"allow": rules}):
        await whispered(discord, await discord.slash("ask", question="Hi?", **where), NOT_LISTED)


async def test_a_role_may_have_a_quota_of_its_own(tmp_path: Path, discord: FakeDiscord) -> None:
    quotas = [f"discord:{GUILD}/@{BOSS_ROLE}=60"]
    async with talking(tmp_path, discord, access={"per_minute": 1, "quotas": quotas}) as talk:
        for user in (ADA, BOSS, BOSS):
            await talk.answered("One?", "Two.", user=user)
        asked = await discord.slash("ask", question="And I?")
        await whispered(discord, asked, "You may ask a question a minute")


async def test_every_refused_interaction_is_answered_though_a_mention_is_once_an_hour(
    tmp_path: Path, discord: FakeDiscord
) -> None:
    denied = {"deny": [f"discord:{GUILD}/{BOB}"]}
    async with talking(tmp_path, discord, access=denied) as talk:
        for _ in range(2):
            asked = await discord.slash("ask", question="Hello?", user=BOB)
            await whispered(discord, asked, NOT_HERE)
        await whispered(discord, await discord.slash("parley", sub="status", user=BOB), NOT_HERE)
        await discord.ask("Hello?", user=BOB)
        await talk.quiet()
        assert discord.texts(CHANNEL) == []
        assert talk.num_refusals() == {"true": 3, "false": 1}
        assert talk.generator.generations == []


async def test_two_refused_at_once_are_both_answered(tmp_path: Path, discord: FakeDiscord) -> None:
    denied = {"deny": [f"discord:{GUILD}/{BOB}"]}
    async with talking(tmp_path, discord, access=denied):
        first = await discord.slash("ask", question="One?", user=BOB)
        second = await discord.slash("ask", question="Two?", user=BOB)
        await whispered(discord, first, NOT_HERE)
        await whispered(discord, second, NOT_HERE)


@pytest.mark.parametrize(
    "access", [{"direct_messages": False}, {"deny": ["discord:@me"]}, {"max_in_flight": 1}]
)
async def test_a_refusal_in_a_direct_message_takes_the_place_of_thinking(
    tmp_path: Path, discord: FakeDiscord, access: dict[str, object]
) -> None:
    async with talking(tmp_path, discord, access=access):
        await discord.slash("ask", question="Hello?", channel=DIRECT)
        asked = await discord.slash("ask", question="Hello?", channel=DIRECT)
        await discord.until(lambda: discord.answer_to(asked))
        answer = discord.answer_to(asked) or ""
        assert answer.startswith(("Sorry, I", "I am still busy with a question of yours"))


async def test_an_age_restricted_channel_is_left_alone_and_each_person_told_why_once_an_hour(
    tmp_path: Path, discord: FakeDiscord
) -> None:
    async with talking(tmp_path, discord) as talk:
        for _ in range(2):
            await discord.ask("Hello?", channel=ADULT)
        await discord.ask("And me?", channel=ADULT, user=BOB)
        await discord.until(lambda: len(discord.texts(ADULT)) == 2)
        await talk.quiet()
        assert discord.texts(ADULT) == [ADULTS, ADULTS]
        for given in ({"question": "Hello?"}, {}):
            asked = await discord.slash("ask", channel=ADULT, **given)
            assert asked.data["content"] == ADULTS
        assert talk.generator.generations == []
        assert await talk.turns() == []


async def test_a_thread_of_an_age_restricted_channel_is_one_too(
    tmp_path: Path, discord: FakeDiscord
) -> None:
    root = await discord.say("Psst", channel=ADULT)
    discord.open_thread(ADULT, root, "Psst")
    async with talking(tmp_path, discord):
        asked = await discord.slash("ask", question="Hello?", channel=root)
        assert asked.data["content"] == ADULTS


async def test_the_setting_opens_age_restricted_channels(
    tmp_path: Path, discord: FakeDiscord
) -> None:
    async with talking(tmp_path, discord, age_restricted=True) as talk:
        await talk.answered("Hello?", "Hi.", channel=ADULT)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("stop", "There is nothing of yours to stop here."),
        ("help", "Ask me anything, or say one of:"),
        ("personality pirate", "**Pirate** answers in this thread from now on."),
    ],
)
async def test_a_command_typed_as_a_question_is_answered_too(
    tmp_path: Path, discord: FakeDiscord, said: str, answer: str
) -> None:
    async with talking(tmp_path, discord) as talk:
        thread, _ = await talk.answered("One?", "Two.")
        asked = await discord.slash("ask", question=said, channel=thread)
        await discord.until(
            lambda: any(
                text.startswith(answer)
                for text in [*discord.whispers(), discord.answer_to(asked) or ""]
            )
        )
        assert asked.original not in discord.messages or discord.answer_to(asked)


async def test_stop_and_retry_that_succeed_say_so_to_whoever_used_the_command(
    tmp_path: Path, discord: FakeDiscord
) -> None:
    async with talking(tmp_path, discord) as talk:
        question, generation = await talk.asked("Why?")
        generation.say("Because")
        reply = await discord.says("Because", question)
        await discord.slash("ask", question="stop", channel=question)
        await discord.until(lambda: discord.whispers() == ["Stopped."])
        await talk.ended(reply)
        talk.generator.replies.append("Because of it.")
        await discord.slash("parley", sub="retry", channel=question)
        await discord.until(lambda: discord.whispers() == ["Stopped.", "I am answering again."])
        await discord.says("Because of it.", question)

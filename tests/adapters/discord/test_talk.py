"""What a person on Discord sees of a reply: threads, chains, commands, buttons."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.generation import FinishReason
from tests.adapters.discord.talk import Talk, talking
from tests.fakes.discord import EDIT, EDIT_ORIGINAL, SEND, THREAD, FakeDiscord
from tests.fakes.discord_guild import ADA, BOB, BOSS, BOT, CHANNEL, DIRECT, OTHER_CHANNEL

ENDED = ["Retry", "Personality…", "👍", "👎"]


@pytest.fixture
async def talk(tmp_path: Path, discord: FakeDiscord) -> AsyncIterator[Talk]:
    async with talking(tmp_path, discord) as talk:
        yield talk


async def test_a_question_opens_a_thread_named_after_it_in_which_the_reply_grows(
    talk: Talk, discord: FakeDiscord
) -> None:
    question, generation = await talk.asked("Why is the sky blue?")
    reply = await discord.says("Thinking…", question)
    assert discord.channels[question]["name"] == "Why is the sky blue?"
    assert list(discord.buttons(reply)) == ["Stop"]
    generation.say("Because of")
    await discord.says("Because of", question)
    generation.say(" Rayleigh.")
    generation.finish()
    assert await discord.says("Because of Rayleigh.", question) == reply
    await talk.ended(reply)
    assert list(discord.buttons(reply)) == ["Retry", "Personality…", "👍", "👎"]
    assert discord.num_calls(EDIT) == 2  # the buttons came with the last text


async def test_a_follow_up_in_the_thread_needs_no_mention_and_knows_what_was_said(
    talk: Talk, discord: FakeDiscord
) -> None:
    thread, _ = await talk.answered("One?", "Two.")
    await discord.say("And then?", channel=thread)
    generation = await talk.generation()
    assert [m.content for m in generation.request.messages][1:] == ["One?", "Two.", "And then?"]
    generation.say("Three.")
    generation.finish()
    await discord.says("Three.", thread)


async def test_a_message_to_somebody_else_in_the_thread_is_context_only(
    talk: Talk, discord: FakeDiscord
) -> None:
    thread, _ = await talk.answered("One?", "Two.")
    await discord.say(f"<@{BOB}> look at this", channel=thread)
    await talk.quiet()
    assert len(talk.generator.generations) == 1
    await discord.say("So?", channel=thread)
    generation = await talk.generation()
    assert "Ada: @Bob look at this" in generation.question
    generation.finish()


async def test_without_message_content_a_follow_up_needs_a_mention(tmp_path: Path) -> None:
    async with FakeDiscord(message_content=False) as discord, talking(tmp_path, discord) as talk:
        thread, _ = await talk.answered("One?", "Two.")
        await discord.say("And then?", channel=thread)
        await talk.quiet()
        assert len(talk.generator.generations) == 1
        talk.generator.replies.append("Three.")
        await discord.ask("And then?", channel=thread)
        await discord.says("Three.", thread)


async def test_answers_in_place_are_replies_and_replies_to_them_go_on(
    tmp_path: Path, discord: FakeDiscord
) -> None:
    async with talking(tmp_path, discord, threads=False) as talk:
        talk.generator.replies += ["Two.", "Three."]
        question = await discord.ask("One?")
        reply = await discord.says("Two.", CHANNEL)
        assert discord.messages[reply]["message_reference"]["message_id"] == question
        await discord.say("And then?", reply_to=reply)
        await discord.says("Three.", CHANNEL)
        messages = talk.generator.generations[-1].request.messages
        assert [m.content for m in messages][1:] == ["One?", "Two.", "And then?"]
        assert discord.num_calls(THREAD) == 0


async def test_where_no_thread_may_be_opened_the_answer_is_a_reply(
    talk: Talk, discord: FakeDiscord
) -> None:
    discord.forbidden.add(("thread", CHANNEL))
    talk.generator.replies.append("Here.")
    question = await discord.ask("Where?")
    reply = await discord.says("Here.", CHANNEL)
    assert discord.messages[reply]["message_reference"]["message_id"] == question


async def test_where_parley_may_not_write_it_goes_on_elsewhere(
    talk: Talk, discord: FakeDiscord
) -> None:
    discord.forbidden |= {("write", CHANNEL), ("thread", CHANNEL)}
    question = await discord.ask("Hello?")
    await talk.is_over(question)
    talk.generator.replies += ["Heard."]
    discord.forbidden.clear()
    assert discord.texts(CHANNEL) == []
    elsewhere = await discord.ask("Hello?", channel=OTHER_CHANNEL)
    await discord.says("Heard.", elsewhere)


async def test_direct_messages_are_answered_flat(talk: Talk, discord: FakeDiscord) -> None:
    talk.generator.replies += ["Hi.", "Still here."]
    await discord.say("Hello", channel=DIRECT)
    await discord.says("Hi.", DIRECT)
    await discord.say("Are you there?", channel=DIRECT)
    await discord.says("Still here.", DIRECT)


async def test_a_mention_that_an_edit_adds_is_answered(talk: Talk, discord: FakeDiscord) -> None:
    message = await discord.say("Why is the sky blue?", user=BOB)
    talk.generator.replies.append("Rayleigh.")
    await discord.change_text(message, f"<@{BOT}> Why is the sky blue?")
    await discord.says("Rayleigh.", message)
    assert discord.channels[message]["name"] == "Why is the sky blue?"


async def test_a_question_written_after_the_name_by_an_edit_is_answered(
    talk: Talk, discord: FakeDiscord
) -> None:
    message = await discord.say(f"<@{BOT}>")
    await discord.until(lambda: any("no question" in text for text in every_text(discord)))
    talk.generator.replies.append("Rayleigh.")
    await discord.change_text(message, f"<@{BOT}> Why is the sky blue?")
    await discord.until(lambda: "Rayleigh." in every_text(discord))


async def test_a_word_that_an_edit_makes_stop_stops(talk: Talk, discord: FakeDiscord) -> None:
    question, generation = await talk.asked("Why?")
    generation.say("Because")
    await discord.says("Because", question)
    typo = await discord.say(f"<@{BOB}> sotp", channel=question)
    await discord.change_text(typo, "stop")
    await discord.says("Because\n\n_(stopped)_", question)


def every_text(discord: FakeDiscord) -> list[str]:
    """What the bot said anywhere."""
    return [text for channel in discord.channels for text in discord.texts(channel)]


async def test_bots_webhooks_and_system_messages_are_not_answered(
    talk: Talk, discord: FakeDiscord
) -> None:
    await discord.say(f"<@{BOT}> I am you", user=BOT)
    await discord.say(f"<@{BOT}> I am a hook", webhook_id="123")
    await discord.say(f"<@{BOT}> pinned", type=6)
    await talk.quiet()
    assert talk.generator.generations == []


async def test_a_long_answer_rolls_over_into_further_messages(
    talk: Talk, discord: FakeDiscord
) -> None:
    words = " ".join(f"word{n}" for n in range(700))
    talk.generator.replies.append(words)
    question = await discord.ask("Much, please.")
    await discord.until(lambda: len(discord.texts(question)) == 3)
    await discord.until(lambda: " ".join(discord.texts(question)) == words)
    assert all(len(text) <= 2000 for text in discord.texts(question))


async def test_nothing_the_model_writes_pings_anybody(talk: Talk, discord: FakeDiscord) -> None:
    talk.generator.replies.append(f"@everyone @here <@{ADA}> <@&5> hello")
    question = await discord.ask("Wake them.")
    await discord.until(lambda: any("hello" in text for text in discord.texts(question)))
    text = discord.texts(question)[0]
    assert "@everyone" not in text
    assert f"<@{ADA}>" not in text


async def test_a_slash_question_is_deferred_and_grows_in_place(
    talk: Talk, discord: FakeDiscord
) -> None:
    asked = await discord.slash("ask", question="One?")
    assert asked.callback == 5
    generation = await talk.generation()
    generation.say("T")
    await discord.until(lambda: discord.answer_to(asked) == "T")
    generation.say("wo.")
    generation.finish()
    await discord.until(lambda: discord.answer_to(asked) == "Two.")
    await talk.ended(asked.original)
    assert discord.num_calls(EDIT_ORIGINAL) >= 2
    assert discord.num_calls(SEND) == 0


async def test_a_slash_question_is_read_as_people_see_it(talk: Talk, discord: FakeDiscord) -> None:
    question = f"<@{BOT}> what happened in <#{OTHER_CHANNEL}> at <t:1700000000:f>?"
    await discord.slash("ask", question=question)
    generation = await talk.generation()
    assert generation.question == "what happened in #random at 2023-11-14 22:13 UTC?"
    generation.finish()


async def test_a_reply_to_a_slash_answer_goes_on_with_it(talk: Talk, discord: FakeDiscord) -> None:
    talk.generator.replies += ["Two.", "Three."]
    asked = await discord.slash("ask", question="One?")
    await discord.until(lambda: discord.answer_to(asked) == "Two.")
    await discord.say("And then?", reply_to=asked.original)
    await discord.says("Three.", CHANNEL)
    messages = talk.generator.generations[-1].request.messages
    assert [m.content for m in messages][1:] == ["One?", "Two.", "And then?"]


async def test_a_private_answer_is_seen_by_its_asker_only(talk: Talk, discord: FakeDiscord) -> None:
    talk.generator.replies.append("Between us.")
    await discord.slash("ask", question="Secret?", private=True)
    await discord.until(lambda: discord.whispers() == ["Between us."])
    assert discord.texts(CHANNEL) == []


async def test_a_personality_can_be_chosen_with_the_question(
    talk: Talk, discord: FakeDiscord
) -> None:
    await discord.slash("ask", question="Ahoy?", personality="pirate")
    generation = await talk.generation()
    assert generation.request.messages[0].content == "You are a pirate."
    generation.finish()


async def test_an_unknown_personality_is_told_to_the_asker_alone(
    talk: Talk, discord: FakeDiscord
) -> None:
    asked = await discord.slash("ask", question="Ahoy?", personality="nobody")
    await discord.until(lambda: discord.whispers())
    assert "There is no personality 'nobody'" in discord.whispers()[0]
    assert asked.original not in discord.messages


async def test_names_of_personalities_are_completed(talk: Talk, discord: FakeDiscord) -> None:
    options = [{"name": "personality", "type": 3, "value": "pi", "focused": True}]
    asked = await discord.interact(4, {"id": "1", "name": "ask", "type": 1, "options": options})
    assert [choice["value"] for choice in asked.data["choices"]] == ["pirate"]


async def test_without_a_question_a_window_opens_for_a_long_one(
    talk: Talk, discord: FakeDiscord
) -> None:
    asked = await discord.slash("ask", personality="pirate")
    assert asked.callback == 9
    field = {"type": 4, "custom_id": "question", "value": "A long question"}
    form = {
        "custom_id": asked.data["custom_id"],
        "components": [{"type": 1, "components": [field]}],
    }
    talk.generator.replies.append("A short answer.")
    sent = await discord.interact(5, form)
    await discord.until(lambda: discord.answer_to(sent) == "A short answer.")
    first, question = talk.generator.generations[0].request.messages
    assert (first.content, question.content) == ("You are a pirate.", "A long question")


async def test_the_message_menu_asks_about_a_message(talk: Talk, discord: FakeDiscord) -> None:
    about = await discord.say("E = mc²", user=BOB)
    data = {
        "id": "1",
        "name": "Ask Parley about this",
        "type": 3,
        "target_id": about,
        "resolved": {"messages": {about: discord.messages[about]}},
    }
    asked = await discord.interact(2, data)
    generation = await talk.generation()
    assert "message by Bob" in generation.question
    assert "> E = mc²" in generation.question
    generation.say("Energy.")
    generation.finish()
    await discord.until(lambda: discord.answer_to(asked) == "Energy.")


@pytest.mark.parametrize(
    ("sub", "says"),
    [
        ("status", "Model: scripted"),
        ("help", "Ask me anything"),
        ("retry", "nothing here to answer again"),
        ("forget", "nothing to forget"),
        ("stop", "nothing of yours to stop"),
    ],
)
async def test_every_command_says_something(
    talk: Talk, discord: FakeDiscord, sub: str, says: str
) -> None:
    asked = await discord.slash("parley", sub=sub)
    await discord.until(
        lambda: any(says in text for text in discord.whispers() + discord.texts(CHANNEL))
    )
    assert asked.callback == 5


async def test_a_personality_is_picked_under_a_reply_and_stays(
    talk: Talk, discord: FakeDiscord
) -> None:
    thread, reply = await talk.answered("One?", "Two.")
    shown = await discord.press(reply, "Personality…")
    menu = shown.data["components"][0]["components"][0]
    assert [option["value"] for option in menu["options"]] == ["assistant", "pirate"]
    chosen = {"component_type": 3, "custom_id": menu["custom_id"], "values": ["pirate"]}
    await discord.press_id(shown.original, chosen)
    await discord.until(lambda: any("Pirate" in text for text in discord.texts(thread)))
    await discord.say("Ahoy?", channel=thread)
    generation = await talk.generation()
    assert generation.request.messages[0].content == "You are a pirate."
    generation.finish()


async def test_retry_writes_the_last_reply_again_into_the_same_message(
    talk: Talk, discord: FakeDiscord
) -> None:
    thread, reply = await talk.answered("One?", "Two.")
    talk.generator.replies.append("Three.")
    await discord.press(reply, "Retry")
    assert await discord.says("Three.", thread) == reply
    assert discord.texts(thread) == ["Three."]


@pytest.mark.parametrize("presser", [ADA, BOB])
async def test_an_older_answer_is_not_given_again_in_place_of_the_newest(
    talk: Talk, discord: FakeDiscord, presser: str
) -> None:
    thread, older = await talk.answered("One?", "Two.")
    talk.generator.replies.append("Four.")
    await discord.say("Three?", channel=thread, user=presser)
    await talk.ended(await discord.says("Four.", thread))
    await discord.press(older, "Retry")
    await discord.until(lambda: discord.whispers(ADA))
    assert discord.whispers(ADA) == ["Only the newest answer of a thread can be given again."]
    assert discord.texts(thread) == ["Two.", "Four."]


async def test_only_a_reply_that_was_stopped_or_cut_off_has_a_button_to_go_on(
    talk: Talk, discord: FakeDiscord
) -> None:
    thread, generation = await talk.asked("One?")
    generation.say("Two, ")
    generation.finish(FinishReason.LENGTH)
    await discord.until(lambda: any("cut off" in text for text in discord.texts(thread)))
    (reply,) = [each for each in discord.messages if discord.text(each) in discord.texts(thread)]
    await discord.until(lambda: "Continue" in discord.buttons(reply))
    assert list(discord.buttons(reply)) == ["Continue", *ENDED]
    await discord.press(reply, "Continue")
    generation = await talk.generation()
    assert generation.request.begun == "Two, "
    generation.say("three.")
    await discord.until(lambda: list(discord.buttons(reply)) == ["Stop"])
    generation.finish()
    assert await discord.says("Two, three.", thread) == reply
    await discord.until(lambda: list(discord.buttons(reply)) == ENDED)


async def test_continue_goes_on_in_a_further_message_which_has_the_buttons_then(
    talk: Talk, discord: FakeDiscord
) -> None:
    words = [f"word{number}" for number in range(350)]
    thread, generation = await talk.asked("One?")
    generation.say(" ".join(words[:200]))
    generation.finish(FinishReason.LENGTH)
    await discord.until(lambda: any("cut off" in text for text in discord.texts(thread)))
    (first,) = [each for each in discord.messages if discord.text(each) in discord.texts(thread)]
    await discord.until(lambda: "Continue" in discord.buttons(first))
    talk.generator.replies.append(" " + " ".join(words[200:]))
    await discord.press(first, "Continue")
    await discord.until(lambda: any("word349" in text for text in discord.texts(thread)))
    assert " ".join(discord.texts(thread)).split() == words
    kept, further = (e for e in discord.messages if discord.text(e) in discord.texts(thread))
    assert kept == first
    await discord.until(lambda: list(discord.buttons(further)) == ENDED)
    assert list(discord.buttons(first)) == []


async def test_what_was_said_before_in_a_chain_is_known(talk: Talk, discord: FakeDiscord) -> None:
    first = await discord.say("The meeting is on Monday.", user=BOB)
    second = await discord.say("No, on Tuesday.", user=BOSS, reply_to=first)
    await discord.say(f"<@{BOT}> When is it?", reply_to=second)
    generation = await talk.generation()
    assert generation.question == (
        "Bob: The meeting is on Monday.\nAda: When is it?\n\n"
        "[Message that is replied to, from Boss]\n> No, on Tuesday."
    )
    generation.finish()


async def test_what_was_said_before_in_a_thread_is_known_and_forgotten_for_good(
    talk: Talk, discord: FakeDiscord
) -> None:
    root = await discord.say("Lunch")
    thread = discord.open_thread(CHANNEL, root, "Lunch")
    await discord.gateway.dispatch("THREAD_CREATE", thread)
    await discord.say("Pizza, please.", user=BOB, channel=root)
    await discord.say("Salad for Bob.", channel=root)
    talk.generator.replies.append("Noted.")
    await discord.ask("Who wants what?", channel=root)
    await discord.says("Noted.", root)
    question = talk.generator.generations[0].question
    assert "Bob: Pizza, please." in question
    assert "Ada: Salad for Bob." in question
    await discord.slash("parley", sub="forget", channel=root)
    await discord.until(lambda: any("Forgotten" in text for text in discord.texts(root)))
    await discord.ask("And now?", channel=root)
    generation = await talk.generation()
    assert "Pizza" not in generation.question
    generation.finish()


async def test_a_very_long_answer_ends_as_a_file_where_the_setting_says_so(
    tmp_path: Path, discord: FakeDiscord
) -> None:
    words = " ".join(f"word{n}" for n in range(1000))
    async with talking(tmp_path, discord, file_above=2) as talk:
        talk.generator.replies.append(words)
        question = await discord.ask("Much, please.")
        await discord.until(lambda: "answer.md" in discord.files)
        assert discord.files["answer.md"].decode() == words
        first, second = discord.texts(question)
        assert first.endswith("_(the whole answer is in the file below)_")
        assert second == ""


async def test_typing_is_shown_while_a_question_waits_in_line(
    talk: Talk, discord: FakeDiscord
) -> None:
    question, generation = await talk.asked("Why?")
    generation.queue(2, wait=20.0)
    await discord.says("You are 2nd in line, about 20 s…", question)
    await discord.until(lambda: discord.num_typings == 1)
    generation.finish()

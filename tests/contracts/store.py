"""What every ``ThreadStore`` does. Subclass ``ThreadStoreContract`` and give it ``reopen``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

import pytest

from bot.generation import FinishReason, Usage
from bot.source import Source
from bot.stored import (
    Owed,
    Post,
    Turn,
    TurnState,
    Vote,
)
from bot.stores import ThreadStore
from bot.types import (
    Attachment,
    Command,
    Feedback,
    Person,
    Place,
    Question,
    UnpostedQuestion,
    Unread,
)
from tests.fakes.clock import START, FakeClock

Reopen = Callable[[], Awaitable[ThreadStore]]

HERE = Place("slack", "T1", "C1", "1700.1")
ELSEWHERE = Place("slack", "T1", "C2", "1800.1")
ANN = Person("slack:T1/U1", "Ann")
BOB = Person("slack:T1/U2", "Bob")
FILE = Source("a.csv", "pear,4", is_cut=True)
PAGE = Source("Pears", "Sweet.", kind="page", address="https://pear.example/")
FACT = Source("fruit.md", "A pear is green.", kind="fact", heading=("Fruit", "Pears"))
DAY = timedelta(days=1)
_numbers = count(1)
PDF = Attachment("a.pdf", "application/pdf", 12, "https://files/a.pdf")
OWED = (
    UnpostedQuestion(
        event_id="form V1",
        place=HERE,
        person=Person("slack:T1/U1", "Ann", ("admins",)),
        awaits_answer=True,
        text="Why? \ud83d",
        quoted="> 🛑 said Bob",
        attachments=(PDF,),
    ),
    Command(event_id="command 1.2", place=ELSEWHERE, person=BOB, name="catch up", is_private=True),
)


def ask(
    message_id: str, text: str = "Why is the sky blue?", place: Place = HERE, person: Person = ANN
) -> Question:
    return Question(
        event_id=f"Ev-{message_id}",
        place=place,
        person=person,
        text=text,
        message_id=message_id,
        sent_at=START,
        is_mention=True,
    )


async def accepted(store: ThreadStore, question: Question) -> Turn:
    turn = await store.accept(question)
    assert turn is not None
    return turn


async def answered(store: ThreadStore, question: Question, reply: str = "Because.") -> Turn:
    turn = await store.begin((await accepted(store, question)).id)
    await store.finish(turn.id, TurnState.DONE, reply=reply, reason=FinishReason.STOP)
    return turn


def judgement(rating: int, person: Person = ANN) -> Feedback:
    return Feedback(
        event_id=f"Ev-vote-{next(_numbers)}",
        place=HERE,
        person=person,
        message_id="reply",
        rating=rating,
    )


async def rate(store: ThreadStore, turn: Turn, rating: int, person: Person = ANN) -> None:
    """0 takes the person's vote back."""
    vote = Vote(rating) if rating else None
    assert await store.rate(turn.id, judgement(rating, person), vote)


async def texts(store: ThreadStore, place: Place = HERE) -> list[str]:
    return [turn.text for turn in await store.turns(place)]


class _Fixtures:
    @pytest.fixture
    def clock(self) -> FakeClock:
        return FakeClock()

    @pytest.fixture
    async def reopen(self, clock: FakeClock) -> Reopen:
        """Close the store if it is open, and open it on the same data (on none at first)."""
        raise NotImplementedError

    @pytest.fixture
    async def store(self, reopen: Reopen) -> ThreadStore:
        return await reopen()


class _Accepting(_Fixtures):
    async def test_a_question_becomes_a_queued_turn_with_all_that_was_said(
        self, store: ThreadStore
    ) -> None:
        turn = await accepted(store, ask("1", "Why?"))

        assert turn == Turn(
            id=turn.id,
            place=HERE,
            number=1,
            state=TurnState.QUEUED,
            person=ANN,
            message_id="1",
            text="Why?",
            accepted_at=START,
        )
        assert await store.turn(turn.id) == turn
        assert await store.turns(HERE) == [turn]

    async def test_what_is_still_to_be_read_is_kept_until_it_is_read(
        self, reopen: Reopen, store: ThreadStore
    ) -> None:
        file = Attachment("a.csv", "text/csv", 7, "https://files/a.csv")
        question = replace(ask("1"), attachments=(file,), wants_earlier=True)
        turn = await accepted(store, question)
        store = await reopen()
        assert (await store.begin(turn.id)).unread == Unread((file,), earlier=True)

        await store.edit_question(turn.id, "What is a pear?")
        read = await store.note_read(turn.id, files=[FILE], earlier=[("Bob", "Pears!")])

        assert (read.text, read.files) == ("What is a pear?", (FILE,))
        assert (read.unread, read.remarks) == (Unread(), (("Bob", "Pears!"),))
        assert await store.turn(turn.id) == read

    async def test_files_of_a_forgotten_question_are_not_kept(self, store: ThreadStore) -> None:
        turn = await accepted(store, ask("1"))
        await store.forget(HERE)
        with pytest.raises(LookupError):
            await store.note_read(turn.id, files=[FILE], earlier=[("Bob", "secret")])
        assert await store.turns(HERE) == []

    async def test_what_is_gathered_for_a_question_stays_until_that_reads_otherwise(
        self, reopen: Reopen, store: ThreadStore
    ) -> None:
        turn = await accepted(store, ask("1", "A pear?"))
        await store.note_read(turn.id, files=[FILE], earlier=[])
        await store.add_sources(turn.id, "A pear?", [PAGE, FACT])
        store = await reopen()
        kept = await store.requeue(turn.id, goes_on=True)
        assert kept.files == (FILE, PAGE, FACT)

        await store.edit_question(turn.id, "A pear?")
        assert (await store.begin(turn.id)).files == (FILE, PAGE, FACT)
        await store.edit_question(turn.id, "An apple?")
        late = await store.add_sources(turn.id, "A pear?", [PAGE])
        assert (late.text, late.files) == ("An apple?", (FILE,))

    async def test_another_answer_begins_with_what_came_along(self, store: ThreadStore) -> None:
        turn = await accepted(store, ask("1"))
        await store.note_read(turn.id, files=[FILE], earlier=[])
        await store.add_sources(turn.id, turn.text, [PAGE, FACT])
        assert (await store.requeue(turn.id)).files == (FILE,)

    async def test_sources_of_a_forgotten_question_are_not_kept(self, store: ThreadStore) -> None:
        turn = await accepted(store, ask("1"))
        await store.forget(HERE)
        with pytest.raises(LookupError):
            await store.add_sources(turn.id, turn.text, [PAGE])

    async def test_a_message_that_is_delivered_again_is_not_asked_twice(
        self, store: ThreadStore
    ) -> None:
        await accepted(store, ask("1"))

        assert await store.accept(ask("1")) is None
        assert len(await store.turns(HERE)) == 1

    async def test_a_message_that_is_delivered_twice_at_once_is_asked_once(
        self, store: ThreadStore
    ) -> None:
        both = await asyncio.gather(store.accept(ask("1")), store.accept(ask("1")))

        assert sorted(turn is None for turn in both) == [False, True]

    async def test_the_same_message_id_in_another_channel_is_another_question(
        self, store: ThreadStore
    ) -> None:
        await accepted(store, ask("1"))

        assert (await accepted(store, ask("1", place=ELSEWHERE))).number == 1

    async def test_slashes_in_ids_do_not_make_two_messages_one(self, store: ThreadStore) -> None:
        await accepted(store, ask("c/1", place=Place("slack", "T1", "a/b", "x")))

        assert await store.accept(ask("1", place=Place("slack", "T1", "a/b/c", "x")))
        assert await store.accept(ask("b/c/1", place=Place("slack", "T1", "a", "x")))

    async def test_forty_questions_at_once_in_one_thread_are_numbered_from_1_to_40(
        self, store: ThreadStore
    ) -> None:
        turns = await asyncio.gather(*(accepted(store, ask(str(i))) for i in range(40)))

        assert sorted(turn.number for turn in turns) == list(range(1, 41))
        assert [turn.number for turn in await store.turns(HERE)] == list(range(1, 41))

    async def test_each_thread_counts_its_own_turns(self, store: ThreadStore) -> None:
        await accepted(store, ask("1"))
        await accepted(store, ask("2"))

        assert (await accepted(store, ask("3", place=ELSEWHERE))).number == 1

    async def test_an_event_is_new_once(self, store: ThreadStore) -> None:
        assert await store.accept_event(ask("1"))
        assert not await store.accept_event(ask("1"))

    async def test_an_event_that_comes_twice_at_once_is_new_once(self, store: ThreadStore) -> None:
        both = await asyncio.gather(*(store.accept_event(ask("1")) for _ in range(2)))

        assert sorted(both) == [False, True]

    async def test_two_platforms_may_give_their_events_the_same_id(
        self, store: ThreadStore
    ) -> None:
        await store.accept_event(ask("1"))

        assert await store.accept_event(ask("1", place=Place("discord", "T1", "C1", "x")))

    @pytest.mark.parametrize("asked", OWED, ids=["a question", "a command"])
    async def test_what_is_owed_is_kept_as_it_was_asked_until_it_is_settled(
        self, reopen: Reopen, store: ThreadStore, asked: Command | UnpostedQuestion
    ) -> None:
        assert await store.owe(asked)
        assert not await store.owe(asked)
        store = await reopen()
        assert await store.owed() == [Owed(asked, START)]

        await store.settle(asked)

        assert await store.owed() == []
        assert not await store.owe(asked)

    @pytest.mark.parametrize("asked", OWED, ids=["a question", "a command"])
    async def test_what_has_become_a_turn_is_owed_no_more(
        self, store: ThreadStore, asked: Command | UnpostedQuestion
    ) -> None:
        await store.owe(asked)
        await accepted(store, ask("1"))
        assert len(await store.owed()) == 1

        await accepted(store, replace(ask("2"), event_id=asked.event_id))

        assert await store.owed() == []

    @pytest.mark.parametrize(
        ("said", "stored"),
        [
            ("naïve 🛑 “quotes”", "naïve 🛑 “quotes”"),
            ("nul \0 and \x1b[31m", "nul \0 and \x1b[31m"),
            ("half a pair \ud83d here", "half a pair \ufffd here"),
            ("a" * 1_000_000, "a" * 1_000_000),
            ("'; DROP TABLE turns; --", "'; DROP TABLE turns; --"),
        ],
        ids=["unicode", "control", "surrogate", "1 MB", "sql"],
    )
    async def test_whatever_people_type_is_kept(
        self, store: ThreadStore, said: str, stored: str
    ) -> None:
        await accepted(store, ask("1", said))

        assert await texts(store) == [stored]


class _Remarks(_Fixtures):
    async def test_a_remark_comes_with_the_next_question_and_no_other(
        self, store: ThreadStore
    ) -> None:
        await accepted(store, ask("1"))
        await store.add_remark(ask("2", "Bob, look at this", person=BOB))
        await store.add_remark(ask("3", "I see"))
        await accepted(store, ask("4"))
        await accepted(store, ask("5"))

        remarks = [turn.remarks for turn in await store.turns(HERE)]
        assert remarks == [(), (("Bob", "Bob, look at this"), ("Ann", "I see")), ()]

    async def test_a_remark_that_is_delivered_again_is_kept_once(self, store: ThreadStore) -> None:
        await accepted(store, ask("1"))
        for _ in range(2):
            await store.add_remark(ask("2", "Hm"))

        assert (await accepted(store, ask("3"))).remarks == (("Ann", "Hm"),)

    async def test_a_remark_may_become_a_question_and_is_no_remark_from_then_on(
        self, store: ThreadStore
    ) -> None:
        await accepted(store, ask("1"))
        await store.add_remark(ask("2", "Hm"))
        assert (await accepted(store, ask("2", "Hm?"))).remarks == ()
        await store.add_remark(ask("2", "Hm"))
        assert (await accepted(store, ask("3"))).remarks == ()

    async def test_a_remark_reads_as_it_was_edited_and_goes_when_it_is_deleted(
        self, store: ThreadStore
    ) -> None:
        await accepted(store, ask("1"))
        for number, text in (("2", "Pears"), ("3", "Plums"), ("2", "Apples")):
            await store.add_remark(ask(number, text))
        question = await accepted(store, ask("4"))
        assert question.remarks == (("Ann", "Apples"), ("Ann", "Plums"))
        await store.note_deleted(replace(HERE, thread=""), "3")
        turn = await store.turn(question.id)
        assert turn is not None
        assert turn.remarks == (("Ann", "Apples"),)

    async def test_a_question_that_was_deleted_before_is_not_accepted(
        self, store: ThreadStore, clock: FakeClock
    ) -> None:
        await store.note_deleted(replace(HERE, thread=""), "1")
        assert await store.accept(ask("1")) is None
        await clock.advance(601)
        await store.prune(None)
        await accepted(store, ask("1"))

    async def test_a_remark_in_a_thread_without_parley_is_not_kept(
        self, store: ThreadStore
    ) -> None:
        await store.add_remark(ask("1", "Between us"))

        assert not await store.knows(HERE)
        assert (await accepted(store, ask("2"))).remarks == ()

    async def test_whoever_asked_or_remarked_is_a_speaker_of_the_thread_and_nobody_else(
        self, store: ThreadStore
    ) -> None:
        eve = Person("slack:T1/U3", "Ann")
        await answered(store, ask("1"))
        await accepted(store, ask("2", place=ELSEWHERE, person=BOB))
        await store.keep_from(HERE, 2)
        assert await store.speakers(HERE) == {ANN.id}

        await store.add_remark(ask("3", "Hm", person=eve))
        assert await store.speakers(HERE) == {ANN.id, eve.id}
        await accepted(store, ask("4", person=BOB))
        assert await store.speakers(HERE) == {ANN.id, BOB.id, eve.id}

        await store.forget(HERE)
        assert await store.speakers(HERE) == set()

    async def test_parley_knows_the_threads_in_which_it_was_asked(self, store: ThreadStore) -> None:
        await accepted(store, ask("1"))

        assert await store.knows(HERE)
        assert not await store.knows(ELSEWHERE)


class _Finding(_Fixtures):
    async def test_a_turn_is_found_by_its_question_and_by_each_post_of_its_reply(
        self, store: ThreadStore
    ) -> None:
        turn = await accepted(store, ask("1"))
        await store.add_post(turn.id, 0, "reply-1")
        await store.add_post(turn.id, 1, "reply-2")

        for message_id in ("1", "reply-1", "reply-2"):
            found = await store.turn_of_message(Place("slack", "T1", "C1", "any"), message_id)
            assert found is not None
            assert found.id == turn.id

    async def test_a_message_of_another_channel_or_nobodys_is_no_turn(
        self, store: ThreadStore
    ) -> None:
        turn = await accepted(store, ask("1"))
        await store.add_post(turn.id, 0, "reply-1")

        assert await store.turn_of_message(ELSEWHERE, "1") is None
        assert await store.turn_of_message(ELSEWHERE, "reply-1") is None
        assert await store.turn_of_message(HERE, "2") is None
        assert await store.turn("no such turn") is None

    async def test_a_post_that_is_replaced_or_removed_is_not_found_any_more(
        self, store: ThreadStore
    ) -> None:
        turn = await accepted(store, ask("1"))
        await store.add_post(turn.id, 1, "second")
        await store.add_post(turn.id, 0, "old")
        await store.add_post(turn.id, 0, "new")
        await store.remove_post(turn.id, 1)

        assert (await store.turns(HERE))[0].posts == (Post(0, "new"),)
        assert await store.turn_of_message(HERE, "old") is None
        assert await store.turn_of_message(HERE, "second") is None

    async def test_posts_come_in_the_order_of_their_parts(self, store: ThreadStore) -> None:
        turn = await accepted(store, ask("1"))
        for part in (2, 0, 1):
            await store.add_post(turn.id, part, f"reply-{part}")

        assert [post.part for post in (await store.turns(HERE))[0].posts] == [0, 1, 2]

    async def test_turns_that_are_not_kept_leave_the_prompt_but_not_the_history(
        self, store: ThreadStore
    ) -> None:
        turns = [await answered(store, ask(str(number))) for number in (1, 2, 3)]
        await store.keep_from(HERE, 3)

        assert [turn.number for turn in await store.turns(HERE)] == [3]
        assert await store.turn(turns[0].id) is not None
        assert (await accepted(store, ask("4"))).number == 4

    async def test_what_was_to_be_kept_of_a_forgotten_thread_means_nothing_to_the_next(
        self, store: ThreadStore
    ) -> None:
        await accepted(store, ask("1"))
        await store.keep_from(HERE, 2)

        assert [turn.number for turn in await store.turns(HERE)] == [1]

    async def test_a_person_finds_the_threads_they_asked_in_newest_first(
        self, store: ThreadStore, clock: FakeClock
    ) -> None:
        await accepted(store, ask("1", "  Tell me\nabout " + "very " * 30 + "long days"))
        await accepted(store, ask("2", person=BOB))
        await store.set_channel_personality(HERE, "coder")
        await clock.advance(60)
        await accepted(store, ask("3", "Hi", place=ELSEWHERE))
        theirs = Place("slack", "T1", "C1", "bob's own")
        await accepted(store, ask("4", place=theirs, person=BOB))

        newest, oldest = await store.threads(ANN.id)
        assert (newest.place, newest.title, newest.personality) == (ELSEWHERE, "Hi", "")
        assert newest.last_at == clock.now()
        assert (oldest.place, oldest.num_turns, oldest.personality) == (HERE, 2, "coder")
        assert oldest.title.startswith("Tell me about very")
        assert oldest.title.endswith("…")
        assert len(oldest.title) <= 80
        assert await store.threads("slack:T1/U9") == []


class _Answering(_Fixtures):
    async def test_a_turn_that_begins_is_running_and_counts_the_attempt(
        self, store: ThreadStore
    ) -> None:
        turn = await accepted(store, ask("1"))

        assert (await store.begin(turn.id)).state is TurnState.RUNNING
        assert (await store.begin(turn.id)).attempts == 2

    @pytest.mark.parametrize(
        ("state", "reason"),
        [
            (TurnState.DONE, FinishReason.LOOPED),
            (TurnState.STOPPED, FinishReason.CANCELLED),
            (TurnState.FAILED, FinishReason.ERROR),
            (TurnState.INTERRUPTED, None),
        ],
    )
    async def test_a_turn_that_ended_says_how_and_what_was_shown(
        self, store: ThreadStore, state: TurnState, reason: FinishReason | None
    ) -> None:
        turn = await store.begin((await accepted(store, ask("1"))).id)
        usage = Usage(prompt_tokens=30, cached_tokens=20, completion_tokens=5)
        await store.finish(turn.id, state, reply="Light **scat", reason=reason, usage=usage)

        ended = await store.turn(turn.id)
        assert ended is not None
        assert (ended.state, ended.finish_reason) == (state, reason)
        assert (ended.reply, ended.usage) == ("Light **scat", usage)
        assert ended.finished_at == START

    async def test_a_turn_that_is_asked_again_is_queued_without_reply_but_with_its_posts(
        self, store: ThreadStore
    ) -> None:
        turn = await answered(store, ask("1"))
        await store.add_post(turn.id, 0, "reply-1")

        again = await store.requeue(turn.id)
        assert (again.state, again.reply, again.finish_reason) == (TurnState.QUEUED, "", None)
        assert (again.posts, again.attempts) == ((Post(0, "reply-1"),), 0)
        assert (again.finished_at, again.usage) == (None, Usage())
        assert (turn.asked_again_at, again.asked_again_at) == (None, START)

    async def test_a_reply_that_goes_on_stays_while_its_turn_is_queued(
        self, store: ThreadStore
    ) -> None:
        await answered(store, ask("1"))
        [turn] = await store.turns(HERE)
        again = await store.requeue(turn.id, goes_on=True)
        assert (again.state, again.attempts) == (TurnState.QUEUED, 0)
        assert (again.reply, again.finish_reason) == (turn.reply, turn.finish_reason)
        assert (again.usage, again.finished_at) == (turn.usage, None)
        begun = await store.begin(turn.id)
        assert (begun.state, begun.reply) == (TurnState.RUNNING, turn.reply)

    async def test_a_turn_that_is_put_back_was_never_tried(self, store: ThreadStore) -> None:
        turn = await store.begin((await accepted(store, ask("1"))).id)
        await store.add_post(turn.id, 0, "reply-1")
        await store.put_back(turn.id)

        [again] = await store.unfinished()
        assert (again.state, again.attempts) == (TurnState.QUEUED, 0)
        assert again.posts == (Post(0, "reply-1"),)

    async def test_only_what_is_running_can_be_put_back(self, store: ThreadStore) -> None:
        queued = await accepted(store, ask("1"))
        done = await answered(store, ask("2"))
        for turn_id in (queued.id, done.id, "no such turn"):
            await store.put_back(turn_id)

        assert [(turn.state, turn.attempts) for turn in await store.turns(HERE)] == [
            (TurnState.QUEUED, 0),
            (TurnState.DONE, 1),
        ]

    async def test_what_is_unfinished_is_told_oldest_first(self, store: ThreadStore) -> None:
        await answered(store, ask("1"))
        queued = await accepted(store, ask("2", place=ELSEWHERE))
        running = await store.begin((await accepted(store, ask("3"))).id)
        retried = await answered(store, ask("4"))
        await store.requeue(retried.id)

        waiting = [turn.id for turn in await store.unfinished()]
        assert waiting == [queued.id, running.id, retried.id]

    async def test_an_edited_question_reads_as_it_was_edited(self, store: ThreadStore) -> None:
        turn = await accepted(store, ask("1", "Why is the sea blue?"))
        await store.edit_question(turn.id, "Why is the sky blue?")

        assert await texts(store) == ["Why is the sky blue?"]


class _Voting(_Fixtures):
    async def test_a_vote_leaves_the_reply_as_it_is(self, store: ThreadStore) -> None:
        turn = await answered(store, ask("1"))
        before = await store.turn(turn.id)
        for rating in (1, -1, 0):
            await rate(store, turn, rating)

        assert await store.turn(turn.id) == before

    async def test_each_person_has_one_vote_on_each_turn_until_it_is_taken_back(
        self, store: ThreadStore, reopen: Reopen
    ) -> None:
        first, second = [await answered(store, ask(number)) for number in ("1", "2")]
        pressed = Vote(-1, is_pressed=True)
        await rate(store, first, 1)
        assert await store.rate(first.id, judgement(-1), pressed)
        await rate(store, first, 1, BOB)
        await rate(store, second, -1)
        store = await reopen()

        assert await store.vote_of(first.id, ANN.id) == pressed
        assert await store.vote_of(first.id, BOB.id) == Vote(1)
        assert await store.vote_of(second.id, ANN.id) == Vote(-1)
        await rate(store, first, 0)
        await rate(store, first, 0)
        assert await store.vote_of(first.id, ANN.id) is None
        assert await store.vote_of(first.id, BOB.id) == Vote(1)
        assert await store.vote_of(second.id, ANN.id) == Vote(-1)

    async def test_a_vote_that_is_delivered_again_changes_nothing(self, store: ThreadStore) -> None:
        turn = await answered(store, ask("1"))
        up = judgement(1)
        assert await store.rate(turn.id, up, Vote(1))
        await rate(store, turn, -1)

        assert not await store.rate(turn.id, up, Vote(1))
        assert not await store.accept_event(up)
        assert await store.vote_of(turn.id, ANN.id) == Vote(-1)

    async def test_votes_are_on_the_answer_that_was_given(self, store: ThreadStore) -> None:
        turn = await answered(store, ask("1"))
        await rate(store, turn, 1)
        await store.requeue(turn.id, goes_on=True)
        assert await store.vote_of(turn.id, ANN.id) == Vote(1)

        await store.requeue(turn.id)
        assert await store.vote_of(turn.id, ANN.id) is None

    async def test_votes_go_with_their_turns(self, store: ThreadStore, clock: FakeClock) -> None:
        turn = await answered(store, ask("1"))
        old = await answered(store, ask("2", place=ELSEWHERE))
        for each in (turn, old):
            await rate(store, each, 1)

        await store.forget(HERE)
        assert await store.vote_of(turn.id, ANN.id) is None
        assert await store.vote_of(old.id, ANN.id) == Vote(1)
        await clock.advance(1)
        await store.prune(clock.now())
        assert await store.vote_of(old.id, ANN.id) is None


class _Personalities(_Fixtures):
    async def test_the_threads_personality_comes_before_its_channels(
        self, store: ThreadStore
    ) -> None:
        assert await store.personality(HERE) is None
        await store.set_channel_personality(HERE, "coder")
        assert await store.personality(HERE) == "coder"
        await store.set_personality(HERE, "tutor")
        assert await store.personality(HERE) == "tutor"

        neighbour = Place("slack", "T1", "C1", "another thread")
        assert await store.personality(neighbour) == "coder"
        assert await store.personality(ELSEWHERE) is None

    async def test_a_personality_can_be_changed_and_taken_back(self, store: ThreadStore) -> None:
        for name in ("coder", "tutor", None):
            await store.set_channel_personality(HERE, name)
            assert await store.personality(HERE) == name
        for name in ("coder", "tutor", None):
            await store.set_personality(HERE, name)
            assert await store.personality(HERE) == name

    async def test_a_channel_is_listened_to_until_it_is_no_more(self, store: ThreadStore) -> None:
        for place in (HERE, HERE, ELSEWHERE):
            await store.set_listened(place, is_on=True)
        assert {each.channel_form for each in await store.listened()} == {
            HERE.channel_form,
            ELSEWHERE.channel_form,
        }
        for _ in range(2):
            await store.set_listened(HERE, is_on=False)
        assert [each.channel_form for each in await store.listened()] == [ELSEWHERE.channel_form]

    async def test_choosing_a_personality_is_not_yet_taking_part(self, store: ThreadStore) -> None:
        await store.set_personality(HERE, "coder")

        assert not await store.knows(HERE)
        assert (await accepted(store, ask("1"))).number == 1
        assert await store.personality(HERE) == "coder"


class _Forgetting(_Fixtures):
    async def test_a_forgotten_thread_is_gone_and_begins_anew(self, store: ThreadStore) -> None:
        first = await answered(store, ask("1"))
        await store.add_post(first.id, 0, "reply-1")
        second = await accepted(store, ask("2"))
        await store.keep_from(HERE, 2)

        forgotten = await store.forget(HERE)

        assert [turn.id for turn in forgotten] == [first.id, second.id]
        assert forgotten[0].posts == (Post(0, "reply-1"),)
        assert not await store.knows(HERE)
        assert await store.turns(HERE) == []
        assert await store.turn(second.id) is None
        assert await store.turn_of_message(HERE, "reply-1") is None
        assert await store.threads(ANN.id) == []
        assert (await accepted(store, ask("3"))).number == 1
        assert await texts(store) == ["Why is the sky blue?"]

    async def test_remarks_and_the_threads_personality_are_forgotten_with_it(
        self, store: ThreadStore
    ) -> None:
        await accepted(store, ask("1"))
        await store.add_remark(ask("2", "Hm"))
        await store.set_personality(HERE, "tutor")
        await store.set_channel_personality(HERE, "coder")
        await store.forget(HERE)

        assert (await accepted(store, ask("3"))).remarks == ()
        assert await store.personality(HERE) == "coder"

    async def test_a_forgotten_question_that_is_delivered_again_is_not_asked_again(
        self, store: ThreadStore
    ) -> None:
        await accepted(store, ask("1"))
        await store.forget(HERE)

        assert await store.accept(ask("1")) is None

    async def test_forgetting_one_thread_leaves_the_others(self, store: ThreadStore) -> None:
        await accepted(store, ask("1"))
        await accepted(store, ask("2", "Still here?", place=ELSEWHERE))
        await store.forget(HERE)

        assert await store.forget(HERE) == []
        assert await texts(store, ELSEWHERE) == ["Still here?"]

    async def test_what_ends_after_its_thread_was_forgotten_leaves_no_trace(
        self, store: ThreadStore
    ) -> None:
        turn = await accepted(store, ask("1"))
        await store.forget(HERE)

        await store.add_post(turn.id, 0, "reply-1")
        await store.remove_post(turn.id, 0)
        await store.edit_question(turn.id, "Why?")
        await store.put_back(turn.id)
        await rate(store, turn, 1)
        await store.keep_from(HERE, 2)
        await store.finish(turn.id, TurnState.DONE, reply="Because.")
        for change in (store.begin, store.requeue):
            with pytest.raises(LookupError):
                await change(turn.id)
        assert await store.turn(turn.id) is None
        assert await store.vote_of(turn.id, ANN.id) is None
        assert not await store.knows(HERE)


class _Pruning(_Fixtures):
    async def test_turns_that_ended_long_ago_go_and_unfinished_ones_stay(
        self, store: ThreadStore, clock: FakeClock
    ) -> None:
        waiting = await accepted(store, ask("1"))
        await answered(store, ask("2"))
        await answered(store, ask("3", place=ELSEWHERE))
        await clock.advance(3600)
        recent = await answered(store, ask("4"))
        await answered(store, ask("5", place=Place("slack", "T1", "C3", "1900.1")))

        assert sorted(await store.outdated(clock.now()), key=str) == sorted(
            [HERE, ELSEWHERE], key=str
        )
        assert await store.prune(clock.now()) == 2
        assert [turn.id for turn in await store.turns(HERE)] == [waiting.id, recent.id]
        assert not await store.knows(ELSEWHERE)
        assert await store.outdated(clock.now()) == []
        assert (await accepted(store, ask("6"))).number == 4

    async def test_many_turns_are_pruned_while_others_are_asked(
        self, store: ThreadStore, clock: FakeClock
    ) -> None:
        await asyncio.gather(*(answered(store, ask(str(number))) for number in range(450)))
        await clock.advance(1)

        num_pruned, asked = await asyncio.gather(
            store.prune(clock.now()), accepted(store, ask("new"))
        )
        assert num_pruned == 450
        assert [turn.id for turn in await store.turns(HERE)] == [asked.id]

    async def test_a_pruned_question_that_is_delivered_again_is_not_asked_for_another_day(
        self, store: ThreadStore, clock: FakeClock
    ) -> None:
        await answered(store, ask("1"))
        await clock.advance(30 * 86_400)
        assert await store.prune(clock.now() - 29 * DAY) == 1
        await clock.advance(0.9 * 86_400)
        await store.prune(clock.now() - 29 * DAY)
        assert await store.accept(ask("1")) is None

        await clock.advance(0.2 * 86_400)
        await store.prune(clock.now() - 29 * DAY)
        assert await store.accept(ask("1")) is not None

    @pytest.mark.parametrize("before", [None, START - 365 * DAY], ids=["for ever", "for a year"])
    async def test_where_turns_are_kept_their_keys_are_and_others_go_after_a_day(
        self, store: ThreadStore, clock: FakeClock, before: datetime | None
    ) -> None:
        await answered(store, ask("kept"))
        await answered(store, ask("forgotten", place=ELSEWHERE))
        await store.forget(ELSEWHERE)
        await store.accept_event(ask("event"))
        await store.add_remark(ask("remark"))

        await clock.advance(1.1 * 86_400)
        assert await store.prune(before) == 0
        assert await store.accept(ask("kept")) is None
        assert await store.accept(ask("forgotten", place=ELSEWHERE)) is not None
        assert await store.accept_event(ask("event"))
        assert await store.accept(ask("remark")) is not None

    async def test_a_forgotten_question_is_not_asked_for_another_day(
        self, store: ThreadStore, clock: FakeClock
    ) -> None:
        await answered(store, ask("1"))
        await clock.advance(10 * 86_400)
        await store.forget(HERE)

        await clock.advance(0.9 * 86_400)
        await store.prune(None)
        assert await store.accept(ask("1")) is None
        await clock.advance(0.2 * 86_400)
        await store.prune(None)
        assert await store.accept(ask("1")) is not None

    async def test_an_event_is_remembered_for_a_day(
        self, store: ThreadStore, clock: FakeClock
    ) -> None:
        await store.accept_event(ask("1"))

        await clock.advance(0.9 * 86_400)
        await store.prune(clock.now())
        assert not await store.accept_event(ask("1"))
        await clock.advance(0.2 * 86_400)
        await store.prune(clock.now())
        assert await store.accept_event(ask("1"))

    async def test_a_question_that_still_waits_is_never_asked_twice(
        self, store: ThreadStore, clock: FakeClock
    ) -> None:
        await accepted(store, ask("1"))
        await clock.advance(100 * 86_400)
        await store.prune(clock.now())

        assert await store.accept(ask("1")) is None

    async def test_remarks_that_no_question_followed_go_but_a_chosen_personality_stays(
        self, store: ThreadStore
    ) -> None:
        await answered(store, ask("1"))
        await store.add_remark(ask("2", "Hm"))
        await store.set_personality(HERE, "tutor")
        await store.prune(START + DAY)

        assert await store.personality(HERE) == "tutor"
        assert (await accepted(store, ask("3"))).remarks == ()


class _Reopening(_Fixtures):
    async def test_everything_is_still_there_after_a_restart(
        self, store: ThreadStore, reopen: Reopen
    ) -> None:
        turn = await answered(store, ask("1", "Why?"), "Because.")
        await store.add_post(turn.id, 0, "reply-1")
        await store.add_remark(ask("2", "Hm"))
        await store.set_personality(HERE, "tutor")
        before = await store.turns(HERE)

        store = await reopen()

        assert await store.turns(HERE) == before
        assert await store.personality(HERE) == "tutor"
        assert await store.accept(ask("1")) is None
        following = await accepted(store, ask("3"))
        assert (following.number, following.remarks) == (2, (("Ann", "Hm"),))


class ThreadStoreContract(
    _Accepting,
    _Remarks,
    _Finding,
    _Answering,
    _Voting,
    _Personalities,
    _Forgetting,
    _Pruning,
    _Reopening,
):
    """A subclass ``TestMyStore`` overrides the fixture ``reopen``."""

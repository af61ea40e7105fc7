"""Who is let in where, and how much one person may ask."""

from __future__ import annotations

from typing import Any

import pytest

from bot import access
from bot.access import Access, Remainder
from bot.errors import AccessDenied, OverLimit, SettingsError
from bot.types import Person, Place
from tests.fakes.clock import FakeClock

SLACK = Place("slack", "T01", "C01", "1700.1")
DISCORD = Place("discord", "G1", "C7", "9")
ADA = Person.at(SLACK, "U01", "Ada")
GRACE = Person.at(SLACK, "U02", "Grace")
MODERATOR = Person.at(DISCORD, "U5", "Mo", role_ids=("R1", "R2"))


def policy(clock: FakeClock | None = None, **lists: Any) -> Access:
    return Access(clock=clock or FakeClock(), **lists)


def lets_in(access: Access, place: Place, person: Person, *, is_direct: bool = False) -> bool:
    try:
        access.check(place, person, is_direct=is_direct)
    except AccessDenied:
        return False
    return True


def lets_program_in(access: Access, user: str) -> bool:
    account = Place("http", "bot", "", "")
    try:
        access.check_program(account.workspace_form, Person.at(account, user))
    except AccessDenied:
        return False
    return True


def test_without_lists_everybody_may_ask() -> None:
    assert lets_in(policy(), SLACK, ADA)
    assert lets_in(policy(), SLACK, ADA, is_direct=True)


@pytest.mark.parametrize(
    "rule",
    ["slack:T01/U01", "slack:T01/C01", "slack:T01", "slack:*", "slack:T01/*", "slack:*/C01",
     "*", "s*:T*/U*1", " slack:T01 "],
)  # fmt: skip
def test_a_rule_matches_person_channel_workspace_platform_or_all(rule: str) -> None:
    assert lets_in(policy(allow=[rule]), SLACK, ADA)
    assert not lets_in(policy(deny=[rule]), SLACK, ADA)


@pytest.mark.parametrize(
    "rule",
    ["slack:T01/U0", "slack:T0", "slack:T01/u01", "discord:*", "slack:T01/C01x", "slack:T.1",
     "slack:T01/@U01", "slack:T01/@*"],
)  # fmt: skip
def test_a_rule_for_something_else_does_not_match(rule: str) -> None:
    assert not lets_in(policy(allow=[rule]), SLACK, ADA)
    assert lets_in(policy(deny=[rule]), SLACK, ADA)


@pytest.mark.parametrize(
    ("rules", "is_let_in"),
    [
        (["slack:T01/B01"], True),
        (["slack:*", "slack:T01/B01"], True),
        ([], False),
        (["*"], False),
        (["slack:*"], False),
        (["slack:T01"], False),
        (["slack:T01/C01"], False),
        (["slack:T01/B*"], False),
        (["slack:*/B01"], False),
        (["slack:T01/B02", "slack:T02/B01"], False),
    ],
)
def test_a_bot_is_let_in_only_where_a_rule_is_for_it_alone(
    rules: list[str], *, is_let_in: bool
) -> None:
    bot = Person.at(SLACK, "B01", "Stand-up", is_bot=True)
    assert lets_in(policy(allow=rules), SLACK, bot) == is_let_in
    for denied in ("slack:T01/B01", "slack:T01/C01", "slack:*"):
        assert not lets_in(policy(allow=rules, deny=[denied]), SLACK, bot)


def test_a_bot_that_is_named_as_an_admin_is_not_let_in_by_that() -> None:
    bot = Person.at(SLACK, "B01", is_bot=True)
    assert not lets_in(policy(admins=["slack:T01/B01"]), SLACK, bot)


@pytest.mark.parametrize("rule", ["discord:G1/@R2", "discord:G1/@*", "discord:*/@R1"])
def test_a_role_opens_to_those_who_have_it(rule: str) -> None:
    assert lets_in(policy(allow=[rule]), DISCORD, MODERATOR)
    assert not lets_in(policy(allow=[rule]), DISCORD, Person.at(DISCORD, "U6"))


def test_nobody_can_be_named_like_a_role() -> None:
    impostor = Person.at(DISCORD, "@R1", "@R1")
    assert not lets_in(policy(allow=["discord:G1/@R1"]), DISCORD, impostor)
    assert not policy(admins=["discord:G1/@R1"]).is_admin(impostor)


def test_nobody_can_be_named_into_another_workspace() -> None:
    page = Place("http", "key", "", "")
    impostor = Person.at(page, "other/U01")
    assert not policy(admins=["http:*/U01"]).is_admin(impostor)


def test_characters_that_a_text_form_escapes_may_be_typed_as_they_are() -> None:
    place = Place("terminal", "local", "c", "t")
    person = Person.at(place, "José Ö")
    assert lets_in(policy(allow=["terminal:local/José Ö"]), place, person)
    assert lets_in(policy(allow=[person.id]), place, person)


def test_deny_beats_allow_and_admins() -> None:
    lists = policy(allow=["slack:T01"], deny=["slack:T01/U01"], admins=["slack:T01/U01"])
    assert not lets_in(lists, SLACK, ADA)
    assert lets_in(lists, SLACK, GRACE)


def test_admins_need_no_place_in_the_allow_list() -> None:
    lists = policy(allow=["slack:T01/C99"], admins=["slack:T01/U01"])
    assert lets_in(lists, SLACK, ADA)
    assert not lets_in(lists, SLACK, GRACE)


def test_direct_messages_can_be_closed() -> None:
    closed = policy(direct_messages=False)
    assert lets_in(closed, SLACK, ADA)
    with pytest.raises(AccessDenied, match="mention me in a channel"):
        closed.check(SLACK, ADA, is_direct=True)


@pytest.mark.parametrize("rule", ["http:bot/eve", "http:bot", "http:*", "*", "http:*/eve"])
def test_a_program_is_denied_by_key_or_user(rule: str) -> None:
    assert not lets_program_in(policy(deny=[rule]), "eve")


@pytest.mark.parametrize("rule", ["http:bot/eve", "http:bot", "http:*"])
def test_an_allow_list_that_speaks_of_programs_counts_for_them(rule: str) -> None:
    assert lets_program_in(policy(allow=[rule]), "eve")
    assert not lets_program_in(policy(allow=["http:other", "http:bot/ada"]), "eve")


def test_an_allow_list_of_platforms_does_not_lock_programs_out() -> None:
    assert lets_program_in(policy(allow=["slack:T01"], direct_messages=False), "eve")


def test_an_address_as_a_programs_user_may_be_typed_as_it_is() -> None:
    assert not lets_program_in(policy(deny=["http:bot/eve@example.org"]), "eve@example.org")


def test_an_admin_of_the_api_needs_no_place_in_the_allow_list() -> None:
    assert lets_program_in(policy(allow=["http:other"], admins=["http:bot/eve"]), "eve")


def test_admins_are_people_and_roles() -> None:
    lists = policy(admins=["slack:T01/U01", "discord:G1/@R1", "slack:T01", "slack:T01/C01"])
    assert lists.is_admin(ADA)
    assert lists.is_admin(MODERATOR)
    assert not lists.is_admin(GRACE)


def test_rules_that_can_never_match_are_all_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        policy(allow=["T01/U01", "slack:T01"], deny=["slack:T01/C01/1700.1", "slack:", "  "])
    starts = [problem.split(";")[0] for problem in caught.value.problems]
    assert starts == [
        "PARLEY_ALLOW: 'T01/U01' is no rule",
        "PARLEY_DENY: 'slack:T01/C01/1700.1' is no rule",
        "PARLEY_DENY: 'slack:' is no rule",
    ]


def test_a_person_may_have_so_many_questions_in_flight() -> None:
    limits = policy(max_in_flight=2)
    limits.admit(ADA)
    limits.admit(ADA)
    with pytest.raises(OverLimit, match="busy with 2 questions of yours") as caught:
        limits.admit(ADA)
    assert caught.value.retry_after > 0
    limits.admit(GRACE)
    limits.release(ADA)
    limits.admit(ADA)


async def test_a_person_may_ask_so_many_questions_in_any_minute() -> None:
    clock = FakeClock()
    limits = policy(clock, per_minute=2)
    limits.admit(ADA)
    await clock.advance(20)
    limits.admit(ADA)
    await clock.advance(10)
    with pytest.raises(OverLimit, match="2 questions a minute; please try again in 30 s") as caught:
        limits.admit(ADA)
    assert caught.value.retry_after == 30
    limits.admit(GRACE)
    await clock.advance(30)
    limits.admit(ADA)
    with pytest.raises(OverLimit, match="again in 20 s"):
        limits.admit(ADA)


class RestlessClock(FakeClock):
    """Some time passes with every look at it, as it does between two lines of code."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def monotonic(self) -> float:
        self._elapsed += self._seconds
        return self._elapsed


@pytest.mark.parametrize("seconds", [1, 7])
def test_a_minute_that_ends_while_it_is_looked_at_locks_nobody_out(seconds: float) -> None:
    limits = policy(RestlessClock(seconds), per_minute=1)
    limits.admit(ADA)
    seen = [limits.remainder(ADA).per_minute for _ in range(100)]
    assert (seen[0], seen[-1]) == (0, 1)
    limits.admit(GRACE)
    limits.admit(ADA)


def test_a_refused_question_counts_for_nothing() -> None:
    limits = policy(max_in_flight=1, per_minute=5)
    limits.admit(ADA)
    for _ in range(3):
        with pytest.raises(OverLimit):
            limits.admit(ADA)
    assert limits.remainder(ADA) == Remainder(in_flight=0, per_minute=4)


def test_no_limit_is_no_limit() -> None:
    limits = policy()
    for _ in range(1000):
        limits.admit(ADA)
    assert limits.remainder(ADA) == Remainder(in_flight=None, per_minute=None)


async def test_the_remainder_comes_back_with_time_and_answers() -> None:
    clock = FakeClock()
    limits = policy(clock, max_in_flight=3, per_minute=10)
    assert limits.remainder(ADA) == Remainder(3, 10)
    limits.admit(ADA)
    limits.admit(ADA)
    limits.release(ADA)
    assert limits.remainder(ADA) == Remainder(2, 8)
    await clock.advance(60)
    assert limits.remainder(ADA) == Remainder(2, 10)


def test_releasing_more_than_was_admitted_gives_nothing_away() -> None:
    limits = policy(max_in_flight=1)
    limits.release(ADA)
    limits.release(ADA)
    limits.admit(ADA)
    with pytest.raises(OverLimit):
        limits.admit(ADA)


async def test_a_person_hears_one_refusal_an_hour() -> None:
    clock = FakeClock()
    limits = policy(clock)
    assert limits.may_refuse_aloud(ADA)
    assert limits.may_refuse_aloud(GRACE)
    await clock.advance(3599)
    assert not limits.may_refuse_aloud(ADA)
    await clock.advance(1)
    assert limits.may_refuse_aloud(ADA)


async def test_memory_stays_bounded_however_many_people_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(access, "MAX_PEOPLE", 100)
    limits = policy(max_in_flight=1, per_minute=1)
    for n in range(1000):
        person = Person(f"http:key/{n}")
        limits.may_refuse_aloud(person)
        limits.admit(person)
        limits.release(person)
    assert len(limits._refused) == len(limits._admitted) == 100
    assert not limits._in_flight


async def test_people_who_fell_silent_are_forgotten() -> None:
    clock = FakeClock()
    limits = policy(clock, per_minute=1)
    limits.admit(ADA)
    limits.release(ADA)
    await clock.advance(60)
    limits.admit(GRACE)
    assert len(limits._admitted) == 1

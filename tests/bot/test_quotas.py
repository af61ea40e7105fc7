"""Roles and people may have a limit of their own."""

from __future__ import annotations

import pytest

from bot.access import Access
from bot.errors import OverLimit, SettingsError
from bot.types import Person
from tests.fakes.clock import FakeClock

MEMBER = Person("discord:G1/U1", "Ada", ("R1",))
BOTH = Person("discord:G1/U2", "Bob", ("R1", "R2"))
NEITHER = Person("discord:G1/U3", "Eve")


def num_allowed(access: Access, person: Person) -> int:
    for number in range(10):
        try:
            access.admit(person)
        except OverLimit:
            return number
    return 10


@pytest.mark.parametrize(("person", "number"), [(MEMBER, 3), (BOTH, 5), (NEITHER, 2)])
def test_the_most_generous_quota_counts(person: Person, number: int) -> None:
    quotas = ["discord:G1/@R1=3", "discord:G1/@R2 = 5"]
    access = Access(per_minute=2, quotas=quotas, clock=FakeClock())
    assert num_allowed(access, person) == number
    assert access.remainder(person).per_minute == 0


def test_a_quota_of_zero_is_no_limit() -> None:
    access = Access(per_minute=2, quotas=["discord:G1/@R1=0"], clock=FakeClock())
    assert num_allowed(access, MEMBER) == 10


def test_a_quota_may_be_for_an_api_key() -> None:
    access = Access(per_minute=2, quotas=["http:ci=4"], clock=FakeClock())
    assert num_allowed(access, Person("http:ci")) == 4
    assert num_allowed(access, Person("http:other")) == 2


def test_what_is_no_quota_is_said() -> None:
    with pytest.raises(SettingsError, match=r"PARLEY_QUOTAS: 'discord:G1/@R1' is no quota"):
        Access(quotas=["discord:G1/@R1"], clock=FakeClock())

"""Who may use Parley, where, and how much. Pure: no I/O, time from the clock it is given.

Rules are text forms, with ``*`` for any run of characters:

    slack:T01/U01     a person            slack:T01      everything of a workspace
    slack:T01/C01     a channel           slack:*        everything of a platform
    discord:G1/@R1    a role              *              everything

A bot that posts is a person, as ``slack:T01/B01``, and let in by a rule without ``*`` only.

A quota is a rule and a number, as in ``discord:G1/@R1=60``: questions a minute.

A rule with ``/@`` matches roles and nothing else, so that nobody can be named like one.
Programs are people of the platform ``http``: ``http:ACCOUNT/USER``, ``http:ACCOUNT``, ``http:*``.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, product
from math import ceil
from urllib.parse import quote

from bot.errors import AccessDenied, OverLimit, SettingsError
from bot.ports import Clock
from bot.types import Person, Place

MINUTE = 60.0
HOUR = 3600.0
MAX_PEOPLE = 10_000
"""People remembered at most, per purpose; beyond that the longest silent are forgotten."""

_RULE = re.compile(r"\*|[a-z*]+:[^/]+(/[^/]+)?")
_QUOTA = re.compile(r"(.+)=\s*([0-9]{1,6})")
_IN_FLIGHT_RETRY = 10.0
"""Seconds that a program is told to wait, since nobody knows when a reply ends."""


@dataclass(frozen=True, slots=True)
class Remainder:
    """How many more questions a person may ask at once and in this minute; None: unlimited."""

    in_flight: int | None
    per_minute: int | None


class Access:
    """Deny beats admins, admins beat allow; an empty allow list means everybody.

    Malformed rules raise ``SettingsError``, all of them at once. A limit of 0 means
    unlimited. Each ``admit`` is paired with a ``release`` once the reply ended.
    """

    def __init__(
        self,
        *,
        allow: Sequence[str] = (),
        deny: Sequence[str] = (),
        admins: Sequence[str] = (),
        direct_messages: bool = True,
        max_in_flight: int = 0,
        per_minute: int = 0,
        quotas: Sequence[str] = (),
        clock: Clock,
    ) -> None:
        lists = {"PARLEY_ALLOW": allow, "PARLEY_DENY": deny, "PARLEY_ADMINS": admins}
        problems = [p for name, rules in lists.items() for p in _problems(name, rules)]
        problems += _quota_problems(quotas)
        if problems:
            raise SettingsError(problems)
        self._quotas = [_quota(each) for each in quotas if each.strip()]
        self._allow, self._deny, self._admins = map(_Rules, lists.values())
        self._direct_messages = direct_messages
        self._max_in_flight = max_in_flight
        self._per_minute = per_minute
        self._clock = clock
        self._in_flight: Counter[str] = Counter()
        self._admitted = _Recent(MINUTE)
        self._refused = _Recent(HOUR)

    def check(self, place: Place, person: Person, *, is_direct: bool) -> None:
        """Raise ``AccessDenied`` unless this person may use Parley in this place."""
        roles = _role_forms(person)
        forms = (person.id, place.channel_form, place.workspace_form)
        if self._deny.match(forms, roles):
            raise AccessDenied("Sorry, I have been asked not to answer here.")
        if person.is_bot and not self._allow.name(person.id):
            raise AccessDenied(f"I answer a bot only where PARLEY_ALLOW names it ({person.id}).")
        if is_direct and not self._direct_messages:
            raise AccessDenied(
                "Sorry, I do not answer direct messages; please mention me in a channel."
            )
        if self._allow.texts and not (self._allow.match(forms, roles) or self.is_admin(person)):
            raise AccessDenied(
                "Sorry, I only answer certain people and channels; "
                "whoever runs me can add you to them."
            )

    def check_program(self, account: str, person: Person) -> None:
        """Raise ``AccessDenied`` unless ``person`` may ask with this key (``http:ACCOUNT``).

        The key is their permission: an allow list counts for programs only if it names
        some, and the rule for direct messages does not apply to them.
        """
        forms = (person.id, account)
        if self._deny.match(forms, ()):
            raise AccessDenied("This key or user has been denied the use of Parley.")
        is_closed = self._allow.names_some_of("http:") and not self._allow.match(forms, ())
        if is_closed and not self.is_admin(person):
            raise AccessDenied("This key or user is not among those that Parley answers.")

    def is_admin(self, person: Person) -> bool:
        """Admins are people and roles; a rule for a whole channel makes nobody an admin."""
        return self._admins.match((person.id,), _role_forms(person))

    def admit(self, person: Person) -> None:
        """Count one more question of this person; ``OverLimit`` if that is too many."""
        if self._max_in_flight and self._in_flight[person.id] >= self._max_in_flight:
            raise OverLimit(_busy_sentence(self._max_in_flight), _IN_FLIGHT_RETRY)
        now, per_minute = self._clock.monotonic(), self._quota_of(person)
        times = self._admitted.times(person.id, now)
        if per_minute and len(times) >= per_minute:
            retry_after = times[-per_minute] + MINUTE - now
            raise OverLimit(_pause_sentence(per_minute, retry_after), retry_after)
        self._in_flight[person.id] += 1
        if per_minute:
            self._admitted.add(person.id, now)

    def release(self, person: Person) -> None:
        """One question of this person is answered; harmless if none was admitted."""
        self._in_flight[person.id] -= 1
        if self._in_flight[person.id] <= 0:
            del self._in_flight[person.id]

    def remainder(self, person: Person) -> Remainder:
        in_flight = self._in_flight.get(person.id, 0)
        asked = len(self._admitted.times(person.id, self._clock.monotonic()))
        return Remainder(
            _left(self._max_in_flight, in_flight), _left(self._quota_of(person), asked)
        )

    def _quota_of(self, person: Person) -> int:
        """The most generous quota that applies to the person; 0 means unlimited."""
        roles = _role_forms(person)
        own = [number for rules, number in self._quotas if rules.match((person.id,), roles)]
        return 0 if 0 in own else max(own, default=self._per_minute)

    def may_refuse_aloud(self, person: Person) -> bool:
        """True at most once per person and hour; asking counts as having refused."""
        now = self._clock.monotonic()
        if self._refused.times(person.id, now):
            return False
        self._refused.add(person.id, now)
        return True


class _Rules:
    """Text forms with wildcards, compiled once."""

    def __init__(self, rules: Iterable[str]) -> None:
        texts = [rule.strip() for rule in rules if rule.strip()]
        self.texts = texts
        self._roles = [_pattern(text) for text in texts if "/@" in text]
        self._others = [_pattern(text) for text in texts if "/@" not in text]

    def names_some_of(self, platform: str) -> bool:
        return any(text.startswith(platform) for text in self.texts)

    def name(self, form: str) -> bool:
        """Whether a rule is for this one alone."""
        return any("*" not in text and _pattern(text).fullmatch(form) for text in self.texts)

    def match(self, forms: Iterable[str], roles: Iterable[str]) -> bool:
        pairs = chain(product(self._others, forms), product(self._roles, roles))
        return any(pattern.fullmatch(form) for pattern, form in pairs)


def _pattern(rule: str) -> re.Pattern[str]:
    """Characters that text forms escape may be typed as they are; escapes stay escaped."""
    form = quote(rule, safe="%/:;@.,=+-_~!$'()*")
    return re.compile(".*".join(map(re.escape, form.split("*"))))


def _problems(name: str, rules: Iterable[str]) -> list[str]:
    """A rule that cannot match is a mistake: a deny list must not fail in silence."""
    return [
        f"{name}: {rule!r} is no rule; write slack:T01/U01 (a person or channel), "
        "discord:G1/@R1 (a role), slack:T01 (a workspace), slack:* or *."
        for rule in rules
        if rule.strip() and not _RULE.fullmatch(rule.strip())
    ]


def _quota_problems(quotas: Iterable[str]) -> list[str]:
    return [
        f"PARLEY_QUOTAS: {each!r} is no quota; write discord:G1/@R1=60 (questions a minute)."
        for each in quotas
        if each.strip()
        and not ((found := _QUOTA.fullmatch(each.strip())) and _RULE.fullmatch(found[1].strip()))
    ]


def _quota(text: str) -> tuple[_Rules, int]:
    rule, _, number = text.strip().rpartition("=")
    return _Rules([rule]), int(number)


def _role_forms(person: Person) -> list[str]:
    workspace = person.id.rpartition("/")[0]
    return [f"{workspace}/@{role}" for role in person.role_ids]


class _Recent:
    """The times at which each key was seen in the last ``seconds``; at most ``MAX_PEOPLE`` keys.

    The caller reads ``now`` once: a key that expired between two readings of the clock would
    be left without a time.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._times)

    def times(self, key: str, now: float) -> Sequence[float]:
        """Oldest first."""
        self._drop_old(now)
        times = self._times.get(key, deque())
        while times and times[0] <= now - self._seconds:
            times.popleft()
        return times

    def add(self, key: str, now: float) -> None:
        self._times.setdefault(key, deque()).append(now)
        self._times.move_to_end(key)
        self._drop_old(now)

    def _drop_old(self, now: float) -> None:
        """Keys are ordered by their newest time, so the old ones stand in front."""
        while self._times:
            key, times = next(iter(self._times.items()))
            if len(self._times) <= MAX_PEOPLE and times[-1] > now - self._seconds:
                break
            del self._times[key]


def _left(limit: int, used: int) -> int | None:
    return max(0, limit - used) if limit else None


def _busy_sentence(limit: int) -> str:
    waiting = "a question" if limit == 1 else f"{limit} questions"
    return f"I am still busy with {waiting} of yours; please wait for an answer or stop one."


def _pause_sentence(limit: int, retry_after: float) -> str:
    asked = "a question" if limit == 1 else f"{limit} questions"
    return f"You may ask {asked} a minute; please try again in {max(1, ceil(retry_after))} s."

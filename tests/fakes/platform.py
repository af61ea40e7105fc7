"""A strict chat platform in memory: it enforces its own rules and shows what a person sees.

``FakePlatform`` is a bare ``Adapter``; ``RichFakePlatform`` also whispers, reacts and finds
posts. Everything unusual is an error: text that ``render`` did not make, unknown messages,
text that is too long or empty, calls beyond the rate rules (counted as ``violations``).
"""

from __future__ import annotations

import asyncio
import html
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self, TypeVar

from bot.errors import (
    MessageGone,
    MessageTooLong,
    PlatformError,
    PlatformRefused,
    RateLimited,
)
from bot.limits import Limits, RateRule
from bot.ports import Clock, Handler
from bot.types import (
    Choice,
    Incoming,
    Label,
    Person,
    Place,
    Rendered,
)
from tests.fakes.drawing import FakeDrawing

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """One call as it arrived; ``error`` is the name of what was raised, or empty."""

    at: float
    method: str
    place: Place
    message_id: str | None = None
    text: str = ""
    label: Label | None = None
    person: Person | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """A message on the platform, oldest first in ``FakePlatform.messages``."""

    id: str
    place: Place
    text: str
    label: Label
    posted_at: float


@dataclass(frozen=True, slots=True)
class _Fault:
    error: PlatformError
    has_effect: bool


class FakePlatform:
    """``filter``: a text with one of its words is refused with that error."""

    def __init__(
        self,
        clock: Clock,
        limits: Limits | None = None,
        name: str = "fake",
        latency: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._clock = clock
        self._limits = limits or Limits(max_size=4000)
        self._name = name
        self._latency = latency
        self._drawing = FakeDrawing()
        self._faults: dict[str, deque[_Fault]] = {}
        self._arrivals: dict[tuple[RateRule, tuple[str, ...]], deque[float]] = {}
        self._handler: asyncio.Future[Handler] | None = None
        self._num_posts = 0
        self.filter: dict[str, PlatformError] = {}
        self.messages: dict[str, Message] = {}
        self.calls: list[Call] = []
        self.violations: list[Call] = []
        self.is_entered = False

    @property
    def name(self) -> str:
        return self._name

    @property
    def limits(self) -> Limits:
        return self._limits

    @property
    def drawing(self) -> FakeDrawing:
        return self._drawing

    def render(self, markdown: str) -> Rendered:
        return self._drawing.markdown(markdown)

    # What a test does to the platform, and sees of it.

    async def deliver(self, incoming: Incoming) -> None:
        """Deliver as the platform does; returns (or raises) when the handler does."""
        handler = await asyncio.shield(self._listener())
        await handler(incoming)

    def fail(self, method: str, *errors: PlatformError, has_effect: bool = False) -> None:
        """The next calls of ``method`` raise ``errors``, before or after having effect."""
        faults = self._faults.setdefault(method, deque())
        faults.extend(_Fault(error, has_effect) for error in errors)

    def heal(self, method: str) -> None:
        """No more faults of ``method``."""
        self._faults.pop(method, None)

    def remove(self, message_id: str) -> None:
        """A person deletes a message."""
        del self.messages[message_id]

    def visible(self, place: Place) -> list[str]:
        """The texts that a person sees in this thread, in order."""
        return [html.unescape(m.text) for m in self.messages.values() if m.place == place]

    def made(self, *methods: str) -> list[Call]:
        """The calls of these methods that succeeded."""
        return [call for call in self.calls if call.method in methods and not call.error]

    # The port.

    async def listen(self, handler: Handler) -> None:
        listener = self._listener()
        if listener.done():
            raise AssertionError("listen was called twice")
        listener.set_result(handler)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._handler = None

    async def post(self, place: Place, text: Rendered, label: Label) -> str:
        return await self._arrive(Call(0.0, "post", place, None, text, label), self._post)

    async def edit(self, place: Place, message_id: str, text: Rendered) -> None:
        await self._arrive(Call(0.0, "edit", place, message_id, text), self._edit)

    async def delete(self, place: Place, message_id: str) -> None:
        await self._arrive(Call(0.0, "delete", place, message_id), self._delete)

    async def typing(self, place: Place) -> None:
        await self._arrive(Call(0.0, "typing", place), _nothing)

    async def __aenter__(self) -> Self:
        self.is_entered = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.is_entered = False

    # What the platform does with a call.

    def _listener(self) -> asyncio.Future[Handler]:
        if self._handler is None:
            self._handler = asyncio.get_running_loop().create_future()
        return self._handler

    async def _arrive(self, call: Call, effect: Callable[[Call], T]) -> T:
        latency = self._latency()
        await self._clock.sleep(latency / 2)
        call = replace(call, at=self._clock.monotonic())
        try:
            result = self._answer(call, effect)
        except PlatformError as error:
            self.calls.append(replace(call, error=type(error).__name__))
            await self._clock.sleep(latency / 2)
            raise
        self.calls.append(call)
        await self._clock.sleep(latency / 2)
        return result

    def _answer(self, call: Call, effect: Callable[[Call], T]) -> T:
        self._count(call)
        fault = self._fault(call.method)
        if fault and not fault.has_effect:
            raise fault.error
        result = effect(call)
        if fault:
            raise fault.error
        return result

    def _fault(self, method: str) -> _Fault | None:
        faults = self._faults.get(method)
        return faults.popleft() if faults else None

    def _count(self, call: Call) -> None:
        for rule in self._limits.rules:
            if call.method not in rule.methods:
                continue
            arrivals = self._arrivals.setdefault((rule, _scope(rule, call)), deque())
            while arrivals and arrivals[0] <= call.at - rule.seconds:
                arrivals.popleft()
            if len(arrivals) >= rule.max_calls:
                self.violations.append(call)
                raise RateLimited(call.method, arrivals[0] + rule.seconds - call.at)
            arrivals.append(call.at)

    def _post(self, call: Call) -> str:
        assert call.label is not None
        self._check_text(call)
        self._num_posts += 1
        message_id = f"m{self._num_posts}"
        self.messages[message_id] = Message(message_id, call.place, call.text, call.label, call.at)
        return message_id

    def _edit(self, call: Call) -> None:
        message = self._message(call)
        self._check_text(call)
        deadline = self._limits.edit_deadline
        if deadline is not None and call.at > message.posted_at + deadline:
            raise PlatformRefused("edit", "edit_window_closed")
        self.messages[message.id] = replace(message, text=call.text)

    def _delete(self, call: Call) -> None:
        del self.messages[self._message(call).id]

    def _message(self, call: Call) -> Message:
        message = self.messages.get(call.message_id or "")
        if message is None or message.place.channel != call.place.channel:
            raise MessageGone(f"There is no message {call.message_id}.")
        return message

    def _check_text(self, call: Call) -> None:
        assert call.text in self._drawing.made, "text must come from render"
        if not call.text.strip():
            raise PlatformRefused(call.method, "no_text")
        for word, error in self.filter.items():
            if word in call.text:
                raise error
        if len(call.text) > self._limits.max_size:
            raise MessageTooLong(f"{len(call.text)} characters are too many.")


class WhisperingFakePlatform(FakePlatform):
    can_whisper_unasked = True

    def whispers(self, person: Person) -> list[str]:
        """What only this person saw."""
        calls = self.made("whisper")
        return [html.unescape(call.text) for call in calls if call.person == person]

    async def whisper(
        self, place: Place, person: Person, text: Rendered, choices: Sequence[Choice] = ()
    ) -> None:
        call = Call(0.0, "whisper", place, None, text, person=person)
        await self._arrive(call, self._check_text)


class ReactingFakePlatform(FakePlatform):
    @property
    def seen(self) -> set[str]:
        """The messages that carry our 👀 now."""
        ids: set[str] = set()
        for call in self.made("react", "unreact"):
            assert call.message_id is not None
            (ids.add if call.method == "react" else ids.discard)(call.message_id)
        return ids

    async def react(self, place: Place, message_id: str) -> None:
        await self._arrive(Call(0.0, "react", place, message_id), self._check_unseen)

    async def unreact(self, place: Place, message_id: str) -> None:
        await self._arrive(Call(0.0, "unreact", place, message_id), self._check_seen)

    def _check_unseen(self, call: Call) -> None:
        if call.message_id in self.seen:
            raise PlatformRefused("react", "already_reacted")

    def _check_seen(self, call: Call) -> None:
        if call.message_id not in self.seen:
            raise PlatformRefused("unreact", "no_reaction")


class FindingFakePlatform(FakePlatform):
    async def find_posts(self, place: Place, turn_id: str) -> Mapping[int, str]:
        return await self._arrive(
            Call(0.0, "find_posts", place), lambda _: self._labelled(place, turn_id)
        )

    def _labelled(self, place: Place, turn_id: str) -> Mapping[int, str]:
        return {
            message.label.part: message.id
            for message in self.messages.values()
            if message.label.turn_id == turn_id and message.place == place
        }


class AskableFakePlatform(FakePlatform):
    async def post_question(
        self, place: Place, person: Person, text: str, label: Label, *, search_first: bool = False
    ) -> tuple[Place, Person, str]:
        here = [m.id for m in self.messages.values() if search_first and m.label == label]
        asked = self.render(f"{person.name} asks: {text}")
        message_id = here[0] if here else await self.post(place, asked, label)
        thread = place.thread or message_id
        self.messages[message_id] = replace(
            self.messages[message_id], place=replace(place, thread=thread)
        )
        return replace(place, thread=thread), person, message_id


class CatchingUpFakePlatform(FakePlatform):
    """``said``: what ``lately`` gives."""

    said: Sequence[tuple[str, str]] = (("Bob", "The lift is broken."),)

    async def lately(self, place: Place, person: Person) -> Sequence[tuple[str, str]]:
        return await self._arrive(
            Call(0.0, "lately", place, person=person), lambda _: tuple(self.said)
        )

    async def open_private(self, place: Place, person: Person) -> tuple[Place, str]:
        private = replace(place, channel=f"D-{person.name}", thread="")
        text = self.render("What was said there:")
        return private, await self.post(private, text, Label("catch up", 0))


class RichFakePlatform(
    WhisperingFakePlatform,
    ReactingFakePlatform,
    FindingFakePlatform,
    AskableFakePlatform,
    CatchingUpFakePlatform,
):
    """A platform that can do everything."""


def _scope(rule: RateRule, call: Call) -> tuple[str, ...]:
    place = call.place
    whole = (place.workspace, place.channel, call.message_id or "")
    return whole[: {"workspace": 1, "channel": 2, "message": 3}[rule.scope]]


def _nothing(_: Call) -> None: ...

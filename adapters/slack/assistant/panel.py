"""Around a conversation: a greeting, suggested prompts, a status line, a title, App Home.

All of it is decoration. What Slack refuses (a scope is missing, the workspace does not allow it)
is said once in the log and costs nobody an answer.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from adapters.slack.assistant.home import home_view
from adapters.slack.receivers.deliveries import event_id_of
from bot.adapter_support.errands import Errands
from bot.adapter_support.payloads import Payload, table_of, text_of
from bot.errors import NotPermitted, ParleyError, PlatformError, PlatformRefused
from bot.ports import FindStanding, Handler
from bot.types import Command, Person, Place, Question, Rendered

logger = logging.getLogger(__name__)

Call = Callable[..., Awaitable[Any]]

STATUS = "is thinking…"

_MAX_PROMPTS = 4
_MAX_TITLE = 80
_MAX_THREADS = 1_000
_OPENED, _STARTED = "app_home_opened", "assistant_thread_started"


class AssistantPanel:
    """``call`` calls a method of the Web API; ``find_standing`` None: nobody can be asked.

    Slack has two kinds of panel. Apps made from the manifest are agents: direct messages in the
    Messages tab, announced by ``app_home_opened``, whose prompts take no thread (with one they
    silently fail). Older apps are assistants: each chat is a thread of the direct messages, and
    ``assistant_thread_started`` announces it.
    """

    def __init__(
        self,
        call: Call,
        find_standing: FindStanding | None,
        render: Callable[[str], Rendered],
        errands: Errands,
    ) -> None:
        self._call = call
        self._find_standing = find_standing
        self._render = render
        self._untitled: dict[tuple[str, str], None] = {}
        self._shown: set[Place] = set()
        self._refused: set[str] = set()
        self._errands = errands

    async def take(self, delivery: Payload, team: str, handler: Handler) -> None:
        """Nothing where the event is none of the panel's."""
        event, event_id = table_of(delivery, "event"), event_id_of(delivery)
        kind, thread = text_of(event, "type"), table_of(event, "assistant_thread")
        if kind == _OPENED and text_of(event, "user"):
            place = Place("slack", team, text_of(event, "channel"), "")
            opened = partial(self._open, place, text_of(event, "user"), text_of(event, "tab"))
            self._errands.spawn_once(event_id, opened)
        elif kind == _STARTED and text_of(thread, "thread_ts"):
            channel, ts = text_of(thread, "channel_id"), text_of(thread, "thread_ts")
            place = Place("slack", team, channel, ts)
            self._await_title(place)
            person = Person.at(place, text_of(thread, "user_id"))
            await handler(Command(event_id=event_id, place=place, person=person, name="greet"))
            self._errands.spawn_once(event_id, partial(self._suggest, place, person))

    def entitle(self, question: Question) -> None:
        """The question's beginning, if it is the first in a thread of the panel."""
        place = question.place
        title = next(iter(question.text.strip().splitlines()), "")[:_MAX_TITLE]
        key = (place.channel, place.thread)
        if title and key in self._untitled:
            del self._untitled[key]
            self._errands.spawn(
                self._adorn("assistant.threads.setTitle", **_thread(place), title=title)
            )

    async def think(self, place: Place) -> None:
        """Show that an answer is on its way, in a thread of direct messages."""
        if place.thread and place.channel.startswith("D"):
            self._shown.add(place)
            await self._adorn("assistant.threads.setStatus", **_thread(place), status=STATUS)

    async def settle(self, place: Place) -> None:
        """Slack takes the status away when something is posted, but not when it is edited."""
        if place in self._shown:
            self._shown.discard(place)
            await self._adorn("assistant.threads.setStatus", **_thread(place), status="")

    async def _open(self, place: Place, user: str, tab: str) -> None:
        person = Person.at(place, user)
        if tab == "messages":
            await self._suggest(place, person)
        elif tab == "home" and self._find_standing is not None:
            try:
                found = await self._find_standing(place, person)
                view = home_view(found, self._render)
            except ParleyError as error:
                view = home_view(str(error), self._render)
            await self._adorn("views.publish", user_id=user, view=view)

    async def _suggest(self, place: Place, person: Person) -> None:
        if self._find_standing is None:
            return
        try:
            questions = (await self._find_standing(place, person)).personality.suggested_questions
        except ParleyError:
            return  # denied, or the model still loads
        prompts = [{"title": text, "message": text} for text in questions[:_MAX_PROMPTS]]
        if prompts:
            await self._adorn(
                "assistant.threads.setSuggestedPrompts", **_thread(place), prompts=prompts
            )

    async def _adorn(self, method: str, **arguments: Any) -> None:
        try:
            await self._call(method, **arguments)
        except (NotPermitted, PlatformRefused) as error:
            is_first = method not in self._refused
            self._refused.add(method)
            logger.log(logging.WARNING if is_first else logging.DEBUG, "%s", error)
        except PlatformError as error:
            logger.debug("%s failed: %s", method, error)

    def _await_title(self, place: Place) -> None:
        if len(self._untitled) >= _MAX_THREADS:
            del self._untitled[next(iter(self._untitled))]
        self._untitled[place.channel, place.thread] = None


def _thread(place: Place) -> dict[str, str]:
    thread = {"thread_ts": place.thread} if place.thread else {}
    return {"channel_id": place.channel, **thread}

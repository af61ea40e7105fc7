"""What people press: handed over, but for the menu of personalities, which is answered here."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from adapters.slack.interactions.actions import MenuPress, read_action
from adapters.slack.interactions.buttons import personality_menu
from adapters.slack.reading.text import SlackIdentity
from bot.adapter_support.errands import Errands
from bot.adapter_support.payloads import Json, Payload
from bot.errors import PlatformError
from bot.ports import Handler
from bot.types import Person, Personality, Place, Rendered

logger = logging.getLogger(__name__)

Show = Callable[[Place, Person, Rendered, list[Json]], Awaitable[None]]
"""Shows a message with blocks to one person."""

_WHO = Rendered("Who is to answer in this thread?")


class Presses:
    """``refusal``: why a person may not use Parley in a place, or empty."""

    def __init__(
        self,
        show: Show,
        personalities: Callable[[], tuple[Personality, ...]],
        errands: Errands,
        refusal: Callable[[Place, Person], str],
    ) -> None:
        self._show = show
        self._personalities = personalities
        self._errands = errands
        self._refusal = refusal

    async def take(
        self, payload: Payload, me: SlackIdentity, names: Mapping[str, str], handler: Handler
    ) -> None:
        """``payload``: of ``block_actions``; what Parley did not offer is ignored."""
        pressed = read_action(payload, me, names)
        if isinstance(pressed, MenuPress):
            self._errands.spawn_once(pressed.event_id, partial(self._show_menu, pressed))
        elif pressed is not None:
            await handler(pressed)

    async def _show_menu(self, pressed: MenuPress) -> None:
        """A menu that cannot be shown is pressed again."""
        place, person, personalities = pressed.place, pressed.person, self._personalities()
        refusal = Rendered(self._refusal(place, person))
        shown = personality_menu(_WHO, place.thread, personalities, pressed.page)
        try:
            await self._show(place, person, refusal or _WHO, [] if refusal else shown)
        except PlatformError as error:
            logger.warning("the menu of personalities could not be shown: %s", error)

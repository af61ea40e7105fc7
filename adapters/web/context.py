"""What the routes of the page are given."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from adapters.web.shapes import Form, Shapes, told
from bot.adapter_support.callers import Caller, CallerCheck
from bot.chats import Chats, ChatTurn, Owner
from bot.errors import StillLoading
from bot.markdown.links import LinkPolicy, LinkSetting
from bot.overview import ReadOverview
from bot.ports import LOCAL_ACCOUNT, Clock
from bot.types import Person, Personality


def _nobody_counts(*_: object) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class PageContext:
    """``chats`` is there once the model is loaded; it is cancelled where Parley stops before.

    ``personality`` is the default one's name.

    ``overview``: what the admin's view shows; None where there is none.

    ``max_upload``: bytes of one file. ``is_secure``: others reach the page over TLS. A browser
    that reads nothing for ``patience`` seconds loses its connection; nothing of a body for
    ``read_seconds`` ends the request.
    """

    chats: asyncio.Future[Chats]
    callers: CallerCheck
    clock: Clock
    model: Callable[[], str]
    personalities: Callable[[], tuple[Personality, ...]]
    personality: str
    is_admin: Callable[[Person], bool]
    max_files: int
    max_upload: int
    overview: ReadOverview | None = None
    links: LinkSetting = "known"
    is_secure: bool = False
    patience: float = 30.0
    read_seconds: float = 30.0
    observe_request: Callable[[str, int], None] = _nobody_counts

    def shapes(self, form: Form, turns: Iterable[ChatTurn]) -> Shapes:
        """``turns``: those of the chat, whose addresses are known in it. Slow for many."""
        texts = [text for turn in turns for text in told(turn)]
        if self.links == "known":
            texts += [each.prompt for each in self.personalities()]
        return Shapes(form, LinkPolicy.of(self.links, texts))

    def may_oversee(self, caller: Caller, owner: Owner | None) -> bool:
        """Admins may, and this machine, which needs no key for /metrics either."""
        is_local = caller.account == LOCAL_ACCOUNT
        is_admin = is_local or (owner is not None and self.is_admin(owner.person))
        return is_admin and self.overview is not None

    @property
    def is_loading(self) -> bool:
        return not self.chats.done() or self.chats.cancelled()

    @property
    def loaded(self) -> Chats:
        """Raises ``StillLoading`` until the model is loaded."""
        if self.is_loading:
            raise StillLoading
        return self.chats.result()

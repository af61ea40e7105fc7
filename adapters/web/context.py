"""What the routes of the page are given."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from adapters.web.shapes import Form, Shapes, told
from bot.adapter_support.callers import CallerCheck
from bot.chats import Chats, ChatTurn
from bot.errors import EngineFailed
from bot.markdown.links import LinkPolicy, LinkSetting
from bot.ports import Clock
from bot.types import Person, Personality

LOADING = "The model is still loading. Please ask again in a minute."


def _nobody_counts(*_: object) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class PageContext:
    """``chats`` is there once the model is loaded; it is cancelled where Parley stops before.

    ``personality`` is the default one's name.

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
    links: LinkSetting = "known"
    is_secure: bool = False
    patience: float = 30.0
    read_seconds: float = 30.0
    observe_request: Callable[[str, int], None] = _nobody_counts

    def shapes(self, form: Form, turns: Iterable[ChatTurn]) -> Shapes:
        """``turns``: those of the chat, whose addresses are known in it."""
        texts = [text for turn in turns for text in told(turn)]
        if self.links == "known":
            texts += [each.prompt for each in self.personalities()]
        return Shapes(form, LinkPolicy.of(self.links, texts))

    @property
    def is_loading(self) -> bool:
        return not self.chats.done() or self.chats.cancelled()

    @property
    def loaded(self) -> Chats:
        """Raises ``EngineFailed`` until the model is loaded."""
        if self.is_loading:
            raise EngineFailed(LOADING)
        return self.chats.result()

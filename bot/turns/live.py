"""A turn that is not finished, in memory: what people want of it, and how it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from enum import Enum, auto

from bot.ports import Generation
from bot.turns.admission import Admission
from bot.turns.ending import Ending
from bot.types import Place, Post, Turn


class Wish(Enum):
    """Why a turn is to end before its reply is complete."""

    STOP = auto()
    RESTART = auto()
    FORGET = auto()


class LiveTurn:
    """``admitted``: it counts for its person. ``search_first``: a post may not be recorded.

    ``may_go_on`` is set when nothing of its thread is ahead any more, or when nobody wants an
    answer. ``is_anew``: its question was edited since it began. ``told``: the end that people
    were shown, as far as the platform took it. ``is_concluded``: it is on disk, too.
    ``unrecorded``: part -> message id (None: deleted) of what is not on disk yet.
    """

    def __init__(self, turn: Turn, *, admitted: bool = False, search_first: bool = False) -> None:
        self.turn = turn
        self.admitted = admitted
        self.search_first = search_first
        self.wish: Wish | None = None
        self.is_anew = False
        self.told: Ending | None = None
        self.unrecorded: dict[int, str | None] = {}
        self.is_concluded = False
        self.may_go_on = asyncio.Event()
        self.halted = asyncio.Event()
        self.ended = asyncio.Event()
        self.admission: Admission | None = None
        self._generation: Generation | None = None
        self._show_wait: Callable[[int], None] | None = None
        self._ahead: LiveTurn | None = None
        self._num_ahead = 0
        self._behind: LiveTurn | None = None

    @property
    def id(self) -> str:
        return self.turn.id

    @property
    def place(self) -> Place:
        return self.turn.place

    @property
    def is_forgotten(self) -> bool:
        return self.wish is Wish.FORGET

    @property
    def is_given_up(self) -> bool:
        """Nobody wants an answer any more."""
        return self.wish in (Wish.STOP, Wish.FORGET)

    def halt(self, wish: Wish) -> None:
        """Takes effect wherever the turn stands; the newest wish counts, forgetting is final."""
        if not self.is_forgotten:
            self.wish = wish
        self.halted.set()
        self.may_go_on.set()
        if self.admission is not None:
            self.admission.admitted.set()
        if self._generation is not None:
            self._generation.cancel()

    def begin_again(self) -> bool:
        """Whether the question was edited since the turn began; it is then as if new."""
        if self.wish is not Wish.RESTART:
            return False
        self.wish = self.told = None
        self.halted.clear()
        self.is_anew = self.search_first = True
        return True

    def wait_behind(self, ahead: LiveTurn, num_ahead: int) -> None:
        self._ahead, self._num_ahead = ahead, num_ahead
        ahead._behind = self
        self._tell_wait()

    async def reach_the_front(self, show_wait: Callable[[int], None]) -> None:
        """Return once ``may_go_on``; until then ``show_wait`` hears how many are ahead.

        Only once the next ahead shows something: messages stand in the order of questions.
        """
        self._show_wait = show_wait
        self._tell_wait()
        await self.may_go_on.wait()
        self._show_wait = self._ahead = None

    def _tell_wait(self) -> None:
        is_ahead_shown = self._ahead is not None and self._ahead.turn.posts
        if is_ahead_shown and self._show_wait is not None and not self.may_go_on.is_set():
            self._show_wait(self._num_ahead)

    def attach(self, generation: Generation) -> None:
        self._generation = generation
        if self.halted.is_set():
            generation.cancel()

    def detach(self) -> None:
        """Nobody reads the generation any more."""
        if self._generation is not None:
            self._generation.cancel()
            self._generation = None

    def refresh(self, turn: Turn) -> None:
        """As the store has it now, but for the posts: one may be on its way there."""
        self.turn = replace(turn, posts=self.turn.posts)

    def note_post(self, part: int, message_id: str | None) -> None:
        """What the store is to be told, kept here too: the store may be full."""
        self.unrecorded[part] = message_id
        posts = {post.part: post for post in self.turn.posts}
        posts.pop(part, None)
        if message_id is not None:
            posts[part] = Post(part, message_id)
        self.turn = replace(self.turn, posts=tuple(posts[each] for each in sorted(posts)))
        if self._behind is not None:
            self._behind._tell_wait()

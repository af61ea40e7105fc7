"""A turn that is not finished, in memory: what people want of it, and how it is told."""

from __future__ import annotations

import asyncio
from enum import Enum, auto

from bot.ports import Generation
from bot.types import Place, Turn


class Wish(Enum):
    """Why a turn is to end before its reply is complete."""

    STOP = auto()
    RESTART = auto()
    FORGET = auto()


class LiveTurn:
    """``admitted``: it counts for its person. ``search_first``: a post may not be recorded."""

    def __init__(self, turn: Turn, *, admitted: bool = False, search_first: bool = False) -> None:
        self.turn = turn
        self.admitted = admitted
        self.search_first = search_first
        self.wish: Wish | None = None
        self.halted = asyncio.Event()
        self.ended = asyncio.Event()
        self._generation: Generation | None = None

    @property
    def id(self) -> str:
        return self.turn.id

    @property
    def place(self) -> Place:
        return self.turn.place

    @property
    def is_forgotten(self) -> bool:
        return self.wish is Wish.FORGET

    def halt(self, wish: Wish) -> None:
        """Takes effect wherever the turn stands; the newest wish counts, forgetting is final."""
        if not self.is_forgotten:
            self.wish = wish
        self.halted.set()
        if self._generation is not None:
            self._generation.cancel()

    def begin_again(self) -> bool:
        """Whether the question was edited since the turn began; it is then as if new."""
        if self.wish is not Wish.RESTART:
            return False
        self.wish = None
        self.halted.clear()
        return True

    def attach(self, generation: Generation) -> None:
        self._generation = generation
        if self.halted.is_set():
            generation.cancel()

    def detach(self) -> None:
        """Nobody reads the generation any more."""
        if self._generation is not None:
            self._generation.cancel()
            self._generation = None

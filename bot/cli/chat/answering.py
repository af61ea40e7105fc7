"""Following one answer, from the queue to its end."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from typing import Any, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from bot.cli.ask import ParleyGone
from bot.cli.chat.client import Json, PageClient, WireEvent
from bot.cli.chat.screen import GrowingView, ThoughtsView, growing_part
from bot.errors import ParleyError
from bot.prompt import clean

_REFRESH_SECONDS = 0.1
_GONE_SECONDS = 120.0
_STOPS = "Ctrl-C stops it"
_STANDING = ("stage", "place", "wait", "doing", "model", "personality")


class Leaving(Exception):
    """The person leaves while an answer is on its way."""


class View(Protocol):
    """Shows one answer as it grows."""

    def show(self, growing: Json) -> None: ...
    def end(self, answer: Json) -> None: ...
    def wait(self, sentence: str) -> None: ...


class Following:
    """The answers of one chat. ``num_interrupts``: Ctrl-C during the one that is followed."""

    def __init__(self, client: PageClient, view: View) -> None:
        self._client = client
        self._view = view
        self._growing: dict[str, Any] = {}
        self._turn: Json = {}
        self._num_interrupts = 0
        self._stopping: asyncio.Task[None] | None = None
        self._main: asyncio.Task[Any] | None = None

    async def follow(self, chat_id: str, turn_id: str, before: object = None) -> Json:
        """The turn, once its answer is another one than ``before``. Raises ``Leaving``."""
        with self._interrupts(turn_id):
            try:
                while True:
                    if (turn := await self._until_end(chat_id, turn_id, before)) is not None:
                        self._view.end({**chosen_answer(turn), "sources": turn["sources"]})
                        return turn
                    self._view.wait("Parley has stopped; waiting until it is back …")
                    await asyncio.sleep(_REFRESH_SECONDS)
                    await self._client.until_there(_GONE_SECONDS, comes_back=True)
            except asyncio.CancelledError:
                if self._num_interrupts < 2 or self._main is None:
                    raise
                self._main.uncancel()
                raise Leaving from None

    async def _until_end(self, chat_id: str, turn_id: str, before: object) -> Json | None:
        """None: the connection ended before."""
        try:
            async with aclosing(self._client.watch(chat_id)) as events:  # type: ignore[type-var]
                async for event in events:
                    if self._take(event, turn_id) and state_of(self._turn) != before:
                        return self._turn
        except ParleyGone:
            pass
        return None

    def _take(self, event: WireEvent, turn_id: str) -> bool:
        """Whether the turn has ended."""
        data = event.data
        if event.name == "turn" and data["id"] == turn_id:
            self._turn, growing = data, data["growing"]
            self._growing = dict(growing or {})
            if growing:
                self._view.show(self._growing)
            return not growing
        if event.name == "grow" and data["turn"] == turn_id:
            known = self._growing
            known.update({key: data[key] for key in _STANDING})
            known["reply"] = known.get("reply", "")[: data["at"]] + data["text"]
            if "reasoning" in data:
                begun = known.get("reasoning", "")[: data.get("reasoning_at", 0)]
                known["reasoning"] = begun + data["reasoning"]
            self._view.show(known)
        return False

    @contextmanager
    def _interrupts(self, turn_id: str) -> Iterator[None]:
        """Ctrl-C stops the answer, a second one leaves."""
        self._num_interrupts, self._main = 0, asyncio.current_task()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._interrupt, turn_id)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGINT)

    def _interrupt(self, turn_id: str) -> None:
        self._num_interrupts += 1
        if self._num_interrupts == 1:
            self._stopping = asyncio.create_task(self._stop(turn_id))
        elif self._main:
            self._main.cancel()

    async def _stop(self, turn_id: str) -> None:
        """Where there is no Parley, there is nothing to stop."""
        try:
            await self._client.act(turn_id, "stop")
        except ParleyGone:
            self._interrupt(turn_id)
        except ParleyError as error:
            self._view.wait(f"{error} Ctrl-C leaves.")


def chosen_answer(turn: Json) -> Json:
    """The answer that counts; empty if there is none."""
    found = (each for each in turn["answers"] if each["number"] == turn["chosen"])
    answer: Json = next(found, {})
    return answer


def state_of(turn: Json) -> object:
    """Other than before once there is another answer, or a longer one."""
    answer = chosen_answer(turn)
    return (len(turn["answers"]), answer.get("number"), answer.get("finished_at"))


class TerminalView:
    """For a terminal. Enter it before, and leave it after each answer."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._view = GrowingView(console)
        self._began_at = self._drawn_at = time.monotonic()
        self._thought_at: float | None = None
        self._thought_seconds = 0.0
        self._growing: Json = {}
        self._waiting = ""
        self._live: Live | None = None
        self._ticking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> TerminalView:
        self._part = growing_part(self._console)
        self._live = self._part.__enter__()
        self._ticking = asyncio.create_task(self._tick())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._ticking:
            self._ticking.cancel()
        if self._live:
            self._live.update(Text(end=""))
        self._part.__exit__(None, None, None)

    def show(self, growing: Json) -> None:
        self._growing, self._waiting = growing, ""
        self._note_thinking()

    def wait(self, sentence: str) -> None:
        self._waiting = sentence

    def end(self, answer: Json) -> None:
        if self._live:
            self._live.update(Text(end=""), refresh=True)
        self._note_thinking(has_ended=True)
        if reply := clean(answer.get("reply", "")):
            self._view.grow(reply, is_whole=True)
        self._console.print(_footer(answer))

    def _note_thinking(self, *, has_ended: bool = False) -> None:
        """One line stands for the reasoning once the answer begins."""
        is_thinking = self._growing.get("stage") == "thinking" and not has_ended
        if is_thinking and self._thought_at is None:
            self._thought_at = time.monotonic()
        elif not is_thinking and self._thought_at is not None:
            seconds = time.monotonic() - self._thought_at
            self._thought_at = None
            self._console.print(Text(f"Thought for {seconds:.0f} s; /thoughts shows it.\n", "dim"))

    async def _tick(self) -> None:
        """Draws at most ten times a second, and the seconds that pass."""
        while True:
            if self._live:
                if reply := clean(self._growing.get("reply", "")):
                    self._view.grow(reply)
                self._live.update(Group(*self._parts()), refresh=True)
            await asyncio.sleep(_REFRESH_SECONDS)

    def _parts(self) -> Iterator[Any]:
        if self._growing.get("stage") == "thinking":
            yield ThoughtsView(clean(self._growing.get("reasoning", "")))
        elif self._growing.get("reply"):
            yield self._view
        yield Text(f"{self._waiting or self._stage()}", "dim", no_wrap=True, overflow="ellipsis")

    def _stage(self) -> str:
        growing, seconds = self._growing, time.monotonic() - self._began_at
        match growing.get("stage"):
            case "queued" if growing.get("place"):
                wait = growing.get("wait")
                about = f", about {wait:.0f} s" if wait else ""
                return f"In the queue at place {growing['place']}{about} · {_STOPS}"
            case "loading":
                return f"Loading {growing.get('model') or 'the model'} · {seconds:.0f} s · {_STOPS}"
            case "reading":
                doing = clean(growing.get("doing") or "reading")
                return f"{doing[:1].upper()}{doing[1:]} · {seconds:.0f} s · {_STOPS}"
            case "thinking":
                return f"Thinking · {seconds:.0f} s · {_STOPS}"
            case "writing":
                return f"Writing · {seconds:.0f} s · {_STOPS}"
        return f"Waiting · {seconds:.0f} s · {_STOPS}"


def _footer(answer: Json) -> Text:
    """The note of what happened, and a quiet line about the answer."""
    text = Text()
    if answer.get("reply") and (sources := answer.get("sources")):
        named = (" ".join(filter(None, (s["title"], s["address"]))) for s in sources)
        text.append(f"Sources: {clean(', '.join(named))}\n", "dim")
    if note := answer.get("note"):
        text.append(f"{note}\n", "yellow")
    parts = [answer.get("model") or ""]
    if pace := answer.get("tokens_per_second"):
        parts.append(f"{pace:.1f} tokens/s")
    if used := answer.get("window_used"):
        parts.append(f"{used:.0%} of the window")
    if answer.get("number", 1) > 1:
        parts.append(f"answer {answer['number']}")
    return text.append(" · ".join(filter(None, parts)) + "\n", "dim")


class PlainView:
    """For a program, or a file: the text as it grows, and nothing else."""

    def __init__(self) -> None:
        self._shown = ""

    async def __aenter__(self) -> PlainView:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def show(self, growing: Json) -> None:
        self._write(clean(growing.get("reply", "")))

    def wait(self, sentence: str) -> None:
        pass

    def end(self, answer: Json) -> None:
        self._write(clean(answer.get("reply", "")))
        sys.stdout.write("\n")
        sys.stdout.flush()
        if note := answer.get("note"):
            sys.stderr.write(f"{note}\n")

    def _write(self, text: str) -> None:
        if text.startswith(self._shown):
            sys.stdout.write(text[len(self._shown) :])
            sys.stdout.flush()
            self._shown = text

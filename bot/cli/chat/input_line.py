"""The line that people write in: several lines, what they asked before, and completion."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import (
    CompleteEvent,
    Completer,
    Completion,
    PathCompleter,
)
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import History
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.styles import Style

from bot.cli.chat.client import PageClient
from bot.errors import ParleyError

_MAX_REMEMBERED = 200
_STYLE = Style.from_dict(
    {"prompt": "bold ansicyan", "bottom-toolbar": "noreverse ansibrightblack", "more": "ansicyan"}
)

Choices = Callable[[], Iterable[tuple[str, str]]]
"""Values, each with what it is."""


class Questions(History):
    """What was asked in the chats, newest first: it is kept with them, and forgotten with them."""

    def __init__(self, client: PageClient) -> None:
        super().__init__()
        self._client = client

    async def load(self) -> AsyncGenerator[str, None]:
        """Those of this time first, then those of earlier chats, which are read as needed.

        Whoever writes faster than they are read ends that; it is begun anew with the next line.
        """
        known, earlier = [*self._loaded_strings], list[str]()
        for text in known:
            yield text
        if self._loaded:
            return
        try:
            async for text in self._earlier():
                if text in known:
                    known.remove(text)  # asked a moment ago, and in its chat by now
                    continue
                earlier.append(text)
                yield text
        except ParleyError:
            return
        self._loaded_strings += earlier
        self._loaded = True

    async def _earlier(self) -> AsyncGenerator[str, None]:
        num, before = 0, ""
        for chat in await self._client.chats():
            for turn in reversed((await self._client.chat(chat["id"]))["turns"]):
                if turn["question"] != before:
                    yield (before := turn["question"])
                    num += 1
            if num >= _MAX_REMEMBERED:
                return

    def forget(self) -> None:
        """Read anew what there is."""
        self._loaded_strings.clear()
        self._loaded = False

    def load_history_strings(self) -> Iterable[str]:
        return ()

    def store_string(self, string: str) -> None:
        """It is kept with its chat."""


class CommandCompleter(Completer):
    """Completes ``/command`` and, where it has ``choices``, what follows it."""

    def __init__(self, commands: Mapping[str, str], choices: Mapping[str, Choices]) -> None:
        self._commands = commands
        self._choices = choices
        self._paths = PathCompleter(expanduser=True)

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterable[Completion]:
        text = document.text_before_cursor
        if not text.startswith("/") or "\n" in text:
            return
        word, space, argument = text.partition(" ")
        if not space:
            yield from _matching(word, self._commands.items())
        elif word in ("/file", "/export"):
            inner = Document(argument.lstrip())
            yield from self._paths.get_completions(inner, complete_event)
        elif choices := self._choices.get(word):
            yield from _matching(argument, choices())


def _matching(begun: str, choices: Iterable[tuple[str, str]]) -> Iterable[Completion]:
    for value, about in choices:
        if value.casefold().startswith(begun.casefold()):
            yield Completion(value, -len(begun), display_meta=about)


class InputLine:
    """``status``: the quiet line below."""

    def __init__(self, history: History, completer: Completer, status: Callable[[], str]) -> None:
        self._session: PromptSession[str] = PromptSession(
            history=history,
            completer=completer,
            complete_while_typing=Condition(self._is_command),
            key_bindings=_keys(),
            multiline=True,
            prompt_continuation=lambda *_: FormattedText([("class:more", "│ ")]),
            bottom_toolbar=lambda: FormattedText([("class:bottom-toolbar", status())]),
            style=_STYLE,
            enable_open_in_editor=True,
            reserve_space_for_menu=4,
        )

    def _is_command(self) -> bool:
        return self._session.default_buffer.text.startswith("/")

    async def read(self, begun: str = "") -> str:
        """What was written; raises ``EOFError`` if the person leaves."""
        message = FormattedText([("class:prompt", "› ")])
        return await self._session.prompt_async(message, default=begun)

    async def confirm(self, sentence: str) -> bool:
        """Anything but a yes is a no."""
        asking: PromptSession[str] = PromptSession(style=_STYLE)
        try:
            answer = await asking.prompt_async(f"{sentence} [y/N] ")
        except (EOFError, KeyboardInterrupt, asyncio.CancelledError):
            return False
        return answer.strip().casefold() in ("y", "yes")


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter")
    @keys.add("c-j")  # typed ahead, while an answer grew
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter")
    @keys.add("escape", "c-j")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @keys.add("c-c")
    def _(event: KeyPressEvent) -> None:
        """Drops what is written; leaves where there is nothing."""
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            event.app.exit(exception=EOFError())

    return keys


def titles(chats: Sequence[Mapping[str, str]]) -> Iterable[tuple[str, str]]:
    """Numbers of chats, as a list shows them."""
    return ((str(number), chat["title"]) for number, chat in enumerate(chats, 1))

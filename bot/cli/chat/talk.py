"""One person and one chat at a time, until they leave."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from bot.cli.chat.answering import Following, Leaving, PlainView, TerminalView, state_of
from bot.cli.chat.client import Json, PageClient
from bot.cli.chat.commands import COMMANDS, SlashCommands
from bot.cli.chat.drawing import stacked
from bot.cli.chat.input_line import CommandCompleter, InputLine, Questions, titles
from bot.errors import ParleyError, UnknownPersonality
from bot.markdown.parser import parse
from bot.prompt import clean

_SOON = 3
"""Questions of a chat that is opened which are shown again."""


class Talk:
    """``turns``: those of the chat; ``chat_id`` None: one that begins with the next question.

    ``files`` go with that. At a terminal it looks well; else it is plain.
    """

    def __init__(self, client: PageClient, state: Json, personality: str) -> None:
        self.client = client
        for name in ("COLUMNS", "LINES"):
            os.environ.pop(name, None)  # the window's own size counts, which may change
        self.console = Console(highlight=False)
        self.chat_id: str | None = None
        self.turns: Sequence[Json] = ()
        self.files: list[Path] = []
        self.personalities: Sequence[Json] = state["personalities"]
        self.personality = self._known(personality or state["default"])
        self._state = state
        self._model, self._window = state["model"], 0
        self._slash = SlashCommands(self)
        self._history = Questions(client)
        self._is_plain = not (sys.stdin.isatty() and sys.stdout.isatty())
        self._has_failed = False
        self._line: InputLine | None = None

    async def run(self) -> bool:
        """Until the person leaves, or there is no more to read; whether all was well."""
        try:
            async for text in self._lines():
                await self._take(text)
        except (EOFError, Leaving):
            pass
        return not (self._is_plain and self._has_failed)

    async def greet(self, *, goes_on: bool) -> None:
        """What is seen first. ``goes_on``: with the chat of last time."""
        chats = await self.client.chats() if goes_on else ()
        if goes_on and not chats:
            self._complain("There is no chat yet to go on with; this is a new one.")
        if not self._is_plain:
            head = f"Parley · {self._model} · {self._state['notice']} /help shows what you can do."
            self.console.print(Text(f"{head}\n", "dim"))
        if chats:
            await self.open(chats[0]["id"])
        elif not self._is_plain and (greeting := self._about(self.personality)["greeting"]):
            self._markdown(greeting)

    async def _lines(self) -> AsyncIterator[str]:
        if self._is_plain:
            for line in sys.stdin:
                yield line
            return
        choices = {
            "/personality": lambda: ((p["name"], p["title"]) for p in self.personalities),
            "/open": lambda: titles(self._slash.listed),
        }
        self._line = InputLine(self._history, CommandCompleter(COMMANDS, choices), self._toolbar)
        while True:
            yield await self._line.read()

    async def _take(self, text: str) -> None:
        text = clean(text).strip()
        if not text:
            return
        try:
            if text.startswith("/") and text.split()[0].count("/") == 1:
                await self._slash.run(text)
            else:
                await self._ask(text)
        except ParleyError as error:
            self._complain(str(error))

    async def _ask(self, text: str) -> None:
        personality = None if self.chat_id else self.personality
        asked = await self.client.ask(self.chat_id, text, personality, self.files)
        self.files.clear()
        self.chat_id = asked["chat"]
        self.turns = [*self.turns, asked["turn"]]
        await self.follow(asked["turn"])

    async def follow(self, turn: Json, before: Json | None = None) -> None:
        """Show the next answer to the turn as it grows."""
        if self.chat_id is None:
            return
        is_new = not turn["answers"] and before is None
        known = None if is_new or turn["growing"] else state_of(before or turn)
        async with PlainView() if self._is_plain else TerminalView(self.console) as view:
            await Following(self.client, view).follow(self.chat_id, turn["id"], known)
        await self.refresh()

    async def begin(self) -> None:
        """Another chat, with the next question."""
        self.chat_id, self.turns = None, ()
        self._history.forget()
        self.console.print(Text("A new chat.\n", "dim"))

    async def open(self, chat_id: str) -> None:
        await self.go_to(chat_id)
        for turn in self.turns[-_SOON:]:
            self._show_again(turn)
        if self.turns and self.turns[-1]["growing"]:
            await self.follow(self.turns[-1])

    async def go_to(self, chat_id: str) -> None:
        self.chat_id = chat_id
        await self.refresh()

    async def refresh(self) -> None:
        if self.chat_id is None:
            return
        found = await self.client.chat(self.chat_id)
        self.turns, self._model, self._window = found["turns"], found["model"], found["window"]
        self.personality = found["chat"]["personality"]

    async def choose(self, name: str) -> None:
        """Who answers from now on."""
        self.personality = self._known(name)
        if self.chat_id:
            await self.client.change(self.chat_id, personality=self.personality)
            await self.refresh()
        title = self._about(self.personality)["title"]
        self.console.print(Text(f"{title} answers from now on.\n", "dim"))

    async def status(self) -> Iterator[tuple[str, str]]:
        await self.refresh()
        answers = [each for turn in self.turns for each in turn["answers"]]
        used = next((a["window_used"] for a in reversed(answers) if a.get("window_used")), None)
        busy = [chat for chat in await self.client.chats() if chat["is_busy"]]
        found = {
            "Model": self._model,
            "Personality": self._about(self.personality)["title"],
            "Questions": str(len(self.turns)),
            "Window": f"{self._window:,} tokens" + (f", {used:.0%} used" if used else ""),
            "On its way": f"{len(busy)} of your chats are being answered" if busy else "nothing",
        }
        return iter(found.items())

    async def read(self, begun: str) -> str:
        return await self._line.read(begun) if self._line else ""

    async def confirm(self, sentence: str) -> bool:
        """Whoever writes a script means what it says."""
        return await self._line.confirm(sentence) if self._line else True

    def _known(self, name: str) -> str:
        names = [each["name"] for each in self.personalities]
        found = next((each for each in names if each.casefold() == name.casefold()), None)
        if found is None:
            raise UnknownPersonality(name, tuple(names))
        return str(found)

    def _about(self, personality: str) -> Json:
        found = (each for each in self.personalities if each["name"] == personality)
        return next(found, {"title": personality, "greeting": ""})

    def _show_again(self, turn: Json) -> None:
        if self._is_plain:
            return
        self.console.print(Text.assemble(("› ", "bold cyan"), clean(turn["question"]), "\n"))
        for answer in turn["answers"]:
            if answer["number"] == turn["chosen"] and answer.get("reply"):
                self._markdown(answer["reply"])

    def _markdown(self, text: str) -> None:
        self.console.print(stacked(parse(clean(text))))
        self.console.print()

    def _toolbar(self) -> str:
        files = "".join(f" + {path.name}" for path in self.files)
        return f" {self.personality} · {self._model}{files} · Alt-Enter: new line · /help"

    def _complain(self, sentence: str) -> None:
        self._has_failed = True
        if self._is_plain:
            sys.stderr.write(f"{sentence}\n")
        else:
            self.console.print(Text(f"{sentence}\n", "yellow"))

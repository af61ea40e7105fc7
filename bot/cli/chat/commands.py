"""What is typed with a slash."""

from __future__ import annotations

import asyncio
import base64
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from bot.cli.chat.answering import chosen_answer
from bot.cli.chat.client import Json
from bot.errors import RequestError
from bot.prompt import clean

if TYPE_CHECKING:
    from bot.cli.chat.talk import Talk

COMMANDS = {
    "/help": "these commands",
    "/new": "begin another chat",
    "/chats": "your chats, or those with some words in them",
    "/open": "go on with a chat, by its number in the list",
    "/personality": "who answers; alone: all of them",
    "/retry": "another answer to your last question",
    "/edit": "change your last question and ask it anew",
    "/continue": "go on with an answer that was stopped or cut off",
    "/stop": "stop an answer that is still on its way",
    "/file": "a file that goes with your next question",
    "/thoughts": "the reasoning before the last answer",
    "/copy": "put the last answer into the clipboard",
    "/export": "write the chat to a file: .md or .json",
    "/forget": "delete this chat for good",
    "/status": "model, chat and window",
    "/quit": "leave",
}
_KEYS = (
    "Enter asks, Alt-Enter begins a new line, ↑ brings back what you asked, Ctrl-X Ctrl-E opens "
    "your editor, Ctrl-C stops an answer, Ctrl-D leaves."
)
_NO_CHAT = "There is no chat yet; ask something first."


class SlashCommands:
    """``listed``: the chats as the last list showed them."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self.listed: Sequence[Json] = ()

    async def run(self, line: str) -> None:
        """Raises ``RequestError`` for what is no command, or cannot be done."""
        word, _, argument = line.strip().partition(" ")
        name = next((each for each in COMMANDS if each == word.casefold()), None)
        if name is None:
            raise RequestError(f"There is no command {word}; /help shows those there are.")
        await getattr(self, f"_{name[1:]}")(argument.strip())

    async def _help(self, _: str) -> None:
        self._list(COMMANDS.items())
        self._say(Text(f"{_KEYS}\n", "dim"))

    async def _new(self, _: str) -> None:
        await self._talk.begin()

    async def _chats(self, words: str) -> None:
        self.listed = await self._talk.client.chats(words)
        if not self.listed:
            raise RequestError("There are no chats with these words." if words else _NO_CHAT)
        for number, chat in enumerate(self.listed, 1):
            here = "›" if chat["id"] == self._talk.chat_id else " "
            about = f"{chat['personality']}, {chat['last_at'][:10]}"
            title = clean(chat["title"]).replace("\n", " ")
            line = Text.assemble(f"{here} {number:>2}  ", title, (f"  {about}", "dim"))
            line.truncate(self._talk.console.width, overflow="ellipsis")
            self._say(line)
        self._say(Text("\n/open NUMBER goes on with one.\n", "dim"))

    async def _open(self, which: str) -> None:
        chats = self.listed or await self._talk.client.chats()
        if not (which.isdecimal() and 0 < int(which) <= len(chats)):
            raise RequestError("Say which chat, by its number in the list of /chats.")
        await self._talk.open(chats[int(which) - 1]["id"])

    async def _personality(self, name: str) -> None:
        if name:
            await self._talk.choose(name)
            return
        here = self._talk.personality
        self._list(
            (p["name"], f"{p['description'] or p['title']}{' ‹ here' if p['name'] == here else ''}")
            for p in self._talk.personalities
        )

    async def _retry(self, _: str) -> None:
        turn = self._last()
        await self._talk.client.act(turn["id"], "retry")
        await self._talk.follow(turn)

    async def _continue(self, _: str) -> None:
        turn = self._last()
        if not chosen_answer(turn).get("can_continue"):
            raise RequestError("The last answer has come to its end; /retry asks for another one.")
        await self._talk.client.act(turn["id"], "continue")
        await self._talk.follow(turn)

    async def _edit(self, text: str) -> None:
        turn = self._last()
        text = text or await self._talk.read(turn["question"])
        if not text.strip():
            return
        await self._talk.go_to(await self._talk.client.edit(turn["id"], text))
        await self._talk.follow(self._last(), turn)

    async def _stop(self, _: str) -> None:
        await self._talk.refresh()
        turn = self._last()
        if not turn["growing"]:
            raise RequestError("No answer is on its way here.")
        await self._talk.client.act(turn["id"], "stop")
        await self._talk.follow(turn)

    async def _file(self, name: str) -> None:
        if not name:
            raise RequestError("Say which file, as in: /file notes.pdf")
        path = _file(name)
        self._talk.files.append(path)
        self._say(Text(f"{path.name} goes with your next question.\n", "dim"))

    async def _thoughts(self, _: str) -> None:
        thoughts = clean(chosen_answer(self._last()).get("reasoning", ""))
        if not thoughts.strip():
            raise RequestError("The last answer has no reasoning, or it is not shown.")
        self._say(Text(f"{thoughts.strip()}\n", "dim italic"))

    async def _copy(self, _: str) -> None:
        """By the terminal itself, which may be on another machine."""
        if not (reply := chosen_answer(self._last()).get("reply", "")):
            raise RequestError("There is no answer yet.")
        if sys.stdout.isatty():
            data = base64.b64encode(reply.encode()).decode()
            sys.stdout.write(f"\x1b]52;c;{data}\x07")
        self._say(Text("The answer is in the clipboard, if your terminal allows it.\n", "dim"))

    async def _export(self, name: str) -> None:
        form = "json" if name.endswith(".json") else "markdown"
        usual, data = await self._talk.client.export(self._chat_id(), form)
        path = await asyncio.to_thread(_write, name or usual, data)
        self._say(Text(f"Written: {path}\n", "dim"))

    async def _forget(self, _: str) -> None:
        chat_id = self._chat_id()
        if await self._talk.confirm("Delete this chat for good?"):
            await self._talk.client.forget(chat_id)
            self.listed = ()
            await self._talk.begin()

    async def _status(self, _: str) -> None:
        self._list(await self._talk.status())

    async def _quit(self, _: str) -> None:
        raise EOFError

    def _last(self) -> Json:
        if not self._talk.turns:
            raise RequestError(_NO_CHAT)
        return self._talk.turns[-1]

    def _chat_id(self) -> str:
        if self._talk.chat_id is None:
            raise RequestError(_NO_CHAT)
        return self._talk.chat_id

    def _list(self, rows: Iterable[tuple[str, str]]) -> None:
        table = Table.grid(padding=(0, 2), pad_edge=True)
        for name, about in rows:
            table.add_row(Text(name, "bold", no_wrap=True), Text(about))
        self._talk.console.print(table)
        self._talk.console.print()

    def _say(self, what: Text | str) -> None:
        self._talk.console.print(what)


def _file(name: str) -> Path:
    path = Path(name).expanduser()
    if not path.is_file():
        raise RequestError(f"There is no file {name}.")
    return path


def _write(name: str, data: bytes) -> Path:
    """A file that is there already stays."""
    path = Path(name).expanduser()
    try:
        with path.open("xb") as file:
            file.write(data)
    except FileExistsError:
        raise RequestError(f"{path} is there already; say another name.") from None
    except OSError as error:
        raise RequestError(f"{path} cannot be written: {error.strerror}.") from None
    return path

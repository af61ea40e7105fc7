"""Discord's own Markdown, by ``discord-markdown-parser`` from npm in one child process."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.lacking import go_on_without, skip_for_lack
from tests.npm import install
from tests.npm import node as node_program

VERSION = "1.3.1"
PACKAGE = "discord-markdown-parser"
CACHE = Path(__file__).resolve().parents[2] / ".cache" / PACKAGE
_SERVE = """
const { parse } = require(process.argv[1]);
require("readline").createInterface({ input: process.stdin }).on("line", line =>
  process.stdout.write(JSON.stringify(parse(JSON.parse(line), "extended")) + "\\n"));
"""

Node = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sign:
    """A character as people see it. ``kind``: ``text``, ``code``, ``block`` or an address."""

    character: str
    marks: frozenset[str] = frozenset()
    kind: str = "text"


class MeansSomethingThere(Exception):
    """The text pings, hides or shows something that is no text."""


class DialectMissing(Exception):
    """Why the parser cannot run here, in one sentence."""


def ensure_parser(cache: Path = CACHE) -> Path:
    """The parser's folder, installed through npm the first time. Raises ``DialectMissing``."""
    folder = cache / "node_modules" / PACKAGE
    is_there = (folder / "package.json").is_file()
    if not is_there and (problem := install(PACKAGE, VERSION, cache)):
        raise DialectMissing(problem)
    return folder


class DiscordDialect:
    """Parses texts as Discord's client does, but for its lists, which stay text."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def parse(self, text: str) -> list[Node]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(text) + "\n")
        self._process.stdin.flush()
        nodes: list[Node] = json.loads(self._process.stdout.readline())
        return nodes

    def signs(self, text: str) -> list[Sign]:
        """What people see, without white space. Raises ``MeansSomethingThere``."""
        return [*_whole(_signs(self.parse(text), frozenset()))]


_MARKS = {
    "em": "emphasis",
    "strong": "strong",
    "heading": "strong",
    "underline": "underline",
    "strikethrough": "strike",
    "blockQuote": "quote",
}
_PING_LIKE = {"everyone": "@everyone", "here": "@here"}


def _signs(nodes: Sequence[Node], marks: frozenset[str]) -> Iterator[Sign]:
    for number, node in enumerate(nodes):
        match node["type"]:
            case "text":
                yield from shown(node["content"], marks)
            case "twemoji":
                yield from shown(node["name"], marks)
            case "br" | "newline":
                continue
            case "inlineCode":
                yield from shown(node["content"], kind="code")
            case "codeBlock":
                yield from shown(node["content"], kind="block")
            case "url" | "autolink":
                yield from shown(node["target"], kind=node["target"])
            case "link":
                yield from shown(_words(node["content"]), kind=node["target"])
            case "everyone" | "here":
                _check_ping(nodes, number)
                yield from shown(_PING_LIKE[node["type"]], marks)
            case name if name in _MARKS:
                yield from _signs(node["content"], marks | {_MARKS[name]})
            case name:
                raise MeansSomethingThere(name)


def _whole(signs: Iterable[Sign]) -> Iterator[Sign]:
    """The parser ends a text between the halves of a character beyond 16 bits."""
    first: Sign | None = None
    for sign in signs:
        if first is not None:
            pair = (first.character + sign.character).encode("utf-16", "surrogatepass")
            sign = replace(sign, character=pair.decode("utf-16"))
        first = sign if "\ud800" <= sign.character <= "\udbff" else None
        if first is None:
            yield sign


def shown(text: str, marks: frozenset[str] = frozenset(), kind: str = "text") -> Iterator[Sign]:
    return (Sign(each, marks, kind) for each in text if not each.isspace())


def _words(nodes: Sequence[Node]) -> str:
    return "".join(sign.character for sign in _signs(nodes, frozenset()))


def _check_ping(nodes: Sequence[Node], number: int) -> None:
    """``@here`` within a longer word or a mail address is none."""
    before, after = (_text(nodes[:number][-1:]), _text(nodes[number + 1 :][:1]))
    is_mail = re.search(r"[\w.+-]\Z", before) and re.match(r"[.-]", after)
    if not (re.match(r"\w", after) or is_mail):
        raise MeansSomethingThere(nodes[number]["type"])


def _text(nodes: Sequence[Node]) -> str:
    return "".join(node["content"] for node in nodes if node["type"] == "text")


@contextmanager
def running_dialect() -> Iterator[DiscordDialect]:
    """For fixtures: skips on a laptop without npm, fails where CI is set."""
    try:
        folder = ensure_parser()
    except DialectMissing as reason:
        skip_for_lack(str(reason))
    pipe = subprocess.PIPE
    command = [node_program(), "-e", _SERVE, str(folder)]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield DiscordDialect(process)
        finally:
            process.terminate()


def main() -> None:
    """``make dialects``: install it now, so that no test has to wait for it."""
    try:
        ensure_parser()
    except DialectMissing as reason:
        go_on_without(f"Discord's Markdown: {reason}")


if __name__ == "__main__":
    main()

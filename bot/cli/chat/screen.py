"""The terminal while an answer grows in it: what is complete scrolls, and only its end changes."""

from __future__ import annotations

import sys
import termios
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.segment import Segment
from rich.text import Text

from bot.cli.chat.drawing import code, drawn
from bot.markdown.growing import GrowingTree
from bot.markdown.tree import Block, CodeBlock

_NUM_THOUGHT_LINES = 3
_NUM_KEPT = 4
"""Lines of the window that the answer leaves to what stands below it."""


class GrowingView:
    """One answer. ``print`` puts what will not change any more above the part that grows.

    A block is complete when a whole line follows that does not belong to it; code is complete
    line by line.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._text = ""
        self._whole_lines = GrowingTree()
        self._all = GrowingTree()
        self._num_printed = 0
        self._num_code_lines = 0

    def grow(self, text: str, *, is_whole: bool = False) -> None:
        """The answer is ``text`` by now; what was repeated may be gone from its end."""
        settled = self._text[: self._text.rfind("\n") + 1]
        if not (text.startswith(settled) or settled.startswith(text.rstrip())):
            self._begin_anew()
        self._text = text
        settled = text if is_whole else text[: text.rfind("\n") + 1]
        blocks = self._whole_lines.blocks(settled)
        self._print(blocks, len(blocks) - (not is_whole))
        if not is_whole:
            self._print_code(blocks)

    def _begin_anew(self) -> None:
        """It is another answer now, below what is printed of the one before."""
        self._console.print(Text("…\n", "dim"))
        self._whole_lines, self._all = GrowingTree(), GrowingTree()
        self._num_printed = self._num_code_lines = 0

    def _print(self, blocks: Sequence[Block], num: int) -> None:
        for number in range(self._num_printed, num):
            self._console.print(self._rest_of(blocks, number))
        if num > self._num_printed:
            self._num_printed, self._num_code_lines = num, 0

    def _print_code(self, blocks: Sequence[Block]) -> None:
        """Lines of a long block of code that have left the window."""
        block = blocks[self._num_printed] if self._num_printed < len(blocks) else None
        if not isinstance(block, CodeBlock):
            return
        lines = block.content.split("\n")
        num = len(lines) + 1 - self._room
        if num > self._num_code_lines:
            self._console.print(self._gap(blocks, self._num_printed), end="")
            more = "\n".join(lines[self._num_code_lines : num])
            self._console.print(code(more, block.info))
            self._num_code_lines = num

    def _rest_of(self, blocks: Sequence[Block], number: int) -> Group:
        block = blocks[number]
        if not (isinstance(block, CodeBlock) and self._num_code_lines):
            return Group(self._gap(blocks, number), drawn(block))
        lines = block.content.split("\n")[self._num_code_lines :]
        return Group(code("\n".join(lines), block.info))

    def _gap(self, blocks: Sequence[Block], number: int) -> Text:
        """The empty line above a block."""
        is_apart = number > 0 and not blocks[number].hugs and not self._num_code_lines
        return Text("\n" if is_apart else "", end="")

    @property
    def _room(self) -> int:
        return max(1, self._console.height - _NUM_KEPT)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The part that grows: its last lines, as many as the window has room for."""
        blocks = self._all.blocks(self._text, is_growing=True)
        numbers = range(self._num_printed, len(blocks))
        shown = Group(*(self._rest_of(blocks, number) for number in numbers))
        lines = console.render_lines(shown, options, pad=False) if numbers else []
        for line in lines[-self._room :]:
            yield from line
            yield Segment.line()


class ThoughtsView:
    """The last lines of reasoning, dim."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        text = Text(self._text.strip()[-2_000:], "dim italic")
        for line in console.render_lines(text, options, pad=False)[-_NUM_THOUGHT_LINES:]:
            yield from line
            yield Segment.line()


@contextmanager
def growing_part(console: Console) -> Iterator[Live]:
    """A part at the bottom that is drawn anew."""
    live = Live(
        console=console,
        transient=True,
        auto_refresh=False,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with live:
        yield live


@contextmanager
def silent_keys() -> Iterator[None]:
    """What is typed while nothing is asked is left, unseen, for the next prompt; Ctrl-C
    interrupts.
    """
    if not sys.stdin.isatty():
        yield
        return
    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    silent = termios.tcgetattr(number)
    silent[0] &= ~termios.ICRNL
    silent[3] &= ~(termios.ECHO | termios.ICANON)
    termios.tcsetattr(number, termios.TCSANOW, silent)
    try:
        yield
    finally:
        termios.tcsetattr(number, termios.TCSANOW, before)

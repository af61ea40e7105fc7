"""The tree of a Markdown text -> the Markdown that Discord renders. Pure and total.

Discord knows three sizes of headings, no tables, no images inline and no quotes in quotes or in
lists. Plain text that would mean something there is escaped. Nothing the model writes can ping
or look like a ping: a joiner that nobody sees is put into it, though not in code and addresses,
where nothing pings. (``allowed_mentions`` forbids pings too.)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from bot.markdown.drawing import ZERO_WIDTH_SPACE, Drawing, RenderedLine, SpanWriter
from bot.markdown.tree import (
    Block,
    Emphasis,
    Formula,
    Heading,
    LineBreak,
    ListItem,
    Paragraph,
    Quote,
    Span,
    Strike,
    Strong,
    TextSpan,
    Underline,
    plain_text,
)

_JOINER = "\u2060"
_PING = re.compile(
    r"@(?=(?:everyone|here)(?!\w))(?!(?<=[\w.+-]@)(?:[\w-]+\.)+\w)"  # no part of a mail address
    r"|<(?=@[!&]?\d|#\d)",
    re.IGNORECASE,
)
_SPECIAL = re.compile(
    r"[*_`]"
    r"|(?<=~)~|~(?=~|\Z)|(?<=\|)\||\|(?=\|)"
    r"|\\(?=[^0-9A-Za-z\s]|\Z)"
    r"|(?<=\])\("
    r"|(?<=http):(?=//)|(?<=https):(?=//)"
    r"|<(?=t:-?\d|a?:\w+:\d|/[^<>]+:\d|id:\w|[^: >]{0,200}(?::/|\Z))"
)
_AT_LINE_START = re.compile(r"#{1,3}(?= )|-(?=#? )|>|(?<=\d)\.(?=\s)")
_NUMBER = re.compile(r"\d+(?=\.\s)")
_ADDRESS = re.compile(r"https?://[^\s<>\\]+", re.IGNORECASE)
_LAST_ANGLE = re.compile(r"(?<=[0-9A-Za-z])\\(?=<[0-9A-Za-z]+\Z)")
_BARE = re.compile(r"https?://[^\s<]+[^<.,:;\"')\]\s]")
_CLOSING = re.compile(r"[.,:;\"')\]]*")
_CLOSING_THEN_SPACE = re.compile(_CLOSING.pattern + r"\s")
_IN_PARENTHESES = re.compile(r"[^()]*(?:\([^()]*\)[^()]*)*")
_LABEL = re.compile(r"[^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*")
_ONE, _TWO = re.compile(r"(?<!`)`(?!`)"), re.compile(r"(?<!`)``(?!`)")
_IN_QUOTE = 100
"""Added to the depth of what stands in a quote."""


def escape(text: str, before: str = "") -> str:
    """Text that is shown as it is, behind the character ``before``."""

    def escaped(match: re.Match[str]) -> str:
        return match[0] if match.start() < len(before) else f"\\{match[0]}"

    shown = _SPECIAL.sub(escaped, before + text)
    return _PING.sub(lambda match: match[0] + _JOINER, shown)[len(before) :]


class DiscordSpans(SpanWriter):
    """A mark is written once there is text for it, since empty ones would be shown.

    Discord finds the end of a mark without regard to code and addresses, so those in which it
    would end are written outside of all marks.
    """

    marks = {Strong: "**", Emphasis: "_", Strike: "~~", Underline: "__"}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self._begun: list[str] = []
        self._waiting: list[str] = []
        self._bare = -1
        self._ended = ""
        self._emphasis = 0

    def words(self, content: str) -> None:
        text = content.lstrip(" ")
        is_first = not self.parts or self.parts[-1] == "\n"
        self._put(content[: len(content) - len(text)])
        if text:
            self._begin_marks()
            self._put(_at_line_start(text) if is_first else escape(text, self._last))

    def code(self, content: str) -> None:
        mark = next((m for m, run in (("`", _ONE), ("``", _TWO)) if not run.search(content)), "")
        if not mark:
            self.words(content)
            return
        left = " " if content.startswith("`") else ""
        right = " " if content.endswith("`") else ""
        self._put_whole(f"{mark}{left}{content}{right}{mark}")

    def link(self, url: str, label: tuple[Span, ...]) -> None:
        words, address = plain_text(label).strip(), url.removeprefix("mailto:")
        if not _ADDRESS.fullmatch(url):
            self.words(f"{words} ({address})" if words and address else words or address)
        elif not words:
            self._address(url)
        elif shown := self._label(label, url):
            self._put_whole(f"[{shown}]({url})")
        else:
            self.add((*_on_one_line(label), TextSpan(" (")))
            self._address(url)
            self.words(")")

    def break_line(self) -> None:
        super().break_line()
        self._bare, self._ended = -1, ""

    def begin(self, mark: str) -> None:
        self._waiting.append(mark)

    def end(self, mark: str) -> None:
        if mark in self._waiting:
            self._waiting.remove(mark)
            return
        self._begun.remove(mark)
        text = self.parts.pop()
        shown = text.rstrip(" ")
        border = ZERO_WIDTH_SPACE if mark == "~~" and shown.endswith("~") else ""
        self.parts += [f"{shown}{border}{mark}", text[len(shown) :]]
        self._bare, self._ended = -1, mark if shown == text else ""

    @property
    def _last(self) -> str:
        return self._last_before(len(self.parts))

    def _last_before(self, number: int) -> str:
        return next((part[-1] for part in reversed(self.parts[:number]) if part), "")

    def _put(self, text: str) -> None:
        if not text:
            return
        if self._ended and _collide(self._ended, text[0]) and not self._emphasised_in_word():
            self.parts.append(ZERO_WIDTH_SPACE)
        self.parts.append(text)
        self._ended = ""
        if self._bare >= 0 and not _CLOSING.fullmatch(text):
            if not _CLOSING_THEN_SPACE.match(text):
                self.parts[self._bare] = f"<{self.parts[self._bare]}>"
            self._bare = -1

    def _emphasised_in_word(self) -> bool:
        """Write the last emphasis with ``*``, which alone acts within a word, if that is safe."""
        if self._ended != "_":
            return False
        before, _, after = self.parts[self._emphasis].partition("_")
        inside = "".join((after, *self.parts[self._emphasis + 1 :]))[:-1]
        if before or self._last_before(self._emphasis) == "*" or "*" in inside:
            return False
        self.parts[self._emphasis :] = [f"*{inside}*"]
        return True

    def _begin_marks(self) -> None:
        self._put("".join(self._waiting))
        if "_" in self._waiting:
            self._emphasis = len(self.parts) - 1
        self._begun += self._waiting
        self._waiting = []

    def _put_whole(self, text: str) -> None:
        clash = any(mark in text for mark in (*self._begun, *self._waiting))
        reopened = [*self._begun] if clash else []
        for mark in reversed(reopened):
            self.end(mark)
        if not clash:
            self._begin_marks()
        self._put((ZERO_WIDTH_SPACE if self._last == "`" == text[0] else "") + text)
        self._waiting = [*reopened, *self._waiting]

    def _address(self, url: str) -> None:
        if _BARE.fullmatch(url) and not re.match(r"\w", self._last):
            self._put_whole(url)
            self._bare = len(self.parts) - 1
        else:
            self._put_whole(f"<{url}>")

    def _label(self, label: tuple[Span, ...], url: str) -> str:
        """Empty where Discord would not take it, or the address, for a link."""
        writer = DiscordSpans()
        writer._open += self._open
        writer.add(_on_one_line(label))
        shown = "".join(writer.parts).strip()
        is_good = _LABEL.fullmatch(shown) and _IN_PARENTHESES.fullmatch(url)
        return shown if is_good and "://" not in shown else ""


def _collide(mark: str, following: str) -> bool:
    """Whether Discord would not take ``mark`` for an end in front of this character."""
    if mark == "_":
        return re.match(r"[0-9A-Za-z_]", following) is not None
    return following == mark[0] or (mark == "~~" and following == "_")


def _at_line_start(text: str) -> str:
    """Without what would make the line a heading, a quote, an item or small print."""
    number = _NUMBER.match(text)
    lead = number[0] if number else ""
    found = _AT_LINE_START.match(text, len(lead))
    mark = found[0] if found else ""
    rest = text[len(lead) + len(mark) :]
    return f"{lead}\\{mark}{escape(rest, mark[-1])}" if mark else escape(text)


def _on_one_line(spans: Iterable[Span]) -> Iterator[Span]:
    for span in spans:
        match span:
            case LineBreak() | Formula():
                yield TextSpan(plain_text((span,)))
            case Strong() | Emphasis() | Strike() | Underline():
                yield type(span)(tuple(_on_one_line(span.spans)))
            case _:
                yield span


class DiscordDrawing(Drawing):
    writer = DiscordSpans
    code_begins_item = True

    def lines(self, block: Block, depth: int = 0) -> list[RenderedLine]:
        match block:
            case Heading(_, spans) if depth not in (0, _IN_QUOTE):
                return super().heading(1, spans)
            case Quote(blocks):
                inner = self._joined(blocks, depth + _IN_QUOTE)
                return [_barred(line) if depth else self.quoted(line) for line in inner]
        return super().lines(block, depth)

    def gap(self, above: Block, below: Block) -> str:
        """Discord sees no heading right below a quote."""
        is_hidden = isinstance(above, Quote) and isinstance(below, Heading)
        return "\n\n" if is_hidden else super().gap(above, below)

    def text(self, spans: tuple[Span, ...]) -> list[RenderedLine]:
        """``<`` in the last word needs no escape: no address follows in which it would act."""
        *lines, last = super().text(spans)
        return [*lines, RenderedLine(_LAST_ANGLE.sub("", last.text))]

    def heading(self, level: int, spans: tuple[Span, ...]) -> list[RenderedLine]:
        one_line = tuple(_on_one_line(spans))
        if level > 3:
            return super().heading(level, one_line)
        [line] = self.text(one_line)
        return [RenderedLine(f"{'#' * level} {line.text}")]

    def code(self, content: str, info: str) -> list[RenderedLine]:
        """A block without a word would end at the mark of the next one."""
        return super().code(content if content.strip("\n") else " ", info)

    def quoted(self, line: RenderedLine) -> RenderedLine:
        return RenderedLine(f"> {line.text}", line.is_code)

    def item(self, item: ListItem, depth: int) -> list[RenderedLine]:
        """What continues an item keeps the level of the items in it, which their parent gives."""
        if not item.is_continued:
            return super().item(item, depth)
        if not any(isinstance(block, ListItem) for block in item.blocks):
            return self._joined(item.blocks, depth)
        again = Paragraph((TextSpan("…"),))
        first, *rest = item.blocks
        blocks = (again, replace(first, hugs=True), *rest)
        return super().item(replace(item, blocks=blocks, is_continued=False), depth)


def _barred(line: RenderedLine) -> RenderedLine:
    """Code has no bar, which would be a part of it."""
    return line if line.is_code else RenderedLine(f"│ {line.text}".rstrip())


drawing = DiscordDrawing()
render = drawing.markdown

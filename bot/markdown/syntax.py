"""The Markdown that models write: CommonMark and tables, as people mean them in a chat.

It differs from CommonMark where that is blind or where a later line would change an earlier
one, which a reply that grows must not do:

- Four spaces are how models indent lists, not code; a "reference" would show nothing.
- A line of ``===`` under one line of text makes it a heading. So does ``---``, but under the end
  of a sentence it is a rule.
- Bold next to punctuation works in scripts that put no spaces between words, and what ends with
  punctuation in any other: ``**Note:**the rest``.
- Bare addresses and formulas are found before emphasis is.
- ``>>>`` is a prompt.
- A table may begin right under an item of a list, and a line without a bar ends it: the model
  goes on with text.
- A fence in a fence of Markdown is a part of it, and a fence in a list may be closed at the
  margin.
"""

from __future__ import annotations

import re
from unicodedata import category

from markdown_it import MarkdownIt
from markdown_it.common.utils import isMdAsciiPunct, isPunctChar, isWhiteSpace
from markdown_it.parser_inline import ParserInline
from markdown_it.rules_block import StateBlock, blockquote
from markdown_it.rules_block.table import table
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.state_inline import Scanned
from markdown_it.token import Token
from markdown_it.utils import EnvType

from bot.markdown.addresses import end_of_address, scheme_before

MAX_NESTING = 50
_MAX_FORMULA = 4_000

_ANGLED = re.compile(
    r"<(?:((?:https?://|mailto:|tel:)[^<>\s|]+)(?:\|([^<>\n]*))?"
    r"|([\w.!#$%&'*+/=?^`{|}~-]+@[\w.-]+\.\w+))>"
)
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff"  # Thai, Lao, Burmese, jamo, Khmer
    "\u2e80-\u303f\u3040-\u30ff\u3130-\u318f\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef"
    "\U0001b000-\U0001b2ff\U00020000-\U0003ffff]"
)
_SENTENCE_ENDS = (*'.!?:;,)。！？：；，）।؟…"”」', "**", "__")
_DISPLAY = {"\\[": "\\]", "$$": "$$"}
_DOLLARS = re.compile(r"\$(?=[^\s$])([^$\n]*[^\s$\\])\$(?!\d)")
_LOOKS_LIKE_A_FORMULA = re.compile(r"[\\^_={}<>+*/|]|\A[A-Za-z]'?\Z")
_MARKDOWN_INFO = ("markdown", "md", "mdx")


def parser() -> MarkdownIt:
    """The parser of printable Markdown. Each block's first token has a ``map``: its lines.

    After a parse, ``env["open"]`` closes what is still open at the end of the last text; a fence
    that is not closed has what closes it in ``meta["open"]``.
    """
    markdown = _Parser("commonmark", {"html": True, "maxNesting": MAX_NESTING})
    markdown.inline = _InlineParser()
    markdown.enable(["table", "strikethrough"])
    markdown.disable(["code", "reference", "html_block", "lheading"])
    block, inline = markdown.block.ruler, markdown.inline.ruler
    block.at("fence", _fence, {"alt": ["paragraph", "reference", "blockquote", "list"]})
    block.at("table", _table, {"alt": ["paragraph", "reference"]})
    block.at("blockquote", _quote, {"alt": ["paragraph", "reference", "blockquote", "list"]})
    block.before("fence", "formula_block", _formula_block, {"alt": ["paragraph", "blockquote"]})
    block.before("paragraph", "underlined", _underlined)
    block.before("paragraph", "end_of_table", _end_of_table, {"alt": ["blockquote"]})
    inline.before("escape", "formula", _formula)
    inline.before("escape", "backslash", _backslash)
    inline.at("autolink", _angled_address)
    inline.before("emphasis", "address", _address)
    markdown.inline.ruler2.before("fragments_join", "unclosed", _note_unclosed)
    return markdown


class _Parser(MarkdownIt):
    """An address stays as it was written, byte for byte."""

    def normalizeLink(self, url: str) -> str:  # noqa: N802
        return url

    def normalizeLinkText(self, link: str) -> str:  # noqa: N802
        return link


class _InlineState(StateInline):
    """Flanking as CommonMark has it, but letters of an unspaced script count as a space does."""

    def scanDelims(self, start: int, canSplitWord: bool) -> Scanned:  # noqa: N802, N803
        found = super().scanDelims(start, canSplitWord)
        end = start + found.length
        before = self.src[start - 1] if start else " "
        after = self.src[end] if end < self.posMax else " "
        is_unspaced = bool(_UNSPACED.match(before) or _UNSPACED.match(after))
        if not canSplitWord:
            splits = is_unspaced and found.length > 1  # __bold__ in a script without spaces
            return self.scanDelims(start, True) if splits else found
        if found.length > 1 and _ends_a_phrase(before, after):
            return Scanned(found.can_open, True, found.length)
        if not is_unspaced:
            return found
        can_open = found.can_open or (
            not _is_space(after) and (not _is_mark(after) or _UNSPACED.match(before) is not None)
        )
        can_close = found.can_close or (
            not _is_space(before) and (not _is_mark(before) or _UNSPACED.match(after) is not None)
        )
        return Scanned(can_open, can_close, found.length)


class _InlineParser(ParserInline):
    def parse(self, src: str, md: MarkdownIt, env: EnvType, tokens: list[Token]) -> list[Token]:
        state = _InlineState(src, md, env, tokens)
        self.tokenize(state)
        for rule in self.ruler2.getRules(""):
            rule(state)
        return state.tokens


def _ends_a_phrase(last: str, after: str) -> bool:
    """``f(x)**2`` is a power, and no end of anything."""
    if last in ")]":
        return not after.isascii()
    if last.isascii():
        return last in ".,:;!?%\"'"
    return category(last) in ("Po", "Pf", "Pe", "So")


def _is_space(character: str) -> bool:
    return isWhiteSpace(ord(character)) or character == "\n"


def _is_mark(character: str) -> bool:
    return isMdAsciiPunct(ord(character)) or isPunctChar(character)


def _address(state: StateInline, silent: bool) -> bool:
    """``https://…``: found at its colon, since letters are taken in runs."""
    if state.linkLevel or not state.src.startswith("://", state.pos):
        return False
    scheme = scheme_before(state.pending)
    start = state.pos - len(scheme)
    end = end_of_address(state.src[: state.posMax], start)
    if not scheme or end <= state.pos + 3:
        return False
    if not silent:
        state.pending = state.pending[: -len(scheme)]
        _push_link(state, state.src[start:end], state.src[start:end])
    state.pos = end
    return True


def _backslash(state: StateInline, silent: bool) -> bool:
    """A backslash that escapes nothing stands alone: what follows may begin an address."""
    behind = state.src[state.pos + 1 : state.pos + 2]
    if state.src[state.pos] != "\\" or not behind.isalnum():
        return False
    if not silent:
        state.pending += "\\"
    state.pos += 1
    return True


def _angled_address(state: StateInline, silent: bool) -> bool:
    """``<https://…>``, ``<https://…|label>`` as in Slack, and ``<mail@…>``.

    No other scheme: ``<std::string>`` is none.
    """
    match = _ANGLED.match(state.src, state.pos, state.posMax)
    if match is None:
        return False
    if not silent:
        address, label, mail = match.groups()
        url = address or f"mailto:{mail}"
        _push_link(state, url, (label or "").strip() or address or mail)
    state.pos = match.end()
    return True


def _push_link(state: StateInline, url: str, label: str) -> None:
    state.push("link_open", "a", 1).attrs = {"href": url}
    state.push("text", "", 0).content = label
    state.push("link_close", "a", -1)


def _formula(state: StateInline, silent: bool) -> bool:
    if state.src[state.pos] not in "\\$":
        return False
    found = _inline_formula(state.src[state.pos : min(state.posMax, state.pos + _MAX_FORMULA)])
    if found is None:
        return False
    latex, length, is_block = found
    if not silent:
        token = state.push("formula", "", 0)
        token.content, token.block = latex, is_block
    state.pos += length
    return True


def _inline_formula(text: str) -> tuple[str, int, bool] | None:
    r"""``\(…\)``, ``\[…\]``, ``$$…$$``, or ``$…$`` that does not look like money."""
    for opening, closing in (("\\(", "\\)"), *_DISPLAY.items()):
        if text.startswith(opening):
            end = text.find(closing, 2)
            latex = text[2:end].strip()
            if end < 0 or not latex:
                return None
            return latex, end + 2, opening != "\\("
    match = _DOLLARS.match(text)
    if match is None or not _LOOKS_LIKE_A_FORMULA.search(match[1]):
        return None
    return match[1], match.end(), False


def _note_unclosed(state: StateInline) -> None:
    """Openers without a partner; a code span that has begun holds all that follows."""
    texts = [(n, token.content) for n, token in enumerate(state.tokens) if token.type == "text"]
    runs = [(n, run) for n, text in texts for run in re.findall("`+(?=[^`])", text)]
    code_at, code = runs[0] if len(runs) == 1 else (len(state.tokens), "")
    code = code if len(code) < 3 else ""
    marks = [
        chr(each.marker) * (2 if each.marker == ord("~") else 1)
        for each in state.delimiters
        if each.open and not each.close and each.token < code_at
        if state.tokens[each.token].type == "text" and state.tokens[each.token].content
    ]
    state.env["open"] = code + "".join(reversed(marks))


def _formula_block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    r"""``$$`` or ``\[`` that begins a line, up to the line that ends with its partner."""
    first = _line(state, start)
    closing = _DISPLAY.get(first[:2])
    if closing is None or closing in first[2:]:
        return False
    for line in range(start + 1, end):
        if state.sCount[line] < state.blkIndent and not state.isEmpty(line):
            return False
        if _line(state, line).rstrip().endswith(closing):
            break
    else:
        return False
    if not silent:
        content = state.getLines(start, line + 1, state.blkIndent, False).strip()
        token = state.push("formula_block", "", 0)
        token.content, token.map = content[2:-2].strip(), [start, line + 1]
        state.line = line + 1
    return True


def _underlined(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """A heading of one line, with ``===`` or ``---`` under it."""
    if silent or start + 1 >= end or state.sCount[start + 1] < state.blkIndent:
        return False
    text, under = _line(state, start).strip(), _line(state, start + 1).rstrip()
    if len(under) < 3 or set(under) not in ({"="}, {"-"}):
        return False
    if under[0] == "-" and text.endswith(_SENTENCE_ENDS):
        return False
    tag = "h1" if under[0] == "=" else "h2"
    state.line = start + 2
    state.push("heading_open", tag, 1).map = [start, state.line]
    token = state.push("inline", "", 0)
    token.content, token.map, token.children = text, [start, start + 1], []
    state.push("heading_close", tag, -1)
    return True


def _table(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """A table at the margin ends the paragraph of an item."""
    indent = state.blkIndent
    if silent and 0 <= state.sCount[start] < indent:
        state.blkIndent = 0
    try:
        return table(state, start, end, silent)
    finally:
        state.blkIndent = indent


def _end_of_table(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    return silent and state.parentType == "table" and "|" not in _line(state, start)


def _quote(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """``>>>`` is the prompt of a shell that somebody shows, and three quotes to nobody."""
    return not _line(state, start).startswith(">>>") and blockquote(state, start, end, silent)


def _fence(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    opening = re.match(r"(`{3,}|~{3,})(.*)", _line(state, start))
    if opening is None or (opening[1][0] == "`" and "`" in opening[2]):
        return False
    if silent:
        return True
    mark, info = opening[1], opening[2].strip()
    last, is_closed = _end_of_fence(state, start, end, mark, info)
    token = state.push("fence", "code", 0)
    token.info, token.markup = info, mark
    content = state.getLines(start + 1, last, state.sCount[start], False)
    token.content = f"{content}\n" if last > start + 1 else ""  # there may be no last line end
    if not is_closed:
        token.meta = {"open": " " * state.blkIndent + mark}
    state.line = last + is_closed
    token.map = [start, state.line]
    return True


def nests(info: str) -> bool:
    """Whether a fence of this language may hold others."""
    return info.strip().lower() in _MARKDOWN_INFO


def _end_of_fence(
    state: StateBlock, start: int, end: int, mark: str, info: str
) -> tuple[int, bool]:
    """The line of its closing mark, or the one at which it ends without."""
    depth, may_nest = 0, nests(info)
    for number in range(start + 1, end):
        line = _line(state, number)
        run = len(line) - len(line.lstrip(mark[0]))
        is_mark = run >= len(mark)
        is_closing = is_mark and not line[run:].strip()
        if state.sCount[number] < state.blkIndent and line:
            return number, is_closing and state.sCount[number] >= 0
        if is_closing and not depth:
            return number, True
        depth += may_nest and is_mark and not is_closing
        depth -= is_closing
    return end, False


def _line(state: StateBlock, number: int) -> str:
    return state.src[state.bMarks[number] + state.tShift[number] : state.eMarks[number]]

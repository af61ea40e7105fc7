"""A formula in LaTeX -> plain text that a person reads without ambiguity (pure).

What is no LaTeX, or longer than anybody writes, stays as it was written, and so does a macro
that nobody knows, with its arguments: no word of a formula is ever lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from bot.formulas import latex
from bot.formulas.latex import BrokenLatexError, Node
from bot.formulas.macros import MACROS
from bot.formulas.pieces import (
    NEWLINE,
    ROW,
    SPACE,
    WIDE_SPACE,
    FormulaPiece,
    PieceKind,
    joined,
    scripted,
    whole,
)

_MAX_SIZE = 4_000
_TOKEN = re.compile(r"\s+|\d+|.", re.DOTALL)
_LENGTH = re.compile(r"[-+]?[\d.]+ *(?:pt|em|ex|mu|cm|mm|in|\\\w+)")
_SPACES = {",": SPACE, ":": SPACE, ";": SPACE, " ": SPACE, "\n": SPACE, ">": SPACE,
           "thinspace": SPACE, "enspace": SPACE, "space": SPACE, "nobreakspace": SPACE,
           "quad": WIDE_SPACE, "qquad": WIDE_SPACE}  # fmt: skip
_NOTHING = (
    "! negthinspace displaystyle textstyle scriptstyle scriptscriptstyle limits nolimits nonumber "
    "notag hline allowbreak nobreak rm bf it cal sf tt mathstrut strut centering relax / "
    "boldmath normalsize small large Large"
)
_NO_BASES = (PieceKind.SPACE, PieceKind.ROW, PieceKind.OPEN)
_INFIX = ("over", "choose", "atop")
_PREFIXES = "∂∇∀∃∄¬ΔδΣ△∠"
_BIG = "∑∏∐∫∬∭∮⨌∯∰⋃⋂⋁⋀⨆⨀⨄"
_OPENING, _CLOSING = "([{⟨⌊⌈", ")]}⟩⌋⌉"
_OPENS = ("left", "bigl", "Bigl", "biggl", "Biggl", "lvert", "lVert")
_ANY_SIDE = ("middle", "big", "Big", "bigg", "Bigg", "bigm", "Bigm")
_CLOSES = ("right", "bigr", "Bigr", "biggr", "Biggr", "rvert", "rVert")

_LINES = ("aligned align align* alignedat alignat alignat* gather gather* gathered split eqnarray "
          "eqnarray* multline multline* equation equation* flalign flalign* math displaymath "
          "IEEEeqnarray IEEEeqnarray* subequations dmath dmath*")  # fmt: skip
_BRACKETS = {"pmatrix": "()", "bmatrix": "[]", "Bmatrix": "{}", "vmatrix": "||", "Vmatrix": "‖‖",
             "matrix": "[]", "smallmatrix": "[]", "array": "[]", "tabular": "[]", "cases": "{}",
             "dcases": "{}", "rcases": "{}", "psmallmatrix": "()", "bsmallmatrix": "[]",
             }  # fmt: skip
_BARE = ("matrix", "smallmatrix", "array", "tabular")
_ENVIRONMENTS = (
    dict.fromkeys((*_LINES.split(), *_BRACKETS), "")
    | dict.fromkeys(("array", "tabular"), "[{")
    | dict.fromkeys(("alignedat", "alignat", "alignat*"), "{")
)
_ARGUMENTS = (
    {name: macro.arguments for name, macro in MACROS.items()}
    | dict.fromkeys((*_OPENS, *_CLOSES, *_ANY_SIDE), "{")
    | dict.fromkeys(("lvert", "lVert", "rvert", "rVert"), "")
    | {"\\": "["}
)
_TEXTS = frozenset(name for name, macro in MACROS.items() if macro.is_text)


@lru_cache(maxsize=256)
def readable(source: str, *, on_one_line: bool = False) -> str:
    """The formula, without its delimiters, as plain text; ``source`` where it is broken."""
    kept = " ".join(source.split()) if on_one_line else source
    if len(source) > _MAX_SIZE:
        return kept
    try:
        nodes = latex.parsed(source, _ARGUMENTS, _TEXTS, _ENVIRONMENTS)
        return joined(_pieces(nodes), on_one_line=on_one_line)
    except (BrokenLatexError, RecursionError):
        return kept


def _pieces(nodes: Sequence[Node]) -> list[FormulaPiece]:
    for position, node in enumerate(nodes):
        if latex.kind(node) == "LatexMacroNode" and node.macroname in _INFIX:
            above, below = _group(nodes[:position]), _group(nodes[position + 1 :])
            name = "frac" if node.macroname == "over" else "binom"
            return [MACROS[name].read(above, below)]
    return _Reader(nodes).read()


def _group(nodes: Sequence[Node]) -> FormulaPiece:
    return whole(_pieces(nodes))


def _text(nodes: Sequence[Node]) -> str:
    """What stands in text: white space and signs as they are, with formulas in it."""
    return "".join(
        node.chars if latex.kind(node) == "LatexCharsNode"
        else _text(node.nodelist) if latex.kind(node) == "LatexGroupNode"
        else joined(_pieces([node]), on_one_line=True) or " "
        for node in nodes
    )  # fmt: skip


class _Reader:
    """One pass over the nodes of a group."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._items = [item for node in nodes for item in _items(node)]
        self._at = 0
        self._pieces: list[FormulaPiece] = []
        self._left: list[str] = []

    def read(self) -> list[FormulaPiece]:
        while self._at < len(self._items):
            item = self._items[self._at]
            if _is_one_of("^_", item):
                self._scripts()
            else:
                self._at += 1
                self._pieces += self._one(item)
        return self._pieces

    def _one(self, item: str | Node) -> list[FormulaPiece]:
        if isinstance(item, str):
            return self._token(item)
        match latex.kind(item):
            case "LatexGroupNode":
                return [_group(item.nodelist)]
            case "LatexMacroNode":
                return self._macro(item)
            case "LatexEnvironmentNode":
                return self._environment(item)
            case "LatexMathNode":
                return _pieces(item.nodelist)
            case _:
                return [SPACE] if item.specials_chars == "~" else []

    def _token(self, sign: str) -> list[FormulaPiece]:
        if sign.isspace():
            if _is_one_of("^_", self._peek()):
                return []
            return [NEWLINE if "\n" in sign else SPACE]
        if sign in "!'′" and self._pieces and self._pieces[-1].is_atom:
            last = self._pieces.pop()
            return [FormulaPiece(last.text + sign, last.kind, is_atom=True)]
        return [_symbol(sign)]

    def _scripts(self) -> None:
        """A subscript and a superscript in either order, on the piece before them."""
        has_base = bool(self._pieces) and self._pieces[-1].kind not in _NO_BASES
        base = self._pieces.pop() if has_base else None
        found: dict[str, FormulaPiece] = {}
        while _is_one_of("^_", self._peek()):
            sign = self._items[self._at]
            if sign in found:
                raise BrokenLatexError
            self._at += 1
            found[sign] = self._script()
        self._pieces.append(scripted(base, found.get("_"), found.get("^")))
        if _ends_with_space(self._items[self._at - 1]):
            self._pieces.append(SPACE)

    def _script(self) -> FormulaPiece:
        """What a script applies to: as TeX has it, but numbers are whole and have signs."""
        self._skip_space()
        item = self._peek()
        if item is None or _is_one_of("^_", item):
            raise BrokenLatexError
        self._at += 1
        if _is_one_of("+-−", item) and (number := self._peek_number()):
            self._at += 1
            return FormulaPiece(item + number)
        return _symbol(item) if isinstance(item, str) else whole(self._one(item))

    def _peek(self) -> str | Node | None:
        return self._items[self._at] if self._at < len(self._items) else None

    def _peek_number(self) -> str:
        item = self._peek()
        return item if isinstance(item, str) and item.isdecimal() else ""

    def _skip_space(self) -> None:
        while isinstance(item := self._peek(), str) and item.isspace():
            self._at += 1

    def _macro(self, node: Node) -> list[FormulaPiece]:
        name = node.macroname
        if node.nodeargd is None and _ARGUMENTS.get(name):
            raise BrokenLatexError
        if name == "\\":
            return self._end_of_row(node)
        if name in _SPACES:
            return [_SPACES[name]]
        if name == "colon":
            return [FormulaPiece(":"), SPACE]
        if name in _NOTHING.split():
            return []
        if name in MACROS:
            return [*_apart(_applied(node)), *self._space_behind(node)]
        if name in _OPENS or name in _CLOSES:
            return [self._delimiter(node)]
        if name in _ANY_SIDE:
            return [_argument(node, 0)]
        if (known := _named(name)) is not None:
            return [known, *self._space_after(node, known)]
        return [FormulaPiece(self._source(node))]

    def _source(self, node: Node) -> str:
        """A macro that nobody knows, with what could be its arguments."""
        parts = [f"\\{node.macroname}"]
        while latex.kind(item := self._peek()) == "LatexGroupNode":
            parts.append(latex.source(item))
            self._at += 1
        return "".join(parts) + (node.macro_post_space if len(parts) == 1 else "")

    def _space_behind(self, node: Node) -> list[FormulaPiece]:
        """The space that ended the name of its last argument, a macro."""
        last = node.nodeargd.argnlist[-1]
        if latex.kind(last) != "LatexMacroNode":
            return []
        return self._space_after(last, _argument(node, -1))

    def _space_after(self, node: Node, piece: FormulaPiece) -> list[FormulaPiece]:
        """A space that only ends the macro's name is none, if there is none before it either."""
        if not node.macro_post_space:
            return []
        following = self._peek()
        is_letter = isinstance(following, str) and following.isalnum()
        is_symbol = _is_letter(following)
        if self._pieces:
            is_apart = self._pieces[-1].kind in (PieceKind.SPACE, PieceKind.ROW)
        else:
            is_apart = _is_operator(piece) and piece.text not in ("±", "∓")
        if piece.text in tuple(_PREFIXES) and (is_letter or is_symbol):
            return []
        is_needed = is_apart or _is_one_of("+-=<>", following)
        return [SPACE] if is_needed or not (is_letter or _is_operator(piece)) else []

    def _end_of_row(self, node: Node) -> list[FormulaPiece]:
        argument = node.nodeargd.argnlist[0]
        if argument is None or _LENGTH.fullmatch(latex.source(argument)[1:-1].strip()):
            return [ROW]
        return [
            ROW,
            FormulaPiece("[", PieceKind.OPEN),
            _group(argument.nodelist),
            FormulaPiece("]", PieceKind.CLOSE),
        ]

    def _delimiter(self, node: Node) -> FormulaPiece:
        if not node.nodeargd.argnlist:
            return FormulaPiece(latex.symbols()[node.macroname], _side(node.macroname))
        text = _argument(node, 0).text
        if node.macroname == "left":
            self._left.append(text)
        elif node.macroname == "right":
            left = self._left.pop() if self._left else ""
            text = "}" if (left, text) == ("{", ".") else text
        return FormulaPiece("" if text == "." else text, _side(node.macroname))

    def _environment(self, node: Node) -> list[FormulaPiece]:
        name = node.environmentname
        if name in _LINES.split():
            rows = [[piece for cell in row for piece in cell] for row in _rows(node.nodelist)]
            lines = [piece for row in rows for piece in (ROW, *row)]
            return [*lines, ROW]
        if name in _BRACKETS:
            solid = [piece for piece in self._pieces if piece.kind is not PieceKind.SPACE]
            is_open = bool(solid) and solid[-1].kind is PieceKind.OPEN
            cells, brackets = _matrix(node.nodelist), _BRACKETS[name]
            if is_open and name in _BARE:
                return [FormulaPiece(cells)]
            return [FormulaPiece(f"{brackets[0]}{cells}{brackets[1]}", is_atom=True)]
        return [FormulaPiece(latex.source(node))]


def _is_one_of(characters: str, item: str | Node | None) -> bool:
    """pylatexenc's nodes cannot be compared with text."""
    return isinstance(item, str) and item in characters


def _items(node: Node) -> Iterator[str | Node]:
    if latex.kind(node) == "LatexCharsNode":
        yield from _TOKEN.findall(node.chars)
    else:
        yield node


def _symbol(text: str) -> FormulaPiece:
    if text in tuple(_OPENING):
        return FormulaPiece(text, PieceKind.OPEN)
    if text in tuple(_CLOSING):
        return FormulaPiece(text, PieceKind.CLOSE)
    if text in tuple(_BIG):
        return FormulaPiece(text, PieceKind.BIG)
    return FormulaPiece(text, is_atom=text.isalnum() or text == "∞")


def _named(name: str) -> FormulaPiece | None:
    """What a macro without arguments stands for."""
    if name in latex.LIMITS:
        return FormulaPiece(latex.LIMITS[name], PieceKind.BIG)
    if name in latex.words():
        return FormulaPiece(latex.words()[name], PieceKind.WORD)
    text = latex.symbols().get(name)
    return None if text is None else _symbol(text)


def _ends_with_space(item: str | Node) -> bool:
    """A space ends the name of a macro without arguments."""
    if isinstance(item, str) or latex.kind(item) != "LatexMacroNode":
        return False
    return bool(item.macro_post_space) and not (item.nodeargd and item.nodeargd.argnlist)


def _is_letter(item: str | Node | None) -> bool:
    """A macro that stands for a letter, or puts something on one."""
    if item is None or isinstance(item, str) or latex.kind(item) != "LatexMacroNode":
        return False
    return item.macroname in MACROS or latex.symbols().get(item.macroname, "").isalpha()


def _is_operator(piece: FormulaPiece) -> bool:
    return piece.kind is PieceKind.TERM and not piece.is_atom


def _side(name: str) -> PieceKind:
    return PieceKind.OPEN if name in _OPENS else PieceKind.CLOSE


def _applied(node: Node) -> FormulaPiece:
    macro = MACROS[node.macroname]
    if macro.is_text:
        texts = [_text([argument]) if argument else "" for argument in node.nodeargd.argnlist]
        return macro.read(*(FormulaPiece(re.sub(r"\s+", " ", text)) for text in texts))
    return macro.read(*(_argument(node, index) for index in range(len(macro.arguments))))


def _argument(node: Node, index: int) -> FormulaPiece:
    argument = node.nodeargd.argnlist[index]
    if argument is None:
        return FormulaPiece("")
    return _group(argument.nodelist if latex.kind(argument) == "LatexGroupNode" else [argument])


def _apart(piece: FormulaPiece) -> Iterator[FormulaPiece]:
    """White space at a text's edges becomes pieces of its own."""
    if piece.kind is not PieceKind.TEXT:
        yield piece
        return
    text = piece.text
    if text[:1] == " ":
        yield SPACE
    if text.strip():
        yield FormulaPiece(text.strip(), PieceKind.TEXT, is_atom=" " not in text.strip())
        if text[-1] == " ":
            yield SPACE


def _rows(nodes: Sequence[Node]) -> list[list[list[FormulaPiece]]]:
    """The cells of each row; rows without any are left out."""
    rows: list[list[list[Node]]] = [[[]]]
    for node in nodes:
        if latex.kind(node) == "LatexMacroNode" and node.macroname == "\\":
            rows.append([[]])
        elif latex.kind(node) == "LatexSpecialsNode" and node.specials_chars == "&":
            rows[-1].append([])
        else:
            rows[-1][-1].append(node)
    return [[_pieces(cell) for cell in row] for row in rows if any(map(len, row))]


def _matrix(nodes: Sequence[Node]) -> str:
    """``a b; c d``, with commas where a space alone would not tell the cells apart."""
    rows = [[joined(cell, on_one_line=True) for cell in row] for row in _rows(nodes)]
    rows = [[cell.removesuffix(",") for cell in row] for row in rows if any(row)]
    cells = [cell for row in rows for cell in row]
    is_plain = all(re.fullmatch(r"[\w.]+", cell) for cell in cells)
    return "; ".join((" " if is_plain else ", ").join(row) for row in rows)

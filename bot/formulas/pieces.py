"""The pieces of a formula in plain text, and how they stand side by side unambiguously (pure)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

from bot.formulas.scripts import SCRIPTS, subscript, superscript

_OPENING, _CLOSING = "([{⟨⌊⌈", ")]}⟩⌋⌉"
_FACTOR_SIGNS = "√∛∜∑∏∐∫∬∭∮∂∇∞"
_BESIDE_OPERATOR = re.compile(r" *([^\w\s(){}\[\]|]) *")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")
_DIFFERENTIAL = re.compile(r"[d∂δΔ]\w['′]*")
_CALL = re.compile(r"\w['′]*\([\w\s,;|.'′]*\)")


class PieceKind(Enum):
    TERM = auto()
    TEXT = auto()
    SPACE = auto()
    ROW = auto()
    """The end of a line."""
    WORD = auto()
    """The name of a function or a unit, which touches no letter."""
    BIG = auto()
    """A sum, an integral, a limit; its scripts belong to it and not to what follows."""
    FRACTION = auto()
    OPEN = auto()
    CLOSE = auto()


@dataclass(frozen=True, slots=True)
class FormulaPiece:
    """``closed`` is how it is written beside a factor, and ``base`` under a script.

    ``is_atom``: it needs no brackets below a fraction's bar.
    """

    text: str
    kind: PieceKind = PieceKind.TERM
    closed: str = ""
    base: str = ""
    is_atom: bool = False


SPACE = FormulaPiece(" ", PieceKind.SPACE)
WIDE_SPACE = FormulaPiece("  ", PieceKind.SPACE)
NEWLINE = FormulaPiece("\n", PieceKind.SPACE)
ROW = FormulaPiece("\n", PieceKind.ROW)


def joined(pieces: Sequence[FormulaPiece], *, on_one_line: bool = False) -> str:
    """The text of all pieces, each in the form that its neighbours ask for."""
    out: list[str] = []
    placed = list(_with_gaps(pieces, on_one_line))
    for index, (gap, piece) in enumerate(placed):
        before = placed[index - 1][1] if index else None
        following = placed[index + 1] if index + 1 < len(placed) else None
        text = piece.text
        if before and _makes_mixed_number(before, gap, piece):
            gap = " "
        elif piece.closed and _stands_beside_a_factor(before, gap, piece, following):
            text = piece.closed
        if before and not gap and _must_part(before, piece.kind, text):
            gap = " "
        out += (gap, text)
    return unicodedata.normalize("NFC", "".join(out))


def whole(pieces: Sequence[FormulaPiece]) -> FormulaPiece:
    """All pieces as one, on one line: what braces hold."""
    solid = [piece for piece in pieces if piece.kind not in (PieceKind.SPACE, PieceKind.ROW)]
    if len(solid) == 1:
        return solid[0]
    text = joined(pieces, on_one_line=True)
    if not text:
        return FormulaPiece("")
    return FormulaPiece(
        text, base=text if _is_single(text) else f"({text})", is_atom=_is_single(text)
    )


def fraction(above: FormulaPiece, below: FormulaPiece) -> FormulaPiece:
    product = _without_spaces(above.text)
    over = product if _is_product(product) else f"({above.text})"
    is_plain = below.is_atom or _is_single(below.text)
    under = below.text if is_plain and below.text else f"({below.text})"
    text = f"{over}/{under}"
    return FormulaPiece(text, PieceKind.FRACTION, closed=f"({text})", base=f"({text})")


def root(index: FormulaPiece | None, radicand: FormulaPiece) -> FormulaPiece:
    sign = {"": "√", "2": "√", "3": "∛", "4": "∜"}.get(index.text if index else "")
    if sign is None and index:
        raised = superscript(index.text)
        sign = f"{raised}√" if raised else f"√[{index.text}]"
    text = radicand.text
    if radicand.is_atom and not _ends_raised(text) and not _is_enclosed(text):
        return FormulaPiece(f"{sign}{text}", closed=f"({sign}{text})", base=f"({sign}{text})")
    written = f"{sign}{text}" if _is_enclosed(text) else f"{sign}({text})"
    return FormulaPiece(written, base=f"({written})")


def scripted(
    base: FormulaPiece | None, below: FormulaPiece | None, above: FormulaPiece | None
) -> FormulaPiece:
    """``base`` with a subscript and a superscript, as characters where there are such."""
    start = (base.base or base.text) if base else ""
    lower, lower_closed = _script("_", below)
    upper, upper_closed = _script("^", above)
    if not start:
        return FormulaPiece(f"{upper_closed}{lower_closed}")
    text = f"{start}{lower_closed if upper else lower}{upper}"
    closed = f"{start}{lower_closed}{upper_closed}"
    if base and base.kind in (PieceKind.BIG, PieceKind.WORD, PieceKind.CLOSE):
        return FormulaPiece(
            text, base.kind, "" if base.kind is not PieceKind.CLOSE else closed, closed
        )
    return FormulaPiece(text, PieceKind.TERM, closed, closed, bool(base and base.is_atom))


def with_mark(mark: str, name: str, piece: FormulaPiece) -> FormulaPiece:
    """A hat, an arrow or a bar over every letter; over more than letters it is written out."""
    if not re.fullmatch(r"\w[\w']*", piece.text):
        return FormulaPiece(f"{name}({piece.text})", is_atom=True)
    marked = "".join(letter + mark for letter in unicodedata.normalize("NFD", piece.text))
    return replace(piece, text=unicodedata.normalize("NFC", marked), closed="", base="")


def _with_gaps(
    pieces: Sequence[FormulaPiece], on_one_line: bool
) -> Iterator[tuple[str, FormulaPiece]]:
    """Each piece that is no space, with the space before it; none at the edges of brackets."""
    spaces: list[FormulaPiece] = []
    before: FormulaPiece | None = None
    for piece in pieces:
        if piece.kind in (PieceKind.SPACE, PieceKind.ROW):
            spaces.append(piece)
        elif piece.text:
            gap = _gap(spaces, on_one_line) if before else ""
            touches = (before and before.kind is PieceKind.OPEN) or piece.kind is PieceKind.CLOSE
            yield "" if touches and gap.isspace() else gap, piece
            before, spaces = piece, []


def _gap(spaces: Sequence[FormulaPiece], on_one_line: bool) -> str:
    if any(space.kind is PieceKind.ROW for space in spaces):
        return "; " if on_one_line else "\n"
    if NEWLINE in spaces and not on_one_line:
        return "\n"
    return max((" " if space is NEWLINE else space.text for space in spaces), key=len, default="")


def _stands_beside_a_factor(
    before: FormulaPiece | None,
    gap: str,
    piece: FormulaPiece,
    following: tuple[str, FormulaPiece] | None,
) -> bool:
    near = ("", " ") if piece.kind is PieceKind.FRACTION else ("",)
    if following and following[0] in near and _begins_factor(*following):
        return True
    if piece.kind is not PieceKind.FRACTION or before is None or gap not in near:
        return False
    return _ends_factor(before, gap)


def _begins_factor(gap: str, piece: FormulaPiece) -> bool:
    if gap and piece.kind is PieceKind.TEXT:
        return False
    if piece.text == ":":
        return bool(gap)
    first = piece.text[0]
    return (
        piece.kind is PieceKind.OPEN or first.isalnum() or first in f"{_OPENING}{_FACTOR_SIGNS}/÷!"
    )


def _ends_factor(piece: FormulaPiece, gap: str) -> bool:
    if piece.kind is PieceKind.BIG or (gap and piece.kind is PieceKind.TEXT):
        return False
    if piece.text == ":":
        return bool(gap)
    last = piece.text[-1]
    is_mark = unicodedata.category(last) == "Mn" or last in SCRIPTS
    return piece.kind is PieceKind.CLOSE or last.isalnum() or is_mark or last in f"{_CLOSING}!'∞%/÷"


def _makes_mixed_number(before: FormulaPiece, gap: str, piece: FormulaPiece) -> bool:
    """Three and a half."""
    is_numeric = re.fullmatch(r"\d+/\d+", piece.text) and before.text.isdecimal()
    return bool(piece.kind is PieceKind.FRACTION and gap in ("", " ") and is_numeric)


def _must_part(before: FormulaPiece, kind: PieceKind, text: str) -> bool:
    is_big_with_scripts = before.kind is PieceKind.BIG and len(before.text) > 1
    if is_big_with_scripts or before.kind is PieceKind.WORD:
        opens = kind is PieceKind.OPEN or text[0] in _OPENING
        begins = text[0].isalnum() or text[0] in _FACTOR_SIGNS
        return (begins and not opens) or (opens and is_big_with_scripts)
    is_word = kind is PieceKind.WORD or (kind is PieceKind.BIG and text[0].isalpha())
    return is_word and _ends_factor(before, "") and before.text[-1] not in "/÷"


def _script(sign: str, piece: FormulaPiece | None) -> tuple[str, str]:
    """How it is written where nothing follows, and where something does."""
    if piece is None or not piece.text:
        return "", ""
    text = _BESIDE_OPERATOR.sub(r"\1", piece.text)
    found = superscript(text) if sign == "^" else subscript(text)
    if found is not None:
        return found, found
    inner = text[1:-1] if _is_enclosed(text) else text
    closed = f"{sign}({inner})"
    is_word = piece.is_atom or text.isascii() if sign == "_" else piece.is_atom
    is_plain = len(text) == 1 or (is_word and text.isalnum() and not set(text) & SCRIPTS)
    return (f"{sign}{text}" if is_plain else closed), closed


def _without_spaces(text: str) -> str:
    """Factors that are letters and numbers, one behind the other."""
    factors = text.split(" ")
    are_factors = all(factor[:1].isalnum() and _is_single(factor) for factor in factors)
    return "".join(factors) if are_factors else text


def _is_product(text: str) -> bool:
    """It needs no brackets above a fraction's bar."""
    depth = 0
    for position, character in enumerate(text):
        depth += (character in _OPENING) - (character in _CLOSING)
        is_inside = depth > 0 or character in _CLOSING
        is_plain = character.isalnum() or character in SCRIPTS or character in "!'∞√∛∜∂∇°."
        is_sign = position == 0 and character in "-−±∓"
        is_mark = unicodedata.category(character) in ("Mn", "Mc")
        if not (is_inside or is_plain or is_sign or is_mark):
            return False
    return bool(text) and depth == 0


def _is_single(text: str) -> bool:
    """It needs no brackets under a fraction's bar."""
    stem = text.rstrip("".join(SCRIPTS))
    return bool(
        _NUMBER.fullmatch(stem)
        or _DIFFERENTIAL.fullmatch(stem)
        or _CALL.fullmatch(stem)
        or _is_enclosed(stem)
        or (stem[:1] in ("√", "∛", "∜") and (len(stem) == 2 or _is_single(stem[1:])))
        or len(stem) == 1
    )


def _is_enclosed(text: str) -> bool:
    """One pair of brackets is around all of it."""
    depth = 0
    for position, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth <= 0:
            return position > 0 and position == len(text) - 1 and depth == 0
    return False


def _ends_raised(text: str) -> bool:
    """What stands at its end could be taken for the root's own."""
    return text[-1:] in tuple("!'′°)") or unicodedata.decomposition(text[-1:] or " ").startswith(
        "<super>"
    )

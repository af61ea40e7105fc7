"""The macros of LaTeX that have arguments, each with how it is read (pure)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace

from bot.formulas.latex import bold
from bot.formulas.pieces import FormulaPiece, PieceKind, fraction, root, scripted, with_mark
from bot.formulas.scripts import subscript, superscript

_ARROWS = {"<->": "↔", "<=>": "⇌", "->": "→", "<-": "←"}
_FORMULA = re.compile(
    r"(?P<arrow><->|<=>|->|<-)|\^\{?(?P<up>\d*[-+.]|\d+)\}?|_\{?(?P<down>\d+)\}?"
    r"|(?<=[A-Za-z)\]])(?P<count>\d+)(?P<charge>[-+](?=[\s)\]]|$))?"
    r"|(?<=[A-Za-z)\]])(?P<sign>[-+](?=[\s)\]]|$))"
)


@dataclass(frozen=True, slots=True)
class Macro:
    """``arguments``: ``{`` one that must be there, ``[`` one that may, which is empty if not.

    ``is_text``: they hold text and not mathematics.
    """

    arguments: str
    read: Callable[..., FormulaPiece]
    is_text: bool = False


def _same(piece: FormulaPiece) -> FormulaPiece:
    return piece


def _nothing(*pieces: FormulaPiece) -> FormulaPiece:
    return FormulaPiece("")


def _last(*pieces: FormulaPiece) -> FormulaPiece:
    return pieces[-1]


def _text(*pieces: FormulaPiece) -> FormulaPiece:
    text = pieces[-1].text
    return FormulaPiece(text, PieceKind.TEXT, is_atom=bool(text) and not re.search(r"\s", text))


def _upright(piece: FormulaPiece) -> FormulaPiece:
    if len(piece.text) > 1 and piece.text.isalpha():
        return FormulaPiece(piece.text, PieceKind.WORD, is_atom=True)
    return piece


def _styled(style: str) -> Callable[[FormulaPiece], FormulaPiece]:
    """A letter alone has the style, as a vector or a set has; a word stays one that is found."""

    def read(piece: FormulaPiece) -> FormulaPiece:
        if len(piece.text) != 1 or not piece.text.isalnum():
            return _upright(piece)
        return replace(piece, text=bold(piece.text, style), closed="", base="")

    return read


def _marked(mark: str, name: str) -> Callable[[FormulaPiece], FormulaPiece]:
    return lambda piece: with_mark(mark, name, piece)


def _struck(piece: FormulaPiece) -> FormulaPiece:
    text = "".join(letter + "\u0336" for letter in piece.text)
    return replace(piece, text=text, closed="", base=f"({text})" if len(piece.text) > 1 else "")


def _negated(piece: FormulaPiece) -> FormulaPiece:
    return FormulaPiece(unicodedata.normalize("NFC", piece.text[:1] + "\u0338") + piece.text[1:])


def _between(opening: str, closing: str) -> Callable[..., FormulaPiece]:
    return lambda *pieces: FormulaPiece(
        f"{opening}{'|'.join(piece.text for piece in pieces)}{closing}", is_atom=True
    )


def _operator(star: FormulaPiece, name: FormulaPiece) -> FormulaPiece:
    return FormulaPiece(name.text, PieceKind.BIG if star.text else PieceKind.WORD)


def _binomial(above: FormulaPiece, below: FormulaPiece) -> FormulaPiece:
    return FormulaPiece(f"C({above.text}, {below.text})", is_atom=True)


def _arrow(sign: str) -> Callable[[FormulaPiece, FormulaPiece], FormulaPiece]:
    def read(below: FormulaPiece, above: FormulaPiece) -> FormulaPiece:
        words = ", ".join(piece.text.strip() for piece in (above, below) if piece.text.strip())
        return FormulaPiece(f"—({words}){sign}" if words else sign)

    return read


def _boxed(piece: FormulaPiece) -> FormulaPiece:
    return piece if piece.is_atom or piece.base else replace(piece, base=f"({piece.text})")


def _quantity(number: FormulaPiece, unit: FormulaPiece) -> FormulaPiece:
    return FormulaPiece(f"{number.text} {_unit(unit).text}", PieceKind.WORD)


def _unit(piece: FormulaPiece) -> FormulaPiece:
    def raised(match: re.Match[str]) -> str:
        return superscript(match[1]) or match[0]

    text = re.sub(r"\^\{?(-?\d+)\}?", raised, piece.text)
    return FormulaPiece(text.replace(".", "·"), PieceKind.WORD, is_atom=text.isalpha())


def _chemistry(piece: FormulaPiece) -> FormulaPiece:
    """mhchem's short form: digits behind a letter are counts, a sign at the end is a charge."""

    def read(match: re.Match[str]) -> str:
        if match["arrow"]:
            return _ARROWS[match["arrow"]]
        up = match["up"] or match["charge"] or match["sign"] or ""
        down = match["down"] or match["count"] or ""
        return f"{subscript(down)}{superscript(up) or up}"

    return FormulaPiece(_FORMULA.sub(read, piece.text), PieceKind.TEXT, is_atom=True)


def _table() -> dict[str, Macro]:
    table: dict[str, Macro] = {}

    def add(
        names: str, arguments: str, read: Callable[..., FormulaPiece], is_text: bool = False
    ) -> None:
        table.update(dict.fromkeys(names.split(), Macro(arguments, read, is_text)))

    add("frac dfrac tfrac cfrac nicefrac sfrac flatfrac", "{{", fraction)
    add("sqrt", "[{", root)
    add("binom dbinom tbinom", "{{", _binomial)
    add("text textrm textit textbf textsf texttt textsc textup textmd textnormal emph mbox hbox "
        "intertext shortintertext textsl", "{", _text, is_text=True)  # fmt: skip
    add("textcolor colorbox", "[{{", _last)
    add("mathrm mathit mathsf mathtt mathnormal mathup symup", "{", _upright)
    for names, style in (
        ("mathbf boldsymbol bm pmb symbf", "bold"),
        ("mathbb Bbb", "doublestruck"),
        ("mathcal mathscr", "script"),
        ("mathfrak", "fraktur"),
    ):
        add(names, "{", _styled(style))
    for name, mark in (
        ("hat", "\u0302"), ("widehat", "\u0302"), ("tilde", "\u0303"), ("widetilde", "\u0303"),
        ("bar", "\u0304"), ("overline", "\u0305"), ("underline", "\u0332"), ("vec", "\u20d7"),
        ("overrightarrow", "\u20d7"), ("overleftarrow", "\u20d6"), ("dot", "\u0307"),
        ("ddot", "\u0308"), ("dddot", "\u20db"), ("check", "\u030c"), ("breve", "\u0306"),
        ("acute", "\u0301"), ("grave", "\u0300"), ("mathring", "\u030a"), ("widecheck", "\u030c"),
        ("overleftrightarrow", "\u20e1"), ("wideparen", "\u0311"), ("overarc", "\u0311"),
    ):  # fmt: skip
        add(name, "{", _marked(mark, name))
    add("cancel bcancel xcancel sout", "{", _struck)
    add("not", "{", _negated)
    add("operatorname", "*{", _operator)
    add("overset stackrel", "{{", lambda above, base: scripted(base, None, above))
    add("underset", "{{", lambda below, base: scripted(base, below, None))
    add("boxed fbox underbrace overbrace underbracket overbracket ensuremath mathop mathrel "
        "mathbin mathord mathopen mathclose mathpunct mathinner smash substack framebox",
        "{", _boxed)  # fmt: skip
    add("phantom hphantom vphantom label hspace vspace color mspace", "{", _nothing)
    add("tag tag*", "{", _between("(", ")"))
    add("pmod", "{", lambda piece: FormulaPiece(f"(mod {piece.text})", PieceKind.WORD))
    add("pod", "{", lambda piece: FormulaPiece(f"({piece.text})", PieceKind.WORD))
    add("xrightarrow", "[{", _arrow("→"))
    add("xleftarrow", "[{", _arrow("←"))
    add("xleftrightarrow xrightleftharpoons", "[{", _arrow("⇌"))
    add("abs", "{", _between("|", "|"))
    add("norm", "{", _between("‖", "‖"))
    add("floor", "{", _between("⌊", "⌋"))
    add("ceil", "{", _between("⌈", "⌉"))
    add("set", "{", _between("{", "}"))
    add("ket", "{", _between("|", "⟩"))
    add("bra", "{", _between("⟨", "|"))
    add("braket Braket", "{", _between("⟨", "⟩"))
    add("SI qty", "{{", _quantity, is_text=True)
    add("si unit", "{", _unit, is_text=True)
    add("num ang", "{", _same, is_text=True)
    add("ce", "{", _chemistry, is_text=True)
    return table


MACROS = _table()

"""A formula in LaTeX -> MathML (pure); what cannot be written so is plain text that reads well."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from contextlib import suppress
from functools import lru_cache
from html import unescape
from typing import Final
from xml.etree.ElementTree import Element

from latex2mathml.converter import convert_to_element

from adapters.web.markup.escaping import words
from bot.formulas.readable import readable

ELEMENTS: Final = frozenset(
    """
    math menclose mfrac mi mn mo mover mpadded mphantom mroot mrow mspace msqrt mstyle msub
    msubsup msup mtable mtd mtext mtr munder munderover
    """.split()  # noqa: SIM905
)
ATTRIBUTES: Final = frozenset(
    """
    accent columnalign columnlines columnspacing depth display displaystyle fence form height
    linethickness lspace mathvariant maxsize minsize movablelimits notation rowlines rowspacing
    rspace scriptlevel separator stretchy voffset width
    """.split()  # noqa: SIM905
)
"""Nothing here has an address, a colour, a class or a style."""

_MAX_SIZE = 1_000
_MAX_DEPTH = 40
_MAX_BRACES = 10
_VALUE = re.compile(
    r"[a-z]{1,20}|[-+]?[0-3]?(?:\.\d{1,4})?(?:em|ex|mu|pt|px)?|(?:(?:solid|dashed|none|[02]em) ?)+"
)
"""A word or a short length: no formula paints over what stands around it."""
_VALUES = {"mathvariant": re.compile("normal")}
_NUM_PARTS = dict.fromkeys(
    ("mfrac", "mroot", "msub", "msup", "munder", "mover"), 2
) | dict.fromkeys(("msubsup", "munderover"), 3)
_LIMITS = ("lim", "max", "min", "sup", "inf")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_PER_CENT = re.compile(r"\\.|%", re.DOTALL)
_ROW_GAP = re.compile(r"(?<=\\\\)\[[\d.]+ ?[a-z]{2}\]")
_OPERATOR = re.compile(r"\\operatorname\*?\{[^{}]*\}")
_ENVIRONMENT = re.compile(r"\\(begin|end) *\{([a-zA-Z]+)\*?\}")
_NO_WORDS = re.compile(r"\\(?:begin|end) *\{[a-zA-Z]+\*?\}(?:\{[lcr|]*\})?|\\[a-zA-Z]+")
_SAME = {
    "align": "align*",
    "alignat": "align*",
    "alignedat": "align*",
    "aligned": "align*",
    "dcases": "cases",
    "eqnarray": "align*",
    "gather": "gather*",
    "gathered": "gather*",
    "multline": "gather*",
}
"""Environments that look the same as one that is known; with a star nothing is numbered."""


class _CannotBeShown(Exception):
    """MathML would lack a part of the formula."""


@lru_cache(maxsize=256)
def formula(latex: str, *, is_block: bool) -> str:
    """HTML of a formula without its delimiters."""
    try:
        return _mathml(latex, is_block=is_block)
    except Exception:  # latex2mathml stumbles in many ways over what is no LaTeX
        return "<br>".join(map(words, readable(latex, on_one_line=not is_block).split("\n")))


def _mathml(latex: str, *, is_block: bool) -> str:
    if len(latex) > _MAX_SIZE or not _is_simple(latex):
        raise _CannotBeShown
    source = _understood(latex)
    tree = convert_to_element(source, display="block" if is_block else "inline")
    for element in tree.iter():
        element.text = unescape(element.text or "")
    if _letters(_NO_WORDS.sub(" ", source)) - _letters("".join(tree.itertext())):
        raise _CannotBeShown
    return "".join(_written(tree, _MAX_DEPTH))


def _understood(latex: str) -> str:
    """The same, by what latex2mathml knows; a per cent sign begins no comment."""
    latex = _PER_CENT.sub(lambda match: r"\%" if match[0] == "%" else match[0], latex)
    latex = _ROW_GAP.sub("", latex)
    latex = _OPERATOR.sub(lambda match: re.sub(r"\\[,;: ]", "\xa0", match[0]), latex)
    return _ENVIRONMENT.sub(
        lambda match: f"\\{match[1]}{{{_SAME[match[2]]}}}" if match[2] in _SAME else match[0], latex
    )


def _letters(text: str) -> Counter[str]:
    plain = unicodedata.normalize("NFKD", text).lower()
    return Counter(character for character in plain if character.isalnum())


def _is_simple(latex: str) -> bool:
    """Whether its braces have partners and do not nest deeper than people write them."""
    depth = 0
    for match in _BRACE.finditer(latex):
        depth += (match[0] == "{") - (match[0] == "}")
        if not 0 <= depth <= _MAX_BRACES:
            return False
    return depth == 0


def _is_whole(element: Element, text: str) -> bool:
    """Not so where a macro or environment is unknown, or an argument is missing."""
    if element.tag in ("mi", "mo") and (text == "&" or text[:1] == "\\"):
        return False
    has_formula = element.tag == "mtext" and "$" in text
    num_parts = _NUM_PARTS.get(element.tag, len(element))
    return len(element) == num_parts and not has_formula and "linebreak" not in element.attrib


def _takes_limits(operator: Element) -> bool:
    """Whether what belongs to it stands under it, where a formula has a block of its own."""
    if operator.tag == "mo" and operator.text in _LIMITS:
        operator.set("movablelimits", "true")
    return operator.get("movablelimits") == "true"


def _written(element: Element, depth: int) -> list[str]:
    text = element.text or ""
    if element.tag not in ELEMENTS or not depth or not _is_whole(element, text):
        raise _CannotBeShown
    if element.tag == "msub" and _takes_limits(element[0]):
        element.tag = "munder"
    if element.tag in ("mi", "mn"):
        text = "".join(_lettered(each, element.get("mathvariant", "")) for each in text)
    attributes = "".join(
        f' {name}="{value}"'
        for name, value in element.attrib.items()
        if name in ATTRIBUTES and _VALUES.get(name, _VALUE).fullmatch(value)
    )
    inner = (part for child in element for part in _written(child, depth - 1))
    return [f"<{element.tag}{attributes}>", words(text), *inner, f"</{element.tag}>"]


@lru_cache(maxsize=512)
def _lettered(letter: str, variant: str) -> str:
    """The letter in a style, which has a character of its own; browsers know no attribute."""
    if variant in ("", "normal", "italic"):
        return letter
    kind = re.sub("LATIN |GREEK |LETTER ", "", unicodedata.name(letter, ""))
    style = variant.upper().replace("BOLD-", "BOLD ")
    for name in (f"MATHEMATICAL {style} {kind}", f"{style} {kind}", f"BLACK-LETTER {kind}"):
        with suppress(KeyError):
            return unicodedata.lookup(name)
    return letter

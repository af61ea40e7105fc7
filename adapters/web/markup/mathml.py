"""A formula in LaTeX -> MathML (pure); what cannot be written so is plain text that reads well."""

from __future__ import annotations

import re
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
_VALUE = re.compile(
    r"[a-z -]{1,40}|[-+]?[0-2]?(?:\.\d{1,4})?(?:em|ex|mu|pt|px)?|3pt|(?:[\d.]+em ?){1,40}"
)
_DEFINES = re.compile(r"\\(?:(?:re)?new|provide|def|let|Declare|require|href|url|style|class|css)")
_PER_CENT = re.compile(r"\\.|%", re.DOTALL)
_ENVIRONMENT = re.compile(r"\\(begin|end) *\{([a-zA-Z]+)\*?\}")
_SAME = {
    "aligned": "align*",
    "align": "align*",
    "alignedat": "align*",
    "alignat": "align*",
    "split": "split",
    "gather": "gather*",
    "gathered": "gather*",
    "dcases": "cases",
    "eqnarray": "align*",
    "multline": "gather*",
}
"""Environments that look the same, by one that is known; with a star nothing is numbered."""


class _NotShown(Exception):
    """MathML would lack a part of the formula, or say it less well than text."""


@lru_cache(maxsize=256)
def formula(latex: str, *, is_block: bool) -> str:
    """HTML of a formula without its delimiters."""
    try:
        return _mathml(latex, is_block)
    except Exception:  # latex2mathml stumbles in many ways over what is no LaTeX
        return "<br>".join(map(words, readable(latex, on_one_line=not is_block).split("\n")))


def _mathml(latex: str, is_block: bool) -> str:
    if len(latex) > _MAX_SIZE or _DEFINES.search(latex):
        raise _NotShown
    source = _PER_CENT.sub(lambda match: r"\%" if match[0] == "%" else match[0], latex)
    source = _ENVIRONMENT.sub(_known, source)
    tree = convert_to_element(source, display="block" if is_block else "inline")
    return "".join(_written(tree, _MAX_DEPTH))


def _known(match: re.Match[str]) -> str:
    name = _SAME.get(match[2])
    return f"\\{match[1]}{{{name}}}" if name else match[0]


def _written(element: Element, depth: int) -> list[str]:
    text = unescape(element.text or "")
    if element.tag not in ELEMENTS or not depth or "linebreak" in element.attrib:
        raise _NotShown
    if element.tag in ("mi", "mo") and (text == "&" or text[:1] == "\\" != text):
        raise _NotShown  # a macro or a column that is not known
    if element.tag == "mtext" and "$" in text:
        raise _NotShown
    attributes = "".join(
        f' {name}="{value}"'
        for name, value in element.attrib.items()
        if name in ATTRIBUTES and _VALUE.fullmatch(value)
    )
    inner = (part for child in element for part in _written(child, depth - 1))
    return [f"<{element.tag}{attributes}>", words(text), *inner, f"</{element.tag}>"]

"""Formulas on the page: MathML where it says all of it, else the text that reads well."""

from __future__ import annotations

from html import unescape
from time import process_time

import pytest
from hypothesis import given, settings

from adapters.web.markup.mathml import formula
from bot.formulas.readable import readable
from tests.adapters.web.markup.reader import read
from tests.bot.formulas.test_readable import FORMULAS, KEPT, KNOWN, letters

AS_TEXT = (
    r"\SI{9.81}{m/s^2}",
    r"\ce{2H2 + O2 -> 2H2O}",
    r"\ce{SO4^2-}",
    r"\ce{Na+ + Cl-}",
    r"a = b \\ c = d",
    r"x \text{ if $x>0$ else } y",
)


def inline(latex: str) -> str:
    return formula(latex, is_block=False)


@pytest.mark.parametrize("latex", [each for each in KNOWN if each not in AS_TEXT])
def test_a_formula_that_people_write_is_mathml(latex: str) -> None:
    for html in (inline(latex), formula(latex, is_block=True)):
        assert read(html).tag == "math"


@pytest.mark.parametrize("latex", [*AS_TEXT, *KEPT], ids=range(len(AS_TEXT) + len(KEPT)))
def test_what_mathml_would_not_say_whole_is_the_text_that_reads_well(latex: str) -> None:
    assert unescape(inline(latex)) == readable(latex, on_one_line=True)


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"\mathbb{N} \mathbf{ab} \mathcal{L} \boldsymbol{\alpha}", "ℕ𝐚𝐛ℒ𝜶"),
        (r"\begin{aligned} a &= b \\[4pt] c &= 5% \end{aligned}", "a=bc=5%"),
        (r"\begin{align} a &= b \\ c &= d \end{align}", "a=bc=d"),
        (r"\operatorname*{arg\,max}_x f", "arg\xa0maxxf"),
        (r"\text{a <b> & c}", "a\xa0<b>\xa0&\xa0c"),
    ],
)
def test_its_letters_are_what_they_mean(latex: str, text: str) -> None:
    assert read(formula(latex, is_block=True)).text == text


@pytest.mark.parametrize("operator", [r"\lim", r"\max", r"\limsup", r"\operatorname*{argmax}"])
def test_what_belongs_to_a_limit_stands_under_it(operator: str) -> None:
    (limit,) = read(formula(rf"{operator}_x f", is_block=True)).every("munder")
    assert limit.elements[0].attributes == {"movablelimits": "true"}


def test_a_formula_of_several_lines_is_text_of_as_many() -> None:
    assert formula(r"a = b \\ c = d", is_block=True) == "a = b<br>c = d"


@pytest.mark.parametrize("latex", [r"\rule{9em}{9em} x", r"\raise{50em}{x}", r"\hspace{99em} x"])
def test_no_formula_reaches_far_out_of_its_place(latex: str) -> None:
    assert "9em" not in inline(latex).removeprefix(readable(latex, on_one_line=True))


@settings(max_examples=100, deadline=None)
@given(FORMULAS)
def test_no_letter_of_a_formula_is_lost(latex: str) -> None:
    shown = letters(unescape(inline(latex)))
    for character in letters(readable(latex.replace(r"\unknown", ""))):
        assert character in shown


@pytest.mark.parametrize(
    "latex",
    [
        r"\sout{" * 160 + "}" * 160,
        r"\bcancel{x" * 99 + "}" * 99,
        r"\sideset{x}{y}" * 70,
        "x^2" * 330,
    ],
    ids=["out", "cancelled", "sides", "powers"],
)
def test_no_formula_takes_long(latex: str) -> None:
    start = process_time()
    inline(latex)
    assert process_time() - start < 1

"""LaTeX's symbols, and its syntax as a tree of pylatexenc's nodes (pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from pylatexenc.latex2text import (  # type: ignore[import-untyped]
    fmt_math_text_style,
    get_default_latex_context_db,
)
from pylatexenc.latexwalker import (  # type: ignore[import-untyped]
    LatexWalker,
    LatexWalkerError,
)
from pylatexenc.macrospec import (  # type: ignore[import-untyped]
    EnvironmentSpec,
    LatexContextDb,
    MacroSpec,
    MacroStandardArgsParser,
    std_specials,
)

Node = Any
"""pylatexenc has no types; a node's class is told by ``kind``."""

_MAX_DEPTH = 40
_COMMENT = re.compile(r"\\.|%", re.DOTALL)
_OPENING = re.compile(r"\\[\\{}]|\\begin\b|\\end\b|[{}]")

_LIMITS = "lim max min sup inf argmax argmin colim"
LIMITS = {name: name for name in _LIMITS.split()} | {
    "limsup": "lim sup",
    "liminf": "lim inf",
    "varlimsup": "lim sup",
    "varliminf": "lim inf",
}
_WORDS = (
    "cot sec csc coth sech csch arccot arcsec arccsc sinc sgn sign lg lb det dim ker gcd lcm deg "
    "hom Hom Pr arg rank tr Tr diag span Var Cov erf softmax curl grad bmod"
)
_SYMBOLS = (
    "ddagger ‡ Re ℜ Im ℑ checkmark ✓ triangle △ degree ° celsius °C ohm Ω implies ⟹ iff ⟺ "
    "impliedby ⟸ gets ← bigsqcup ⨆ bigodot ⨀ biguplus ⨄ bot ⊥ models ⊨ vDash ⊨ land ∧ lor ∨ "
    "neg ¬ oiint ∯ iiiint ⨌ oiiint ∰ ne ≠ lll ⋘ ggg ⋙ Box □ Diamond ◇ imath ı jmath ȷ "
    "clubsuit ♣ heartsuit ♥ spadesuit ♠ diamondsuit ♦ copyright © pounds £ euro € S § P ¶ "
    "colon : coloneqq ≔ eqqcolon ≕ leadsto ⇝ N ℕ R ℝ Z ℤ Q ℚ C ℂ lt < gt > thickapprox ≈ "
    "ldotp . cdotp · prime ′ dprime ″ circ ∘ | ‖ lbrace { rbrace } lbrack [ rbrack ] lparen ( "
    "rparen ) lang ⟨ rang ⟩ infin ∞ varGamma Γ varDelta Δ varTheta Θ varLambda Λ varXi Ξ varPi Π "
    "varSigma Σ varPhi Φ varPsi Ψ varOmega Ω oplus ⊕ per / blacksquare ■ bigstar ★ "
    "vartriangle △ divides ∣ nexists ∄ complement ∁ upharpoonright ↾ restriction ↾ And &"
)


class BrokenLatexError(Exception):
    """It is no LaTeX, or none that anybody writes by hand."""


@cache
def symbols() -> Mapping[str, str]:
    """A macro without arguments -> what it stands for."""
    known = get_default_latex_context_db()
    found = {
        spec.macroname: spec.simplify_repl
        for category in ("advanced-symbols", "latex-base")
        for spec in known.iter_macro_specs([category])
        if isinstance(spec.simplify_repl, str) and _is_symbol(spec.simplify_repl)
    }
    rows = _SYMBOLS.split(" ")
    return found | {"%": "%"} | dict(zip(rows[::2], rows[1::2], strict=True))


@cache
def words() -> Mapping[str, str]:
    """A function's name -> how it is written."""
    known = {name: text for name, text in symbols().items() if name == text and len(name) > 1}
    return known | {name: name for name in _WORDS.split()} | {"bmod": "mod", "mod": "mod"}


def bold(letter: str, style: str) -> str:
    return str(fmt_math_text_style(letter, style))


def parsed(
    latex: str, arguments: Mapping[str, str], texts: frozenset[str], environments: Mapping[str, str]
) -> list[Node]:
    """Each macro takes ``arguments``: ``{`` one that must be there, ``[`` one that may.

    Those of ``texts`` hold text, not mathematics. A per cent sign begins no comment.
    """
    is_cut_off = (len(latex) - len(latex.rstrip("\\"))) % 2 == 1
    if is_cut_off or _depth(latex) > _MAX_DEPTH:
        raise BrokenLatexError
    source = _COMMENT.sub(lambda match: r"\%" if match[0] == "%" else match[0], latex)
    context = _context(tuple(arguments.items()), texts, tuple(environments.items()))
    walker = LatexWalker(source, latex_context=context, tolerant_parsing=False)
    try:
        state = walker.make_parsing_state(in_math_mode=True)
        nodes, _, _ = walker.get_latex_nodes(parsing_state=state)
    except (LatexWalkerError, RecursionError) as error:
        raise BrokenLatexError from error
    return list(nodes)


def kind(node: Node) -> str:
    return type(node).__name__


def source(node: Node) -> str:
    return str(node.latex_verbatim())


@cache
def _context(
    arguments: tuple[tuple[str, str], ...],
    texts: frozenset[str],
    environments: tuple[tuple[str, str], ...],
) -> Any:
    context = LatexContextDb()
    macros = [
        MacroSpec(
            name,
            args_parser=MacroStandardArgsParser(
                wanted,
                optional_arg_no_space=name == "\\",
                args_math_mode=[False] * len(wanted) if name in texts else None,
            ),
        )
        for name, wanted in arguments
    ]
    specials = [std_specials("&"), std_specials("~")]
    known = [EnvironmentSpec(name, wanted, is_math_mode=True) for name, wanted in environments]
    context.add_context_category("formulas", macros, known, specials)
    context.set_unknown_macro_spec(MacroSpec(""))
    context.set_unknown_environment_spec(EnvironmentSpec(""))
    return context


def _is_symbol(text: str) -> bool:
    return len(text) == 1 or text.isalpha()


def _depth(latex: str) -> int:
    """How deep braces and environments nest."""
    deepest = depth = 0
    for match in _OPENING.finditer(latex):
        depth += match[0] in ("{", r"\begin")
        depth -= match[0] in ("}", r"\end")
        deepest = max(deepest, depth)
    return deepest

"""What a person in a chat reads where a model wrote LaTeX."""

from __future__ import annotations

import re
import unicodedata
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.formulas.readable import readable
from bot.formulas.scripts import subscript, superscript

SCHOOL = {
    r"x^2+y^2=z^2": "x²+y²=z²",
    r"\frac{a+b}{2}": "(a+b)/2",
    r"\frac{1}{2}": "1/2",
    r"\frac12 x": "(1/2) x",
    r"\frac{1}{2}mv^2": "(1/2)mv²",
    r"3\frac{1}{2}": "3 1/2",
    r"\frac{\frac{a}{b}}{c}": "(a/b)/c",
    r"\frac{a}{\frac{b}{c}}": "a/(b/c)",
    r"\frac{1}{2x}": "1/(2x)",
    r"\left( \frac{a}{b} \right)^2": "(a/b)²",
    r"\dfrac{x}{y}z": "(x/y)z",
    r"a \over b": "a/b",
    r"x = \frac{-b \pm \sqrt{b^2 - 4ac}}{2a}": "x = (-b ± √(b² - 4ac))/(2a)",
    r"\sqrt{x+1}": "√(x+1)",
    r"\sqrt{2}x": "(√2)x",
    r"\sqrt{x}^2": "(√x)²",
    r"\sqrt{x^2}": "√(x²)",
    r"\sqrt[3]{x}": "∛x",
    r"\sqrt[n]{a+b}": "ⁿ√(a+b)",
    r"c = \sqrt{a^2 + b^2}": "c = √(a² + b²)",
    r"V = \frac{4}{3}\pi r^3": "V = (4/3)πr³",
    r"5 \times 10^{-3}": "5 × 10⁻³",
    r"10^12": "10¹²",
    r"x^-1": "x⁻¹",
    r"a\times b": "a×b",
    r"\frac{a}{b} : \frac{c}{d}": "(a/b) : (c/d)",
    r"\frac{3}{4} \div \frac{1}{2}": "(3/4) ÷ (1/2)",
    r"30^\circ 15'": "30° 15'",
    r"6 \div 2 \ne 4": "6 ÷ 2 ≠ 4",
    r"3{,}14 \approx \pi": "3,14 ≈ π",
    r"0.\overline{3}": "0.3̅",
    r"\overline{AB} \parallel \overline{CD}": "A̅B̅ ∥ C̅D̅",
    r"\angle ABC = 90^\circ": "∠ABC = 90°",
    r"50\% = 0.5": "50% = 0.5",
    r"50% of x": "50% of x",
    r"\$5 + \$3": "$5 + $3",
    r"\boxed{42}": "42",
    r"1 \le x < 5": "1 ≤ x < 5",
    r"\sin^2\theta + \cos^2\theta = 1": "sin² θ + cos² θ = 1",
    r"2\sin x\cos x": "2 sin x cos x",
    r"\cos\left(\frac{\pi}{4}\right) = \frac{\sqrt{2}}{2}": "cos(π/4) = √2/2",
    r"\sin\frac{x}{2}": "sin(x/2)",
    r"\log_2 n + \ln x": "log₂ n + ln x",
    r"\tan\alpha = \frac{\text{Gegenkathete}}{\text{Ankathete}}": "tan α = Gegenkathete/Ankathete",
    r"\frac{\text{total cost}}{n}": "(total cost)/n",
    r"\frac{n!}{k!(n-k)!}": "n!/(k!(n-k)!)",
    r"\binom{n}{k} = {n \choose k}": "C(n, k) = C(n, k)",
}
PHYSICS_AND_CHEMISTRY = {
    r"\mathbf{F} = m\mathbf{a}": "𝐅 = m𝐚",
    r"\vec{F} = m\vec{a}": "F⃗ = ma⃗",
    r"F = G\frac{m_1 m_2}{r^2}": "F = G(m₁m₂/r²)",
    r"E_k = \frac{1}{2} m v^2": "Eₖ = (1/2) m v²",
    r"9.81\,\mathrm{m/s^2}": "9.81 m/s²",
    r"5\,\mathrm{kg}\cdot\mathrm{m}": "5 kg·m",
    r"5\mathrm{kg}": "5 kg",
    r"\SI{9.81}{m/s^2}": "9.81 m/s²",
    r"20\,^\circ\text{C}": "20 °C",
    r"\Delta x = x_2 - x_1": "Δx = x₂ - x₁",
    r"\frac{\Delta y}{\Delta x}": "Δy/Δx",
    r"\nabla \times \vec{E} = -\frac{\partial \vec{B}}{\partial t}": "∇ × E⃗ = -∂B⃗/∂t",
    r"i\hbar\frac{\partial}{\partial t}\Psi = \hat{H}\Psi": "iħ(∂/∂t)Ψ = ĤΨ",
    r"\langle \psi | \phi \rangle": "⟨ψ | ϕ⟩",
    r"\ket{\psi}": "|ψ⟩",
    r"\mathrm{H_2O}": "H₂O",
    r"\ce{2H2 + O2 -> 2H2O}": "2H₂ + O₂ → 2H₂O",
    r"\ce{SO4^2-}": "SO₄²⁻",
    r"\ce{Na+ + Cl-}": "Na⁺ + Cl⁻",
    r"{}^{14}_{6}\mathrm{C}": "¹⁴₆C",
    r"\mathrm{CaCO_3\downarrow + CO_2\uparrow}": "CaCO₃↓ + CO₂↑",
    r"\frac{2 \cdot 10\,\mathrm{m}}{9{,}81\,\mathrm{m/s^2}}": "(2 · 10 m)/(9,81 m/s²)",
    r"N(t) = N_0 \, e^{-\lambda t}": "N(t) = N₀ e^(-λt)",
    r"\Delta G^\circ = -RT\ln K": "ΔG° = -RT ln K",
    r"A \xrightarrow{\text{heat}} B": "A —(heat)→ B",
}
UNIVERSITY = {
    r"\sum_{i=1}^{n} i": "∑ᵢ₌₁ⁿ i",
    r"\sum^n_{i=1}i": "∑ᵢ₌₁ⁿ i",
    r"\sum\limits_{k \in S} f(k)": "∑_(k∈S) f(k)",
    r"\sum_{n=1}^{\infty} \frac{1}{n^2} = \frac{\pi^2}{6}": "∑ₙ₌₁^∞ 1/n² = π²/6",
    r"\mu = \frac{1}{N}\sum_{i=1}^{N} x_i": "μ = (1/N)∑ᵢ₌₁ᴺ xᵢ",
    r"\prod_{k=1}^n k = n!": "∏ₖ₌₁ⁿ k = n!",
    r"\int_0^\infty e^{-x} \, dx": "∫₀^∞ e⁻ˣ dx",
    r"\int \frac{1}{x} dx": "∫ (1/x) dx",
    r"\oint_C \vec{E} \cdot d\vec{l}": "∮_C E⃗ · dl⃗",
    r"\lim_{x \to 0} \frac{\sin x}{x} = 1": "lim_(x→0) (sin x)/x = 1",
    r"\lim_{n\to\infty}\left(1+\frac{1}{n}\right)^n = e": "lim_(n→∞) (1+1/n)ⁿ = e",
    r"\frac{(x+h)^2 - x^2}{h}": "((x+h)² - x²)/h",
    r"x \to 0": "x → 0",
    r"f'(x) = \frac{dy}{dx}": "f'(x) = dy/dx",
    r"\frac{d}{dx} x^2 = 2x": "(d/dx) x² = 2x",
    r"\frac{d^2y}{dx^2} + \frac{\partial f}{\partial x}": "d²y/dx² + ∂f/∂x",
    r"\left. \frac{dy}{dx} \right|_{x=0}": "dy/dx|ₓ₌₀",
    r"x_{n+1} = x_n - \frac{f(x_n)}{f'(x_n)}": "xₙ₊₁ = xₙ - f(xₙ)/f'(xₙ)",
    r"f^{(n)}(x)": "f⁽ⁿ⁾(x)",
    r"g^'f^\prime": "g′f′",
    r"f\colon A \to B": "f: A → B",
    r"\approx 3.14": "≈ 3.14",
    r"e^{-\frac{x^2}{2\sigma^2}}": "e^(-x²/(2σ²))",
    r"\text{softmax}\left(\frac{QK^T}{\sqrt{d_k}}\right)V": "softmax(QKᵀ/√dₖ)V",
    r"e^{i\pi} + 1 = 0": "e^(iπ) + 1 = 0",
    r"e^{x^2}": "e^(x²)",
    r"x^{1/2}": "x^(1/2)",
    r"2^\frac{1}{2}": "2^(1/2)",
    r"A^{-1}A = I": "A⁻¹A = I",
    r"A^T": "Aᵀ",
    r"a_{ij}": "aᵢⱼ",
    r"a_{max}": "aₘₐₓ",
    r"a_{avg}": "a_avg",
    r"a_{avg}b": "a_(avg)b",
    r"a_{avg}^2": "a_(avg)²",
    r"x_{i,j}": "x_(i,j)",
    r"x_i^2": "xᵢ²",
    r"\hat{y} + \bar{x} + \dot{q}": "ŷ + x̄ + q̇",
    r"\overline{z+w}": "overline(z+w)",
    r"\underbrace{a+b}_{n}": "(a+b)ₙ",
    r"f: \mathbb{R} \to \mathbb{R}^n": "f: ℝ → ℝⁿ",
    r"x \in A \cup B \setminus C": "x ∈ A ∪ B ∖ C",
    r"x \not= y, x \not\in A": "x ≠ y, x ∉ A",
    r"\forall \varepsilon > 0 \; \exists \delta > 0": "∀ε > 0 ∃δ > 0",
    r"\neg p \lor q \implies r": "¬p ∨ q ⟹ r",
    r"a \equiv b \pmod{n}": "a ≡ b (mod n)",
    r"a \bmod b": "a mod b",
    r"O(n \log n)": "O(n log n)",
    r"\lVert x \rVert_2": "‖x‖₂",
    r"\left\lfloor \frac{n}{2} \right\rfloor": "⌊n/2⌋",
    r"P(A|B) = \frac{P(B|A)P(A)}{P(B)}": "P(A|B) = P(B|A)P(A)/P(B)",
    r"\operatorname{Var}(X) = \sigma^2": "Var(X) = σ²",
    r"\operatorname*{arg\,max}_\theta L(\theta)": "arg max_θ L(θ)",
    r"\mathcal{L}\{f(t)\} = F(s)": "ℒ{f(t)} = F(s)",
    r"\{ x \mid x > 0 \}": "{x | x > 0}",
    r"1 + 2 + \cdots + n": "1 + 2 + ⋯ + n",
    r"\begin{pmatrix} a & b \\ c & d \end{pmatrix}": "(a b; c d)",
    r"\begin{bmatrix} 1 & -1 \\[2pt] 0 & 2 \end{bmatrix}": "[1, -1; 0, 2]",
    r"\begin{vmatrix} a & b \\ c & d \end{vmatrix} = ad - bc": "|a b; c d| = ad - bc",
    r"\left[\begin{array}{cc} 1 & 2 \\ \hline 3 & 4 \end{array}\right]": "[1 2; 3 4]",
    r"|x| = \begin{cases} x, & x \ge 0 \\ -x, & \text{otherwise} \end{cases}": (
        "|x| = {x, x ≥ 0; -x, otherwise}"
    ),
    "\\begin{aligned}\na &= b + c \\\\\n  &= d\n\\end{aligned}": "a = b + c\n= d",
    r"a = b \\ c = d": "a = b\nc = d",
    "a = b\n+ c": "a = b\n+ c",
    r"a = b \tag{1}": "a = b (1)",
    r"x = 1 \quad y = 2": "x = 1  y = 2",
}
WORDS = {
    r"\text{if } x > 0": "if x > 0",
    r"x \text{ if $x>0$ else } y": "x if x>0 else y",
    r"\textbf{Answer: } 5": "Answer: 5",
    r"速度 = \frac{\text{距离}}{\text{时间}}": "速度 = 距离/时间",
    r"\text{面積} = 底辺 \times 高さ": "面積 = 底辺 × 高さ",
    r"\text{площадь} = \pi r^2": "площадь = π r²",
}
KNOWN = SCHOOL | PHYSICS_AND_CHEMISTRY | UNIVERSITY | WORDS

KEPT = (
    r"\unknown{x} + 1",
    r"\newcommand{\R}{\mathbb{R}}",
    r"\begin{tikzpicture} \draw (0,0) \end{tikzpicture}",
    "{a",
    "a}b",
    r"\frac{a}",
    r"\frac{a}{b",
    r"\sqrt",
    r"\left",
    "x^",
    "x^2^3",
    "_",
    r"\begin{cases} a",
    r"\end{cases}",
    r"\begin{cases} a \end{aligned}",
    r"\text{a $b}",
    "\\",
    r"\sqrt" * 900,
    "{" * 2_000 + "x" + "}" * 2_000,
    r"\frac{" * 100 + "x" + "}{y}" * 100,
    "x^2 + " * 4_000,
)


@pytest.mark.parametrize("latex", KNOWN)
def test_a_formula_reads_as_plain_text(latex: str) -> None:
    assert readable(latex) == KNOWN[latex]


@pytest.mark.parametrize("latex", KEPT, ids=range(len(KEPT)))
def test_what_is_broken_unknown_or_endless_stays_as_it_was_written(latex: str) -> None:
    assert readable(latex) == latex


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"a = b \\ c = d", "a = b; c = d"),
        ("a = b\n+ c", "a = b + c"),
        ("\\begin{aligned}\na &= b \\\\\nc &= d\n\\end{aligned}", "a = b; c = d"),
        ("{a\n + b", "{a + b"),
    ],
)
def test_where_there_is_one_line_a_formula_stands_on_it(latex: str, text: str) -> None:
    assert readable(latex, on_one_line=True) == text


def test_white_space_around_a_formula_is_no_part_of_it() -> None:
    assert readable("\n x = 1 \n") == "x = 1"


@pytest.mark.parametrize(
    "latex",
    [
        r"\frac{a_{avg}}{b}^2" * 210,
        "{" * 40 + "x^2" * 1_300 + "}" * 40,
        "{" * 20_000,
        "^" * 20_000,
        "x^'" * 1_300,
    ],
    ids=["wide", "deep", "unbalanced", "scripts", "primes"],
)
def test_the_longest_formula_takes_a_bounded_time(latex: str) -> None:
    start = process_time()
    readable(latex)
    assert process_time() - start < 2


SCRAPS = (
    r"\frac \sqrt \alpha \sum \int \lim \left \right ( ) [ ] { } ^ _ & \\ \text \mathbf \hat \foo "
    r"$ \begin{cases} \end{cases} \begin{aligned} \end{aligned} \begin{matrix} \end{matrix} \, ~ % "
    r"\over \not \operatorname \ce \SI \overset \( \) \[ \] \{ \} \big \cdot - + = / | 1 23 x y ' "
    r"\xrightarrow \boxed \binom \tag \mathrm \underbrace {x} {y} {1} {23} {x+y} x^2 y_{23} !"
)
MACROS = st.sampled_from(SCRAPS.split())

ATOMS = st.from_regex(r"[a-zA-Z]{1,8}|[0-9]{1,4}|[а-я]{2,6}|[一-十]{1,3}", fullmatch=True)
FORMULAS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda two: rf"\frac{{{two[0]}}}{{{two[1]}}}"),
        st.tuples(inner, inner).map(lambda two: f"{{{two[0]}}}^{{{two[1]}}}"),
        st.tuples(inner, inner).map(lambda two: f"{two[0]}_{{{two[1]}}}"),
        st.tuples(inner, inner).map(lambda two: f"{two[0]} + {two[1]}"),
        st.tuples(inner, inner).map(lambda two: rf"\sqrt[{two[0]}]{{{two[1]}}}"),
        st.tuples(inner, inner).map(
            lambda two: rf"\begin{{pmatrix}} {two[0]} & {two[1]} \\ {two[1]} \end{{pmatrix}}"
        ),
        inner.map(lambda one: rf"\left( {one} \right)"),
        inner.map(lambda one: rf"\mathbf{{{one}}}"),
        inner.map(lambda one: rf"\boxed{{{one}}}"),
        inner.map(lambda one: rf"\unknown{{{one}}}"),
        inner.map(lambda one: rf"\hat{{{one}}}"),
        ATOMS.map(lambda one: rf"\text{{ {one} }}"),
    ),
    max_leaves=12,
)


def letters(text: str) -> list[str]:
    """Every letter and digit, whatever its form and place."""
    plain = unicodedata.normalize("NFKD", text).replace("∛", "3").replace("∜", "4")
    return sorted(character for character in plain.lower() if character.isalnum())


def lost(latex: str) -> list[str]:
    """The letters and digits that are not the name of a macro and that nobody reads."""
    words = re.sub(r"\\(begin|end)\{[a-z]+\}|\\[a-zA-Z]+", " ", latex)
    missing = letters(words)
    for character in letters(readable(latex)):
        if character in missing:
            missing.remove(character)
    return missing


@settings(deadline=None)
@given(FORMULAS)
def test_no_letter_of_a_formula_is_lost(latex: str) -> None:
    assert set(lost(latex)) <= ({"2"} if r"\sqrt[2]" in latex else set())


@settings(deadline=None)
@given(st.one_of(st.text(max_size=80), st.lists(MACROS, max_size=25).map(" ".join)))
def test_any_text_at_all_has_a_reading_without_loss(latex: str) -> None:
    assert lost(latex) == []


@pytest.mark.parametrize(
    ("text", "raised", "lowered"),
    [
        ("2", "²", "₂"),
        ("n+1", "ⁿ⁺¹", "ₙ₊₁"),
        ("(-1)", "⁽⁻¹⁾", "₍₋₁₎"),
        ("th", "ᵗʰ", "ₜₕ"),
        ("T", "ᵀ", None),
        ("q", None, None),
        ("a b", None, None),
        ("注", None, None),
        ("", "", ""),
    ],
)
def test_scripts_are_characters_or_none(text: str, raised: str | None, lowered: str | None) -> None:
    assert (superscript(text), subscript(text)) == (raised, lowered)

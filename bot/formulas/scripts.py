"""Superscripts and subscripts as characters of their own (pure)."""

from __future__ import annotations

from collections.abc import Mapping

_SUPERSCRIPTS = dict(
    zip(
        "0123456789+-−=()abcdefghijklmnoprstuvwxyzABDEGHIJKLMNOPRTUVWβγδθφχ'′″∘°",
        "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵀᵁⱽᵂᵝᵞᵟᶿᵠᵡ′′″°°",
        strict=True,
    )
)
_SUBSCRIPTS = dict(
    zip(
        "0123456789+-−=()aehijklmnoprstuvxβγρφχ",
        "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓᵦᵧᵨᵩᵪ",
        strict=True,
    )
)
SCRIPTS = frozenset((*_SUPERSCRIPTS.values(), *_SUBSCRIPTS.values()))


def superscript(text: str) -> str | None:
    """None where a character has no such form."""
    return _written_with(_SUPERSCRIPTS, text)


def subscript(text: str) -> str | None:
    """None where a character has no such form."""
    return _written_with(_SUBSCRIPTS, text)


def _written_with(forms: Mapping[str, str], text: str) -> str | None:
    found = [forms.get(character) for character in text]
    return None if None in found else "".join(filter(None, found))

"""The rules of JSON itself: any value, and strings of a given length or format."""

from __future__ import annotations

from bot.errors import UnsupportedFormat
from bot.inference.grammar import pattern
from bot.inference.grammar.characters import ANY
from bot.inference.grammar.containers import LAYOUT, array, dictionary
from bot.inference.grammar.expressions import (
    Alt,
    Expr,
    Ref,
    Rules,
    Text,
    repeat,
    seq,
)
from bot.inference.grammar.keywords import Schema, count
from bot.inference.grammar.numbers import NUMBER

MAX_REPEAT = 2_000
"""llama.cpp's limit of repetitions; longer texts do not fit."""

VALUE, OBJECT, ARRAY, STRING = Ref("value"), Ref("object"), Ref("array"), Ref("string")
CHARACTER = Ref("character")
BOOLEAN = Alt((Text("true"), Text("false")))
NULL = Text("null")

JSON: Rules = {
    **LAYOUT,
    "value": Alt((OBJECT, ARRAY, STRING, NUMBER, BOOLEAN, NULL)),
    "object": dictionary(STRING, VALUE, 0, None),
    "array": array((), VALUE, 0, None, share=lambda expr: expr),
    "string": seq('"', repeat(CHARACTER, 0, None), '"'),
    "character": ANY,
}
"""Rules that must be included wherever they are referred to."""

_DAY = (
    r"((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)"
    r"|02-(0[1-9]|1[0-9]|2[0-8]))"
)
_DATE = rf"[12][0-9]{{3}}-{_DAY}"
_TIME = (
    r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
)
_BYTE = r"(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_LABEL = r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?"
_HOST = rf"{_LABEL}(\.{_LABEL}){{1,4}}"
FORMATS = {
    "date": _DATE,
    "time": _TIME,
    "date-time": rf"{_DATE}T{_TIME}",
    "duration": r"P([1-9][0-9]{0,3}D(T[1-9][0-9]{0,3}[HMS])?|T[1-9][0-9]{0,3}[HMS])",
    "email": rf"[A-Za-z0-9_+-]{{1,32}}(\.[A-Za-z0-9_+-]{{1,32}}){{0,3}}@{_HOST}",
    "hostname": _HOST,
    "ipv4": rf"{_BYTE}(\.{_BYTE}){{3}}",
    "uri": rf"https?://{_HOST}(/[A-Za-z0-9._~-]+){{0,16}}/?",
    "uuid": r"[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
}


def string(schema: Schema, where: str) -> Expr:
    """Raises UnsupportedFormat."""
    least = count(schema, "minLength", 0, where) or 0
    most = count(schema, "maxLength", None, where)
    if "pattern" in schema or "format" in schema:
        return seq('"', _matching(schema, least, most, where), '"')
    if least == 0 and most is None:
        return STRING
    check_least(least, where)
    return seq('"', repeat(CHARACTER, least, most and min(most, MAX_REPEAT)), '"')


def check_least(least: int, where: str) -> None:
    if least > MAX_REPEAT:
        raise UnsupportedFormat(
            f"At {where} the answer format asks for {least:,} or more; {MAX_REPEAT:,} is the most."
        )


def _matching(schema: Schema, least: int, most: int | None, where: str) -> Expr:
    if "pattern" in schema and "format" in schema:
        raise UnsupportedFormat(
            f"At {where} the answer format has both pattern and format; please leave one out."
        )
    if "format" in schema:
        piece = pattern.read(_expression_of(schema["format"], where), is_anchored=True)
    else:
        bounded = least > 0 or most is not None
        piece = pattern.read(str(schema["pattern"]), is_anchored=bounded)
    if piece.least < least or (most is not None and (piece.most is None or piece.most > most)):
        raise UnsupportedFormat(
            f"At {where} the answer format's pattern allows other lengths than minLength and "
            "maxLength do; please say the length in the pattern alone."
        )
    return piece.expr


def _expression_of(name: object, where: str) -> str:
    if not isinstance(name, str) or name not in FORMATS:
        raise UnsupportedFormat(
            f"The format {name!r} at {where} of the answer format is not supported; "
            f"known are {', '.join(FORMATS)}."
        )
    return FORMATS[name]

"""What the formats of strings mean, as regular expressions that every validator agrees with."""

from __future__ import annotations

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
_HOST = rf"{_LABEL}(\.{_LABEL}){{0,3}}\.[a-z]{{2,24}}"
_UUID = r"[0-9a-f]{{8}}-[0-9a-f]{{4}}-{version}[0-9a-f]{{3}}-[89ab][0-9a-f]{{3}}-[0-9a-f]{{12}}"

FORMATS = {
    "date": _DATE,
    "time": _TIME,
    "date-time": rf"{_DATE}T{_TIME}",
    "duration": r"P([1-9][0-9]{0,3}D(T[1-9][0-9]{0,3}[HMS])?|T[1-9][0-9]{0,3}[HMS])",
    "email": rf"[A-Za-z0-9_+-]{{1,32}}(\.[A-Za-z0-9_+-]{{1,32}}){{0,3}}@{_HOST}",
    "hostname": _HOST,
    "ipv4": rf"{_BYTE}(\.{_BYTE}){{3}}",
    "uri": rf"https?://{_HOST}(/[A-Za-z0-9._~-]+){{0,16}}/?",
    "uuid": _UUID.format(version="[1-5]"),
    **{f"uuid{n}": _UUID.format(version=n) for n in (1, 3, 4, 5)},
}
IPV6 = "ipv6"
"""The one format that llguidance knows better."""

DESCRIBING = frozenset(
    {
        *("base64", "base64url", "binary", "byte", "color", "directory-path", "file-path"),
        *("json-string", "multi-host-uri", "password", "path"),
        *("decimal", "double", "float", "int32", "int64"),
    }
)
"""Formats of generators that say how a value is meant, and demand nothing of its characters."""

IMPLIED = {
    r"^(?!\.)(?!.*\.\.)([A-Za-z0-9_'+\-\.]*)[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\-]*\.)+"
    r"[A-Za-z]{2,}$": "email",
}
"""Patterns of generators that look ahead, by the format that fulfils them."""

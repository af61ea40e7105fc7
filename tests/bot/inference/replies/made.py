"""Honest replies that look like loops to a careless guard; all of them are wanted as they are."""

from __future__ import annotations

import json
from collections.abc import Mapping

_NAMES = (
    "ant bear camel deer eagle ferret goat heron ibis jackal koala lemur mole newt otter panda "
    "quail raven seal tapir urchin viper walrus yak zebra"
)
_ANIMALS = _NAMES.split()
_COLOURS = ("red", "green", "blue", "grey")

_REFRAIN = "Oh, the sea, the sea, it calls to me,\nand home I cannot stay."
_VERSES = (
    "I left my house at break of day\nwith nothing but a coat,",
    "The gulls were crying in the bay\nabove an empty boat,",
    "My mother stood beside the door\nand did not say a word,",
    "I heard the waves upon the shore,\nthe finest song I heard,",
    "The lamp was burning on the sill\nuntil the oil was gone,",
    "The harbour master wished me ill,\nthe harbour bell rang on,",
    "And if you ask me why I went,\nI cannot tell you more,",
    "My youth and all my coins are spent\non this forgotten shore,",
)

_SUM = """def total(prices):
    result = 0
    for price in prices:
        result += price
    return result


def mean(prices):
    if not prices:
        return 0
    return total(prices) / len(prices)


def spread(prices):
    if not prices:
        return 0
    return max(prices) - min(prices)
"""


def _name(number: int) -> str:
    return f"{_COLOURS[number % 4]} {_ANIMALS[number % 25]}"


def _rows(*columns: str, num: int = 40) -> str:
    head = f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}\n"
    return head + "".join(
        f"| {n} | {n * n} | {_name(n)} | {'yes' if n % 3 else 'no'} |\n" for n in range(1, num + 1)
    )


def _story() -> str:
    return "".join(
        f"The {_name(n)} lives beside the {_name(7 * n + 3)} and sometimes meets the "
        f"{_name(11 * n + 5)} at the market.\n"
        for n in range(20)
    )


def _tests() -> str:
    return "".join(
        f"def test_{_ANIMALS[n]}():\n    zoo = Zoo()\n    zoo.add({_ANIMALS[n]!r}, {n})\n"
        f"    assert zoo.count({_ANIMALS[n]!r}) == {n}\n    assert zoo.is_open()\n\n\n"
        for n in range(25)
    )


def _java() -> str:
    return "".join(
        f"    @Test\n    public void adds{n}() {{\n"
        "        Calculator calculator = new Calculator();\n"
        f"        assertEquals({n + n * 7}, calculator.add({n}, {n * 7}));\n    }}\n\n"
        for n in range(1, 25)
    )


def _html() -> str:
    cells = (
        "".join(f"    <td>Row {r} Column {c}</td>\n" for c in range(1, 5)) for r in range(1, 13)
    )
    rows = "".join(f"  <tr>\n{row}  </tr>\n" for row in cells)
    return f"```html\n<table>\n{rows}</table>\n```\n"


def _empty_html() -> str:
    row = "  <tr>\n" + "    <td></td>\n" * 4 + "  </tr>\n"
    return f"```html\n<table>\n{row * 8}</table>\n```\n"


def _bottles() -> str:
    return "".join(
        f"{n} bottles of beer on the wall, {n} bottles of beer.\n"
        f"Take one down and pass it around, {n - 1} bottles of beer on the wall.\n\n"
        for n in range(99, 70, -1)
    )


def _log() -> str:
    return "".join(
        f"2026-11-20T09:{n:02}:{n * 7 % 60:02}Z INFO worker-{n % 3} finished request {n * 97} "
        f"in {n * 13 % 89} ms\n"
        for n in range(1, 50)
    )


def _zeros(size: int) -> str:
    row = f"    [{', '.join(['0'] * size)}],\n"
    return f"```python\nmatrix = [\n{row * size}]\n```\n"


def _identity(size: int) -> str:
    rows = (", ".join("1" if r == c else "0" for c in range(size)) for r in range(size))
    return "```python\nmatrix = [\n" + "".join(f"    [{row}],\n" for row in rows) + "]\n```\n"


def _records(num: int) -> list[dict[str, object]]:
    return [
        {"id": n, "name": _name(n), "email": f"{_ANIMALS[n % 25]}@example.com", "active": True}
        for n in range(1, num + 1)
    ]


MADE: Mapping[str, str] = {
    "counting to 300, a line each": "\n".join(map(str, range(1, 301))),
    "counting to 300, with commas": ", ".join(map(str, range(1, 301))),
    "counting down from 200": " ".join(map(str, range(200, 0, -1))),
    "counting in words": ", ".join(f"{a}-{b}" for a in _ANIMALS[:10] for b in _ANIMALS[:10]),
    "the even numbers": "".join(f"{n} is even.\n" for n in range(2, 120, 2)),
    "the squares": "".join(f"The square of {n} is {n * n}.\n" for n in range(1, 41)),
    "a list to 100": "".join(f"{n}. {_name(n)}\n" for n in range(1, 101)),
    "an empty list to 60": "".join(f"{n}.\n" for n in range(1, 61)),
    "a list of bold items": "".join(f"{n}. **{_name(n)}**: a kind animal.\n" for n in range(60)),
    "bullets": "".join(f"* a {_name(n)} that likes to sleep\n" for n in range(60)),
    "to-do boxes": "".join(f"- [ ] wash the {_name(n)}\n" for n in range(50)),
    "a table of 40 rows": _rows("Number", "Square", "Animal", "Odd"),
    "a table of yes and no": "| a | b | c |\n|---|---|---|\n"
    + "".join(f"| {'yes' if n & 1 else 'no'} | {n} | yes |\n" for n in range(48)),
    "an empty planner": "| Mon | Tue | Wed | Thu | Fri |\n|---|---|---|---|---|\n"
    + "|     |     |     |     |     |\n" * 14,
    "a planner of hours": "".join(f"| {n}:00 |     |     |     |     |\n" for n in range(7, 23)),
    "a multiplication table": "".join(
        "| " + " | ".join(str(a * b) for b in range(1, 13)) + " |\n" for a in range(1, 13)
    ),
    "multiplications": "".join(f"{a} x {b} = {a * b}\n" for a in (7, 8) for b in range(1, 21)),
    "a timetable": "".join(f"Bus 12 leaves at {h}:{m:02}\n" for h in range(6, 16) for m in (5, 35)),
    "zeros, 10 by 10": _zeros(10),
    "an identity matrix": _identity(14),
    "JSON of users": json.dumps(_records(20), indent=2),
    "JSON of users on one line": json.dumps(_records(25)),
    "JSON of ids": json.dumps([{"id": n, "done": False} for n in range(1, 41)]),
    "JSON of numbers": json.dumps([n * 37 % 101 for n in range(200)]),
    "JSON to fill in": json.dumps([{"name": "", "email": "", "phone": ""}] * 10, indent=2),
    "CSV": "id,name,colour\n" + "".join(f"{n},{_name(n)},{_COLOURS[n % 4]}\n" for n in range(60)),
    "SQL": "".join(
        f"INSERT INTO animals (id, name, age) VALUES ({n}, '{_name(n)}', {n % 9});\n"  # noqa: S608
        for n in range(1, 31)
    ),
    "Python tests": _tests(),
    "Java tests": _java(),
    "a program and the same one mended": f"```python\n{_SUM}```\n\nWith types, and mended:\n\n"
    f"```python\n{_SUM.replace('(prices)', '(prices: list[float]) -> float', 1)}```\n\n"
    f"And with a name of its own:\n\n```python\n{_SUM.replace('prices', 'costs')}```\n",
    "a story told twice": f"First:\n{_story()}And once more, corrected:\n{_story()}The end.",
    "a program three times": f"Before:\n```python\n{_SUM}```\nAfter:\n```python\n{_SUM}```\n"
    f"They are the same. Once more:\n```python\n{_SUM}```\n",
    "a switch": "".join(f'    case {n}:\n        return "{_name(n)}";\n' for n in range(40)),
    "cases that do the same": "".join(f"    case {n}: count++; break;\n" for n in range(40)),
    "CSS": "".join(f".column-{n} {{ width: {n * 100 / 24:.2f}%; }}\n" for n in range(1, 25)),
    "HTML of 12 rows": _html(),
    "HTML to fill in": _empty_html(),
    "a log": _log(),
    "hex": " ".join(f"{n * n * 31 % 256:02x}" for n in range(200)),
    "a ruler": "-" * 400 + "\n",
    "a drawing": "\n".join(" " * (20 - n) + "*" * (2 * n + 1) for n in range(20)),
    "a chess board": "\n".join("# . " * 4 if n % 2 else ". # " * 4 for n in range(8)),
    "a poem with a refrain": "\n\n".join(f"{verse}\n{_REFRAIN}" for verse in _VERSES),
    "a song with a chorus": "\n\n".join(
        f"Verse {n}\n{verse}\n\nChorus\n{_REFRAIN}\n{_REFRAIN}" for n, verse in enumerate(_VERSES)
    ),
    "99 bottles of beer": _bottles(),
    "a laugh": "Ha" + "ha" * 30 + "! " + "Really, " * 8 + "that is funny.",
    "a refusal three times": "I am sorry, I cannot help with that.\n" * 3,
    "digits of pi": "3.1415926535897932384626433832795028841971693993751058209749445923078164062862"
    "089986280348253421170679821480865132823066470938446095505822317253594081284811174502841027",
    "a third": f"1/3 = 0.{'3' * 120}",
    "DNA": "".join("ACGT"[n * n * n % 97 % 4] for n in range(400)),
}

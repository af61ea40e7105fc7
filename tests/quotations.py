"""Random texts to quote from, and a judge of quoted answers that knows nothing of their grammar."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from bot.markdown.parser import parse
from bot.markdown.tree import Paragraph, Quote, plain_text
from bot.source import Source

_WORDS = (
    *("pool", "ticket", "garden", "printer", "backup", "library", "engine", "river", "bicycle"),
    *("castle", "harbour", "museum", "kitchen", "window", "market", "lantern", "bridge", "station"),
    *("forest", "mirror", "Überweisung", "façade", "naïveté", "Straße", "déjeuner"),
)
_VERBS = ("opens", "closes", "costs", "needs", "follows", "replaces", "holds", "schließt", "reçoit")
_TIMES = ("at nine", "on Sundays", "every night", "in May", "um 17:30 Uhr", "le lundi", "twice")
_ODD = (
    "It says “no dogs” and means “none”.",
    'He said "leave it" \\ and left.',
    '```python\nfor each in range(3):\n    print("a\\n", each * 2 ** each)\n```',
    "~~~\n$ rm -rf *  # `careful`\n~~~",
    "The form is at https://example.org/forms?a=b_c&d=*e*#part (and nowhere else).",
    "日本語の文です。次の文もあります！終わり",
    "Emoji 👩‍👩‍👧‍👦 and cafe\u0301 in one sentence. Another follows.",
    "| day | hours |\n|---|---|\n| Monday | 9–17 |\n| Tuesday | closed |",
    "- bread\n- butter,\n  salted\n* jam\n1. first\n2. second",
    "> A line that was quoted\n> and its next line.",
    "# A heading\n\n## Another",
    "Dr. Smith, e.g., lives at No. 5 since the 3. May 1999. He stays.",
    "<|im_end|> and <s>[INST] are only text here. So is <think>.",
    "x" * 700,
    "without any end " * 40,
    "Tab\there.\r\nA line of Windows.\r\n",
    "no\u00a0break, \u2028 line, \u200bzero, \u202eright\u202c to left עברית. Ünïcödé.",
    "“”…” … [2] is what it looks like. “ [1]",
    "\\\\server\\share\\file.txt",
    'start: /x/ %llguidance {"a": [1]}',
    "Two.  Spaces.   Three of them.  And on it goes.",
    "No end",
    "!!! ??? ...",
)


@dataclass(frozen=True)
class Corpus:
    sources: tuple[Source, ...]
    question: str
    can_answer: bool
    """The question is about what stands in one of them."""


def corpus(seed: int, most: int = 4) -> Corpus:
    """At most so many documents of so many pieces; every other question is about something else."""
    chance = random.Random(seed)  # noqa: S311
    facts = [_fact(chance) for _ in range(chance.randint(1, most))]
    sources = tuple(_source(chance, number, fact, most) for number, fact in enumerate(facts, 1))
    can_answer = seed % 2 == 0
    noun, verb, _ = chance.choice(facts).removeprefix("The ").split(" ", 2)
    asked = f"When is it that the {noun} {verb}?" if can_answer else _other(chance)
    return Corpus(sources, asked, can_answer)


def _source(chance: random.Random, number: int, fact: str, num_pieces: int) -> Source:
    pieces = [
        fact,
        *(chance.choice([_fact(chance), chance.choice(_ODD)]) for _ in range(num_pieces - 1)),
    ]
    chance.shuffle(pieces)
    text = "".join(piece + chance.choice((" ", "\n", "\n\n")) for piece in pieces)
    name = chance.choice(("hours.md", "Preise 2026.txt", "a_b*c.csv", "règlement.pdf", ""))
    address = f"https://example.org/{number}/a_b?c={chance.randint(1, 999)}&d=*e*"
    heading = chance.choice(((), ("Opening [hours]",), ("Part 1", "What “is” `this`")))
    has_address = chance.random() < 0.5 or not name
    return Source(name, text, kind="fact", address=address * has_address, heading=heading)


def _fact(chance: random.Random) -> str:
    return f"The {chance.choice(_WORDS)} {chance.choice(_VERBS)} {chance.choice(_TIMES)}."


def _other(chance: random.Random) -> str:
    thing = chance.choice(("capital of Mongolia", "square root of 144", "mayor's favourite wine"))
    return f"{chance.choice(('Do you know', 'Tell me', 'What was'))} the {thing}?"


def faults(reply: str, sources: Sequence[Source], refusal: str) -> list[str]:
    """What is wrong with a quoted answer; nothing, if all that it says stands in its sources."""
    if reply == refusal:
        return []
    *quotations, last = reply.split("\n\n")
    found = [each for each in (fault(line, sources) for line in quotations) if each]
    label, _, named = last.partition(": ")
    if label != "Sources" or not quotations:
        return [*found, f"the last line is {last!r}"]
    numbers = list(dict.fromkeys(_number(line) for line in quotations))
    expected = "; ".join(f"[{number}] {_named(sources[number - 1])}" for number in numbers)
    return found if _seen(named) == expected else [*found, f"the sources are {named!r}"]


def fault(line: str, sources: Sequence[Source]) -> str:
    """What is wrong with a line; what it quotes is between its first and its last mark."""
    begin, end = line.find("“"), line.rfind("”")
    number = _number(line)
    is_framed = line[:begin] in ("> ", "> … ") and line[end + 1 :] in (
        f" [{number}]",
        f" … [{number}]",
    )
    if not is_framed or "\n" in line or not 1 <= number <= len(sources):
        return f"no quotation: {line!r}"
    said = _seen(line)[begin - 1 : -len(line[end:])]
    return "" if said and said in _flat(sources[number - 1].excerpt) else f"not said: {said!r}"


def _seen(line: str) -> str:
    """As people see it."""
    (block,) = parse(line)
    block = block.blocks[0] if isinstance(block, Quote) else block
    assert isinstance(block, Paragraph), "it looks like something else"
    return plain_text(block.spans)


def _flat(text: str) -> str:
    lines = [line.strip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    return " ".join(line for line in lines if line)


def _number(line: str) -> int:
    digits = line.rpartition("[")[2].removesuffix("]")
    return int(digits) if digits.isdecimal() else 0


def _named(source: Source) -> str:
    """Brackets and back-ticks of a name become others; an address stays as it is."""
    parts = (source.name, *source.heading)
    title = " › ".join(part.translate(str.maketrans("[]`", "()'")) for part in parts if part)
    if not source.address:
        return title
    return f"{title} ({source.address})" if title else source.address

"""Chat templates: foreign Jinja code, sandboxed, and kept apart from what people typed.

A template is rendered with a placeholder for each message's content, so that afterwards
it is known which text came from the template and which from a person. Only the template's
own text may become special tokens: a role marker typed by a person stays plain text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.parser
from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedEnvironment

from bot.errors import ModelError
from bot.types import ChatMessage

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + "
    "message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""For models that carry no template."""

_MAX_RENDERED = 1_000_000
_MAX_ITERATIONS = 100_000
_OPEN, _CLOSE = "\ue000", "\ue001"
_PLACEHOLDER = re.compile(f"{_OPEN}(\\d+){_CLOSE}")


@dataclass(frozen=True, slots=True)
class Special:
    """A token that text can name. ``is_marker``: it would be parsed even in plain text."""

    id: int
    text: str
    strips_left: bool = False
    strips_right: bool = False
    is_marker: bool = False


class _GenerationTag(jinja2.ext.Extension):
    """Pass-through for the ``{% generation %}`` tag of Hugging Face templates."""

    tags = {"generation"}  # noqa: RUF012 - jinja2's own declaration

    def parse(self, parser: jinja2.parser.Parser) -> list[jinja2.nodes.Node]:
        parser.stream.skip(1)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Loops:
    """``range`` for one rendering: all loops together run a bounded number of times."""

    def __init__(self) -> None:
        self._left = _MAX_ITERATIONS

    def range(self, *args: int) -> range:
        numbers = range(*args)
        self._left -= len(numbers)
        if self._left < 0:
            raise ModelError("The model's chat template loops without end; use another model.")
        return numbers


def _raise(message: str) -> None:
    raise jinja2.TemplateError(message)


def _today(form: str) -> str:
    return datetime.now().strftime(form)  # noqa: DTZ005 - the date that people see


def _to_json(value: Any, **options: Any) -> str:
    return json.dumps(value, **{"ensure_ascii": False, **options})


def _environment() -> SandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationTag, jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    return environment


class ChatTemplate:
    """A model's chat template. ``bos`` and ``eos`` are the texts of those tokens."""

    def __init__(self, source: str | None, *, bos: str = "", eos: str = "") -> None:
        self._names = {"bos_token": bos, "eos_token": eos}
        try:
            self._template = _environment().from_string(source or CHATML)
        except jinja2.TemplateError as error:
            raise ModelError(f"The model's chat template cannot be read: {error}.") from error
        self.takes_system = self._shows(("system", "user"), 0)
        if not self._shows(("user",), 0):
            raise ModelError("The model's chat template leaves out what people say; use another.")

    def segments(self, messages: Sequence[ChatMessage]) -> list[tuple[str, bool]]:
        """The prompt as ``(text, from_template)`` pieces, ready for an answer."""
        messages = messages if self.takes_system else _merge_system(messages)
        rendered = self._render([m.role for m in messages])
        segments = []
        for at, part in enumerate(_PLACEHOLDER.split(rendered)):
            text = messages[int(part)].content.strip() if at % 2 else part
            if text:
                segments.append((text, at % 2 == 0))
        return segments

    def _render(self, roles: Sequence[str]) -> str:
        messages = [
            {"role": role, "content": f"{_OPEN}{n}{_CLOSE}"} for n, role in enumerate(roles)
        ]
        names = {"tools": None, "raise_exception": _raise, "strftime_now": _today, **self._names}
        pieces = self._template.generate(
            messages=messages, add_generation_prompt=True, range=_Loops().range, **names
        )
        return _bounded(pieces)

    def _shows(self, roles: Sequence[str], number: int) -> bool:
        try:
            return f"{_OPEN}{number}{_CLOSE}" in self._render(roles)
        except jinja2.TemplateError:
            return False


def _bounded(pieces: Iterable[str]) -> str:
    parts, size = [], 0
    for piece in pieces:
        parts.append(piece)
        size += len(piece)
        if size > _MAX_RENDERED:
            raise ModelError("The model's chat template writes without end; use another model.")
    return "".join(parts)


def _merge_system(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """For templates without a system role: its text opens the first message of a person."""
    system = "\n\n".join(m.content for m in messages if m.role == "system")
    others = [m for m in messages if m.role != "system"]
    if not system:
        return others
    if others and others[0].role == "user":
        return [ChatMessage("user", f"{system}\n\n{others[0].content}"), *others[1:]]
    return [ChatMessage("user", system), *others]


class SpecialTokens:
    """Cuts segments into what a tokenizer takes: special token ids and runs of plain text."""

    def __init__(self, specials: Sequence[Special]) -> None:
        self._by_text = {s.text: s for s in specials if s.text}
        self._any = _alternatives(self._by_text)
        self._markers = _alternatives([s.text for s in specials if s.is_marker and s.text])

    def split(self, segments: Iterable[tuple[str, bool]]) -> list[int | str]:
        """Texts next to each other are one run, as the model saw them in training.

        A marker inside a person's text is cut in two runs, and so is no token any more.
        """
        runs: list[int | str] = []
        joins = strips = False
        for text, from_template in segments:
            parts = self._parse(text) if from_template else self._defuse(text)
            for part in parts:
                if isinstance(part, Special):
                    _strip_end(runs, part)
                    runs.append(part.id)
                    joins, strips = False, part.strips_right
                elif text := part.lstrip() if strips else part:
                    _append(runs, text, joins)
                    joins, strips = from_template, False
            joins = isinstance(runs[-1], str) if runs else False
        return runs

    def _parse(self, text: str) -> list[Special | str]:
        return [self._by_text.get(part, part) for part in self._any.split(text)]

    def _defuse(self, text: str) -> list[str]:
        """``text`` in pieces, none of which names a marker."""
        pieces, start = [], 0
        for found in self._markers.finditer(text):
            middle = found.start() + max(1, len(found.group()) // 2)
            pieces.append(text[start:middle])
            start = middle
        return [*pieces, text[start:]]


def _append(runs: list[int | str], part: str, joins: bool) -> None:
    if joins and runs and isinstance(runs[-1], str):
        runs[-1] += part
    else:
        runs.append(part)


def _strip_end(runs: list[int | str], special: Special) -> None:
    if special.strips_left and runs and isinstance(runs[-1], str):
        runs[-1] = runs[-1].rstrip()
        if not runs[-1]:
            runs.pop()


def _alternatives(texts: Iterable[str]) -> re.Pattern[str]:
    longest_first = sorted(texts, key=len, reverse=True)
    return re.compile(f"({'|'.join(map(re.escape, longest_first))})" if longest_first else r"(?!)")

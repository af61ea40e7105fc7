"""The sandbox in which a chat template runs, which is foreign code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.parser
import jinja2.runtime
from jinja2.sandbox import ImmutableSandboxedEnvironment

_MAX_RENDERED = 1_000_000
_MAX_ITERATIONS = 100_000
_ENOUGH = 1_000_000
"""Bound on products of numbers and on lengths of repeated texts in a template."""

_FOREIGN = (
    jinja2.TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
)
"""Errors that parsing or rendering a foreign template was seen to raise."""


class TemplateFailed(Exception):
    """Its text gives the reason in one line, as part of a sentence."""

    def __init__(self, why: object) -> None:
        super().__init__(" ".join(str(why).split())[:200].rstrip(".") or type(why).__name__)


class _GenerationTag(jinja2.ext.Extension):
    """Pass-through for the ``{% generation %}`` tag of Hugging Face templates."""

    tags = {"generation"}  # noqa: RUF012 - jinja2's own declaration

    def parse(self, parser: jinja2.parser.Parser) -> list[jinja2.nodes.Node]:
        parser.stream.skip(1)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Environment(ImmutableSandboxedEnvironment):
    """Bounds ``*`` and ``**``, with which one expression could fill the memory."""

    intercepted_binops = frozenset({"*", "**"})

    def call_binop(
        self, context: jinja2.runtime.Context, operator: str, left: Any, right: Any
    ) -> Any:
        if _size(left) * _size(right) > _ENOUGH or (operator == "**" and _size(right) > 64):
            raise TemplateFailed(f"it computes {operator} of numbers or texts that are too large")
        return super().call_binop(context, operator, left, right)


def _size(value: Any) -> float:
    return len(value) if hasattr(value, "__len__") else abs(value)


class _Loops:
    """``range`` for one rendering, with a bound on the iterations of all loops together."""

    def __init__(self) -> None:
        self._left = _MAX_ITERATIONS

    def range(self, *args: int) -> range:
        numbers = range(*args)
        self._left -= len(numbers)
        if self._left < 0:
            raise TemplateFailed("it loops without end")
        return numbers


class Sandbox:
    """One parsed template. Every error that it causes is raised as ``TemplateFailed``."""

    def __init__(self, source: str) -> None:
        environment = _Environment(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[_GenerationTag, jinja2.ext.loopcontrols],
        )
        environment.filters["tojson"] = _to_json
        try:
            self._template = environment.from_string(source)
        except _FOREIGN as error:
            raise TemplateFailed(error) from error

    def render(self, names: Mapping[str, Any]) -> str:
        given = {"raise_exception": _raise, "strftime_now": _today, "range": _Loops().range}
        parts, size = [], 0
        try:
            for piece in self._template.generate(**given, **names):
                parts.append(piece)
                size += len(piece)
                if size > _MAX_RENDERED:
                    raise TemplateFailed("it writes without end")
        except _FOREIGN as error:
            raise TemplateFailed(error) from error
        return "".join(parts)


def _raise(message: str) -> None:
    raise TemplateFailed(message)


def _today(form: str) -> str:
    return datetime.now().strftime(form)  # noqa: DTZ005 - the date that people see


def _to_json(value: Any, **options: Any) -> str:
    return json.dumps(value, **{"ensure_ascii": False, **options})

"""Chat templates: foreign code, kept apart from what people typed.

A template is rendered with a placeholder for each message's content, so that afterwards
it is known which text came from the template and which from a person. Only the template's
own text may become special tokens: a role marker typed by a person stays plain text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.parser
import jinja2.runtime
from jinja2.sandbox import ImmutableSandboxedEnvironment

from bot.errors import ConversationRefused, ModelError
from bot.inference.output.text import open_tag
from bot.types import ChatMessage, Role

_MAX_RENDERED = 1_000_000
_MAX_ITERATIONS = 100_000
_ENOUGH = 1_000_000
"""A product of numbers or a repeated text beyond this is no formatting of messages."""

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
"""What reading or running somebody else's Jinja code was seen to raise."""


class TemplateFailed(Exception):
    """The text says why, as part of a sentence and in one line."""

    def __init__(self, why: object) -> None:
        super().__init__(" ".join(str(why).split())[:200].rstrip(".") or type(why).__name__)


class _GenerationTag(jinja2.ext.Extension):
    """Pass-through for the ``{% generation %}`` tag of Hugging Face templates."""

    tags = {"generation"}  # noqa: RUF012 - jinja2's own declaration

    def parse(self, parser: jinja2.parser.Parser) -> list[jinja2.nodes.Node]:
        parser.stream.skip(1)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Environment(ImmutableSandboxedEnvironment):
    """``*`` and ``**`` could fill the memory with one expression."""

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
    """``range`` for one rendering: all loops together run a bounded number of times."""

    def __init__(self) -> None:
        self._left = _MAX_ITERATIONS

    def range(self, *args: int) -> range:
        numbers = range(*args)
        self._left -= len(numbers)
        if self._left < 0:
            raise TemplateFailed("it loops without end")
        return numbers


class Sandbox:
    """One template. Whatever it does wrong is a ``TemplateFailed``."""

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
        try:
            return _bounded(self._template.generate(**given, **names))
        except _FOREIGN as error:
            raise TemplateFailed(error) from error


def _raise(message: str) -> None:
    raise TemplateFailed(message)


def _today(form: str) -> str:
    return datetime.now().strftime(form)  # noqa: DTZ005 - the date that people see


def _to_json(value: Any, **options: Any) -> str:
    return json.dumps(value, **{"ensure_ascii": False, **options})


def _bounded(pieces: Iterable[str]) -> str:
    parts, size = [], 0
    for piece in pieces:
        parts.append(piece)
        size += len(piece)
        if size > _MAX_RENDERED:
            raise TemplateFailed("it writes without end")
    return "".join(parts)


CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + "
    "message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""For models that carry no template."""

_OPEN, _CLOSE = "\ue000", "\ue001"
_PLACEHOLDER = re.compile(f"{_OPEN}(\\d+){_CLOSE}")
_SHAPES: tuple[tuple[Role, ...], ...] = (
    ("user",),
    ("system", "user"),
    ("system", "user", "user"),
    ("system", "user", "assistant", "user"),
    ("user", "assistant", "user"),
)
"""What Parley asks a model; a template that takes one of them in no form is refused."""


class ChatTemplate:
    """A model's chat template. ``bos`` and ``eos`` are the texts of those tokens."""

    def __init__(self, source: str | None, *, bos: str = "", eos: str = "") -> None:
        """Raises ModelError for one that cannot hold a conversation."""
        self._names: dict[str, object] = {"bos_token": bos, "eos_token": eos, "tools": None}
        try:
            self._sandbox = Sandbox(source or CHATML)
        except TemplateFailed as why:
            raise ModelError(f"The model's chat template cannot be read: {why}.") from why
        self._names["tools"] = self._tools_it_takes()
        self._drops_thoughts = self._leaves_out_thoughts()
        try:
            for shape in _SHAPES:
                self._in_some_form([ChatMessage(role, "Hi") for role in shape])
        except TemplateFailed as why:
            raise ModelError(
                f"The model's chat template takes no plain conversation ({why}): "
                "set PARLEY_MODEL to another model."
            ) from why
        text, from_template = self.segments([ChatMessage("user", "Hi")])[-1]
        self.open_tag = open_tag(text) if from_template else None

    def segments(self, messages: Sequence[ChatMessage]) -> list[tuple[str, bool]]:
        """The prompt as ``(text, from_template)`` pieces, ready for an answer."""
        if self._drops_thoughts:
            messages = without_thoughts(messages)
        try:
            return self._in_some_form(messages)
        except TemplateFailed as why:
            raise ConversationRefused(
                f"The model's chat template does not take this conversation: {why}."
            ) from why

    def shown(self) -> str:
        """All that it writes by itself around messages of every role."""
        messages = [ChatMessage(role, "") for role in _SHAPES[3]]
        return "".join(text for text, _ in self.segments(messages))

    def _in_some_form(self, messages: Sequence[ChatMessage]) -> list[tuple[str, bool]]:
        """What the template does not take as it is, or leaves out, is put more plainly."""
        *better, plainest = forms(messages)
        for form in better:
            with suppress(TemplateFailed):
                return self._segments(form)
        return self._segments(plainest)

    def _segments(self, messages: Sequence[ChatMessage]) -> list[tuple[str, bool]]:
        contents = [f"{_OPEN}{n}{_CLOSE}" for n in range(len(messages))]
        parts = _PLACEHOLDER.split(self._render([m.role for m in messages], contents))
        if left_out := set(range(len(messages))) - set(map(int, parts[1::2])):
            role = messages[min(left_out)].role
            raise TemplateFailed(f"it leaves out what the {role} says")
        segments = []
        for at, part in enumerate(parts):
            text = messages[int(part)].content.strip() if at % 2 else part
            if text:
                segments.append((text, at % 2 == 0))
        return segments

    def _render(self, roles: Sequence[Role], contents: Sequence[str]) -> str:
        messages = [{"role": r, "content": c} for r, c in zip(roles, contents, strict=True)]
        names = {"messages": messages, "add_generation_prompt": True, **self._names}
        return self._sandbox.render(names)

    def _tools_it_takes(self) -> list[str] | None:
        """None as elsewhere; a template written for tools alone may want a list."""
        try:
            self._render(["user"], ["Hi"])
        except TemplateFailed:
            return []
        return None

    def _leaves_out_thoughts(self) -> bool:
        """Whether an earlier answer is to be repeated without what the model thought."""
        try:
            text = self._render(["user", "assistant", "user"], ["1", "<think>2</think>3", "4"])
        except TemplateFailed:
            return False
        return "<think>2" not in text


_END_OF_THOUGHTS = "</think>"
_BETWEEN = "\n\n"


def forms(messages: Sequence[ChatMessage]) -> list[Sequence[ChatMessage]]:
    """The same conversation, ever more plainly.

    As it is; then one system message at most, and user and assistant in turn, a user first;
    then without a system role, its text opening the first message of a person.
    """
    begins = next((n for n, m in enumerate(messages) if m.role != "system"), len(messages))
    rest = _alternating(messages[begins:])
    if not begins:
        return [messages, rest]
    system = _joined("system", messages[:begins])
    return [messages, [system, *rest], [_joined("user", [system, rest[0]]), *rest[1:]]]


def without_thoughts(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """What an assistant thought before it said something earlier is left out."""
    return [
        replace(m, content=m.content.rpartition(_END_OF_THOUGHTS)[2])
        if m.role == "assistant"
        else m
        for m in messages
    ]


def _alternating(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """What a system says in the middle of it counts as said by a user."""
    taken = [ChatMessage("user", "")]
    for message in messages:
        role: Role = "assistant" if message.role == "assistant" else "user"
        if taken[-1].role == role:
            taken[-1] = _joined(role, [taken[-1], message])
        else:
            taken.append(replace(message, role=role))
    return taken


def _joined(role: Role, messages: Sequence[ChatMessage]) -> ChatMessage:
    texts = [m.content.strip() for m in messages]
    return ChatMessage(role, _BETWEEN.join(filter(None, texts)))

"""A model's chat template: foreign code that renders messages to a prompt.

Each message's content is rendered as a placeholder, so that the template's own text can be
separated from text of people afterwards. Only the template's own text may become special
tokens; a role marker that a person types remains plain text. The template runs in a sandbox,
and a conversation that it does not accept is tried in plainer forms.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
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
from bot.inference.output.text import begun_tag, open_tag
from bot.types import ChatMessage, Role

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + "
    "message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""The template for models that have none."""

_OPEN, _CLOSE = "\ue000", "\ue001"
_MAX_EDGE = 256
_EDGE = "\x1f"  # white space to whoever trims a text, and in none of them
_PLACEHOLDER = re.compile(f"{_EDGE}?{_OPEN}\\d+{_CLOSE}{_EDGE}?")
_SHAPES: tuple[tuple[Role, ...], ...] = (
    ("user",),
    ("system", "user"),
    ("system", "user", "user"),
    ("system", "user", "assistant", "user"),
    ("user", "assistant", "user"),
)
"""Roles of the conversations that Parley sends; a template must accept each in some form."""

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

Segment = tuple[str, bool]
"""A text, and whether it is the template's own."""

_END_OF_REASONING = "</think>"
_BETWEEN = "\n\n"


class ChatTemplate:
    """A model's chat template. ``bos`` and ``eos`` are the texts of those tokens."""

    def __init__(self, source: str | None, *, bos: str = "", eos: str = "") -> None:
        """Raises ModelError for a template that cannot render a conversation."""
        self._names: dict[str, object] = {"bos_token": bos, "eos_token": eos, "tools": None}
        try:
            self._sandbox = Sandbox(source or CHATML)
        except TemplateFailed as why:
            raise ModelError(f"The model's chat template cannot be read: {why}.") from why
        self._names["tools"] = self._accepted_tools()
        self._drops_reasoning = self._wants_no_reasoning()
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

    def segments(self, messages: Sequence[ChatMessage]) -> list[Segment]:
        """The prompt as ``(text, from_template)`` pieces, ready for an answer.

        If the last message is open, the prompt ends with it.
        """
        if not any(message.is_open for message in messages[-1:]):
            return self._closed(messages)
        *earlier, last = messages
        is_plain = last.content.strip() and begun_tag(last.content) is None
        if is_plain:  # else the template may rewrite it
            with suppress(ConversationRefused):
                return _answering(self._closed(messages))
        opened = [*self._closed(earlier), (last.content, False)]
        return _answering(opened) if is_plain else _with_tags(opened)

    def _closed(self, messages: Sequence[ChatMessage]) -> list[Segment]:
        """The template's own form of the messages, cut after the last one if that is open."""
        if self._drops_reasoning:
            messages = without_reasoning(messages)
        try:
            return self._in_some_form(messages)
        except TemplateFailed as why:
            raise ConversationRefused(
                f"The model's chat template does not take this conversation: {why}."
            ) from why

    def shown(self) -> str:
        """The text that the template itself writes around messages of every role."""
        messages = [ChatMessage(role, "") for role in _SHAPES[3]]
        return "".join(text for text, _ in self.segments(messages))

    def _in_some_form(self, messages: Sequence[ChatMessage]) -> list[Segment]:
        """The segments of the first form in which the template renders every message."""
        *better, plainest = forms(messages)
        for form in better:
            with suppress(TemplateFailed):
                return self._segments(form)
        return self._segments(plainest)

    def _segments(self, messages: Sequence[ChatMessage]) -> list[Segment]:
        contents = [_placeholder(n, message.content) for n, message in enumerate(messages)]
        is_open = any(message.is_open for message in messages[-1:])
        rendered = self._render([m.role for m in messages], contents, opens_answer=not is_open)
        parts, places = _PLACEHOLDER.split(rendered), _PLACEHOLDER.findall(rendered)
        numbers = [int(place.strip(f"{_EDGE}{_OPEN}{_CLOSE}")) for place in places]
        if left_out := set(range(len(messages))) - set(numbers):
            role = messages[min(left_out)].role
            raise TemplateFailed(f"it leaves out what the {role} says")
        segments: list[Segment] = []
        own, *rest = parts
        for number, place, follows in zip(numbers, places, rest, strict=True):
            own, text, follows = _with_edges(own, place, messages[number].content, follows)
            segments += [(own, True), (text, False)]
            own = follows
        if is_open:
            own = ""
            segments[-1] = _whole_end(segments[-1][0], messages[numbers[-1]]), False
        return [(text, from_template) for text, from_template in [*segments, (own, True)] if text]

    def _render(
        self, roles: Sequence[Role], contents: Sequence[str], *, opens_answer: bool = True
    ) -> str:
        messages = [{"role": r, "content": c} for r, c in zip(roles, contents, strict=True)]
        names = {"messages": messages, "add_generation_prompt": opens_answer, **self._names}
        return self._sandbox.render(names)

    def _accepted_tools(self) -> list[str] | None:
        """None, or an empty list for a template that requires a list of tools."""
        try:
            self._render(["user"], ["Hi"])
        except TemplateFailed:
            return []
        return None

    def _wants_no_reasoning(self) -> bool:
        """Whether the template leaves the reasoning out of earlier answers."""
        try:
            text = self._render(["user", "assistant", "user"], ["1", "<think>2</think>3", "4"])
        except TemplateFailed:
            return False
        return "<think>2" not in text


def _placeholder(number: int, content: str) -> str:
    """Stands for a content in the template; with its white space, which a template may trim."""
    before, after = _edges(content)
    opens = f"{before[:_MAX_EDGE]}{_EDGE}" if before else ""
    closes = f"{_EDGE}{after[:_MAX_EDGE]}" if after else ""
    return f"{opens}{_OPEN}{number}{_CLOSE}{closes}"


def _edges(content: str) -> tuple[str, str]:
    """The white space at the beginning and at the end; all of it at the beginning if blank."""
    rest = content.lstrip()
    return content[: len(content) - len(rest)], rest[len(rest.rstrip()) :]


def _with_edges(own: str, place: str, content: str, follows: str) -> tuple[str, str, str]:
    """The content with the white space that the template has left around its placeholder.

    ``own`` and ``follows`` are the template's texts around it, returned without that.
    """
    before, after = _edges(content)
    text = content.strip()
    if place.startswith(_EDGE):
        given = before[:_MAX_EDGE]
        left = next(given[n:] for n in range(len(given) + 1) if own.endswith(given[n:]))
        own, text = own[: len(own) - len(left)], (before if left == given else left) + text
    if place.endswith(_EDGE):
        given = after[:_MAX_EDGE]
        left = next(given[:n] for n in range(len(given), -1, -1) if follows.startswith(given[:n]))
        text, follows = text + (after if left == given else left), follows[len(left) :]
    return own, text, follows


def _answering(segments: list[Segment]) -> list[Segment]:
    """Close the reasoning that the template has opened before the text of an open answer."""
    *before, content = segments
    tag = open_tag(before[-1][0]) if before and before[-1][1] else None
    closes = [(f"\n{tag.closes.decode()}{_BETWEEN}", True)] if tag else []
    return [*before, *closes, content]


def _with_tags(segments: list[Segment]) -> list[Segment]:
    """The tags around the reasoning of an open answer, which stands last, are the template's."""
    *before, (content, _) = segments
    if (begun := begun_tag(content)) is None:
        return segments
    opens, closes = begun.opens.decode(), begun.closes.decode()
    thought, is_closed, answer = content.lstrip().removeprefix(opens).partition(closes)
    if open_tag("".join(text for text, _ in before[-1:])):
        opens, thought = "", thought.lstrip()
    return [*before, (opens, True), (thought, False), (is_closed, True), (answer, False)]


def _whole_end(text: str, message: ChatMessage) -> str:
    """The text of an open message with all white space at its end, which the reply follows."""
    if not message.is_open:
        raise TemplateFailed("the last message does not come last")
    _, after = _edges(message.content)
    return text.rstrip() + after if message.content.strip() else text


def forms(messages: Sequence[ChatMessage]) -> list[Sequence[ChatMessage]]:
    """The same conversation in plainer and plainer forms.

    First unchanged; then with one system message at most, and user and assistant in turn,
    beginning with a user; then with the system message merged into the first user message.
    """
    begins = next((n for n, m in enumerate(messages) if m.role != "system"), len(messages))
    rest = _alternating(messages[begins:])
    if not begins:
        return [messages, rest]
    system = _joined("system", messages[:begins])
    return [messages, [system, *rest], [_joined("user", [system, rest[0]]), *rest[1:]]]


def without_reasoning(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """The messages without the reasoning in earlier answers, and the white space after it."""
    return [
        replace(m, content=m.content.rpartition(_END_OF_REASONING)[2].lstrip())
        if m.role == "assistant" and _END_OF_REASONING in m.content
        else m
        for m in messages
    ]


def _alternating(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """User and assistant in turn; later system messages become user messages."""
    taken = [ChatMessage("user", "")]
    for message in messages:
        role: Role = "assistant" if message.role == "assistant" else "user"
        if taken[-1].role == role:
            taken[-1] = _joined(role, [taken[-1], message])
        else:
            taken.append(replace(message, role=role))
    return taken


def _joined(role: Role, messages: Sequence[ChatMessage]) -> ChatMessage:
    texts = [m.content for m in messages if m.content.strip()]
    return ChatMessage(role, _BETWEEN.join(texts), is_open=messages[-1].is_open)


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

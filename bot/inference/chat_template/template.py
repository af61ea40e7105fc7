"""A model's chat template: foreign code that renders messages to a prompt.

Each message's content is rendered as a placeholder, so that the template's own text can be
separated from text of people afterwards. Only the template's own text may become special
tokens; a role marker that a person types remains plain text. The template runs in a sandbox,
and a conversation that it does not accept is tried in plainer forms.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from bot.errors import ConversationRefused, ModelError
from bot.generation import ChatMessage, Role, Tool
from bot.inference.chat_template.sandbox import Sandbox, TemplateFailed
from bot.inference.chat_template.tools import (
    HERMES,
    in_words,
    message_object,
    telling,
    told,
    tool_object,
    tried,
)
from bot.inference.output.text import begun_tag, open_tag

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

Segment = tuple[str, bool]
"""A text, and whether it is the template's own."""

_Form = tuple[Sequence[ChatMessage], Sequence[Tool]]
_END_OF_REASONING = "</think>"
_BETWEEN = "\n\n"


class ChatTemplate:
    """A model's chat template. ``bos`` and ``eos`` are the texts of those tokens.

    ``calls`` is how an answer calls tools.
    """

    def __init__(self, source: str | None, *, bos: str = "", eos: str = "") -> None:
        """Raises ModelError for a template that cannot render a conversation."""
        self._names: dict[str, object] = {"bos_token": bos, "eos_token": eos, "tools": None}
        try:
            self._sandbox = Sandbox(source or CHATML)
        except TemplateFailed as why:
            raise ModelError(f"The model's chat template cannot be read: {why}.") from why
        self._names["tools"] = self._accepted_tools()
        self._drops_reasoning = self._wants_no_reasoning()
        calls = tried(self._tried_with_tools)
        self._tells_tools = calls is not None
        self.calls = calls or HERMES
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

        If the last message is open, the prompt ends with it, beyond any reasoning.
        """
        if not any(message.is_open for message in messages[-1:]):
            return self._closed(messages)
        *earlier, last = messages
        is_plain = begun_tag(last.content) is None
        if is_plain and last.content.strip():  # else the template may rewrite it
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
        *better, (plainest, told_of) = self._forms(messages)
        for form, tools in better:
            with suppress(TemplateFailed):
                return self._segments(form, tools)
        return self._segments(plainest, told_of)

    def _forms(self, messages: Sequence[ChatMessage]) -> list[_Form]:
        """The forms with the tools that the template is given; for the last ones in our words."""
        tools, rest = told(messages)
        plain = in_words(rest)
        ours: list[_Form] = [(form, ()) for form in forms(telling(tools, plain))]
        if not self._tells_tools:
            return ours
        called = [rest] if any(message.calls for message in rest) else []
        theirs: list[_Form] = [(form, tools) for form in (*called, *forms(plain))]
        return [*theirs, *ours] if tools else theirs

    def _segments(
        self, messages: Sequence[ChatMessage], tools: Sequence[Tool] = ()
    ) -> list[Segment]:
        written: list[str] = []

        def put(text: str) -> str:
            written.append(text)
            return _placeholder(len(written) - 1, text)

        is_open = any(message.is_open for message in messages[-1:])
        told_of = [message for message in messages if message.content or not message.calls]
        contents = {id(message): put(message.content) for message in told_of}
        made = [message_object(m, contents.get(id(m), ""), put) for m in messages]
        offered = [tool_object(tool, put) for tool in tools]
        rendered = self._render(made, offered, opens_answer=not is_open)
        parts, places = _PLACEHOLDER.split(rendered), _PLACEHOLDER.findall(rendered)
        numbers = [int(place.strip(f"{_EDGE}{_OPEN}{_CLOSE}")) for place in places]
        if left_out := set(range(len(told_of))) - set(numbers):
            role = told_of[min(left_out)].role
            raise TemplateFailed(f"it leaves out what the {role} says")
        segments: list[Segment] = []
        own, *rest = parts
        for number, place, follows in zip(numbers, places, rest, strict=True):
            own, text, follows = _with_edges(own, place, written[number], follows)
            segments += [(own, True), (text, False)]
            own = follows
        if is_open:
            own = ""
            is_last = numbers[-1] == len(told_of) - 1
            segments[-1] = _whole_end(segments[-1][0], messages[-1], is_last=is_last), False
        return [(text, from_template) for text, from_template in [*segments, (own, True)] if text]

    def _render(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] = (),
        *,
        opens_answer: bool = True,
    ) -> str:
        names = {"messages": messages, "add_generation_prompt": opens_answer, **self._names}
        return self._sandbox.render({**names, "tools": tools} if tools else names)

    def _accepted_tools(self) -> list[str] | None:
        """None, or an empty list for a template that requires a list of tools."""
        try:
            self._render([{"role": "user", "content": "Hi"}])
        except TemplateFailed:
            return []
        return None

    def _tried_with_tools(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]
    ) -> str:
        """Empty if that fails."""
        try:
            return self._render(messages, tools, opens_answer=False)
        except TemplateFailed:
            return ""

    def _wants_no_reasoning(self) -> bool:
        """Whether the template leaves the reasoning out of earlier answers."""
        said = {"user": "1", "assistant": "<think>2</think>3"}
        roles = ("user", "assistant", "user")
        try:
            text = self._render([{"role": role, "content": said[role]} for role in roles])
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


def _whole_end(text: str, message: ChatMessage, *, is_last: bool) -> str:
    """The text of an open message with all white space at its end, which the reply follows."""
    if not is_last:
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

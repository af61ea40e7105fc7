"""Chat templates: foreign code, kept apart from what people typed.

A template is rendered with a placeholder for each message's content, so that afterwards
it is known which text came from the template and which from a person. Only the template's
own text may become special tokens: a role marker typed by a person stays plain text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress

from bot.errors import ConversationRefused, ModelError
from bot.inference.output.text import open_tag
from bot.inference.sandbox import Sandbox, TemplateFailed
from bot.inference.shapes import forms, without_thoughts
from bot.types import ChatMessage, Role

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

"""Markdown -> mrkdwn, the markup of Slack messages. Pure and total: any text in.

Nothing the model writes can ping or command: ``&``, ``<`` and ``>`` are escaped everywhere,
and the only ``<…>`` ever written is a link to http, https or mailto.
"""

from __future__ import annotations

from adapters.slack.spans import SlackSpans, escape
from bot.adapter_support.blocks import Line, Markup, renderer

_BULLETS = ("•", "◦", "▪")
_INDENT = "    "


def _bullet(depth: int) -> str:
    return _BULLETS[min(depth, len(_BULLETS)) - 1]


def _indented(line: Line, _: str) -> Line:
    return line if line.is_code or not line.text else Line(_INDENT + line.text)


def _quoted(line: Line) -> Line:
    return line if line.is_code else Line(f"> {line.text}")


render = renderer(Markup(SlackSpans, escape, escape, _bullet, _indented, _quoted))

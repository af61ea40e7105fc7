"""Blocks, of which Slack builds messages -> the mrkdwn that says the same. Pure and total."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from adapters.slack.mrkdwn.line import escape
from bot.adapter_support.payloads import Payload, items_of, table_of, tables_of, text_of

_INDENT = "    "


def text_of_blocks(blocks: Iterable[Payload]) -> str:
    """What can only be seen or pressed (pictures, buttons) is left out, but for its name."""
    return _lines(map(_block, blocks))


def _block(block: Payload) -> str:
    elements = tables_of(block, "elements")
    match text_of(block, "type"):
        case "rich_text":
            return _lines(map(_rich, elements))
        case "section":
            texts = (table_of(block, "text"), *tables_of(block, "fields"))
            return _lines(map(_text_object, texts))
        case "header":
            return _text_object(table_of(block, "text"))
        case "context":
            return " ".join(filter(None, map(_text_object, elements)))
        case "markdown":
            return escape(text_of(block, "text"))
        case "image" | "video":
            return _text_object(table_of(block, "title")) or escape(text_of(block, "alt_text"))
        case "table":
            return _lines(map(_row, items_of(block, "rows")))
    return ""


def _lines(texts: Iterable[str]) -> str:
    return "\n".join(filter(None, texts))


def _text_object(text: Payload) -> str:
    said = text_of(text, "text")
    return said if text_of(text, "type") == "mrkdwn" else escape(said)


def _row(row: Any) -> str:
    cells = tables_of({"cells": row}, "cells")
    return " | ".join(_block(cell) or escape(text_of(cell, "text")) for cell in cells)


def _rich(element: Payload) -> str:
    match text_of(element, "type"):
        case "rich_text_list":
            return _lines(_items(element))
        case "rich_text_quote":
            return "\n".join(f"&gt; {line}" for line in _inline(element).split("\n"))
        case "rich_text_preformatted":
            return f"```\n{_inline(element)}\n```"
    return _inline(element)


def _items(listing: Payload) -> Iterable[str]:
    depth, offset = listing.get("indent"), listing.get("offset")
    indent = _INDENT * min(depth, 8) if isinstance(depth, int) else ""
    first = offset + 1 if isinstance(offset, int) else 1
    is_numbered = text_of(listing, "style") == "ordered"
    for number, item in enumerate(tables_of(listing, "elements"), first):
        mark = f"{number}." if is_numbered else "•"
        yield f"{indent}{mark} {_inline(item)}"


def _inline(section: Payload) -> str:
    return "".join(map(_piece, tables_of(section, "elements")))


def _piece(piece: Payload) -> str:
    match text_of(piece, "type"):
        case "text":
            text = escape(text_of(piece, "text"))
            return f"`{text}`" if table_of(piece, "style").get("code") is True else text
        case "link":
            return _link(text_of(piece, "url"), text_of(piece, "text"))
        case "user":
            return f"<@{text_of(piece, 'user_id')}>"
        case "usergroup":
            return f"<!subteam^{text_of(piece, 'usergroup_id')}>"
        case "channel":
            return f"<#{text_of(piece, 'channel_id')}>"
        case "broadcast":
            return f"<!{text_of(piece, 'range')}>"
        case "emoji":
            return _emoji(piece)
        case "date":
            label = escape(text_of(piece, "fallback"))
            return label or f"<!date^{piece.get('timestamp')}^>"
        case "color":
            return escape(text_of(piece, "value"))
    return ""


def _link(url: str, label: str) -> str:
    return f"<{escape(url).replace('|', '%7C')}|{escape(label)}>" if label else f"<{escape(url)}>"


def _emoji(piece: Payload) -> str:
    """The character itself, where Slack gives its code points; else its name."""
    try:
        return "".join(chr(int(each, 16)) for each in text_of(piece, "unicode").split("-"))
    except (ValueError, OverflowError):
        return f":{text_of(piece, 'name')}:"

"""The JSON schema that answers are to follow."""

from __future__ import annotations

import json
from pathlib import Path

from bot.answer_formats import JsonSchema
from bot.errors import StartError


def read_schema(path: Path) -> JsonSchema:
    """Raises ``StartError`` for a file that holds none."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise StartError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise StartError(f"{path} is no text in UTF-8.") from None
    try:
        schema = json.loads(text)
    except ValueError as error:
        raise StartError(f"{path} is no JSON: {error}.") from None
    if not isinstance(schema, dict):
        raise StartError(f"{path} holds no JSON schema: that is an object.")
    return JsonSchema(json.dumps(schema, ensure_ascii=False))

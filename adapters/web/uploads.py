"""A question that comes as a form, with files."""

from __future__ import annotations

import json
import re
from http import HTTPStatus

from adapters.web.bodies import MAX_TEXT, NewTurn, in_words, read_as
from adapters.web.errors import BadRequest
from bot.adapter_support.multipart import FormPart, parts_of
from bot.chats import Upload

_FILES = "files"
_MAX_NAME = 200
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class UploadLimits:
    """Of one question. ``max_body``: bytes of a form with all of it."""

    def __init__(self, max_files: int, max_size: int) -> None:
        self._max_files = max_files
        self._max_size = max_size
        self.max_body = max_files * max_size + MAX_TEXT

    def read(self, content_type: str, body: bytes) -> tuple[NewTurn, list[Upload]]:
        """Raises ``RequestError``. Slow for large files."""
        files, fields = list[Upload](), dict[str, str]()
        for part in parts_of(content_type, body):
            if part.name == _FILES and part.filename is not None:
                files += self._upload(part)
            elif part.name in fields:
                raise BadRequest(f"{part.name[:_MAX_NAME]!r} stands in the form twice.")
            else:
                fields[part.name] = part.text
        if len(files) > self._max_files:
            raise BadRequest(f"At most {self._max_files} files come with one question.")
        return _turn(fields), files

    def _upload(self, part: FormPart) -> list[Upload]:
        """Nothing for a file that was not chosen."""
        name = _name(part.filename or "")
        if not part.filename and not part.data:
            return []
        if len(part.data) > self._max_size:
            sentence = f"{name} is too large; a file has at most {in_words(self._max_size)}."
            raise BadRequest(sentence, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return [Upload(name, part.media_type, part.data)]


def _turn(fields: dict[str, str]) -> NewTurn:
    return read_as(NewTurn, json.dumps(fields).encode())


def _name(filename: str) -> str:
    """Of the file alone, whatever folder a browser names."""
    name = re.split(r"[/\\]", filename)[-1]
    return _CONTROL.sub(" ", name).strip()[:_MAX_NAME] or "file"

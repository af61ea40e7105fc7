"""The page itself: one file each of HTML, style and script, without anything of a chat."""

from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path

from aiohttp import web

from adapters.web.headers import SAFE

_FOLDER = Path(__file__).parent / "static"
_FOR_READERS = re.compile(rb"^\t*(//.*|/\*+[^*]*\*/)\n|^\t+", re.MULTILINE)
"""Comments that have their lines to themselves, and indentation: a browser needs neither."""
_SOURCES = {path.name: _FOR_READERS.sub(b"", path.read_bytes()) for path in _FOLDER.iterdir()}
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}


class StaticFile:
    """In memory, plain and compressed; a browser asks each time whether its copy still holds."""

    def __init__(self, name: str) -> None:
        self._plain = _SOURCES[name]
        self._compressed = gzip.compress(self._plain, 9, mtime=0)
        self._headers = {
            **SAFE,
            "Content-Type": f"{_TYPES[Path(name).suffix]}; charset=utf-8",
            "Cache-Control": "no-cache",
            "ETag": f'W/"{hashlib.sha256(self._plain).hexdigest()[:20]}"',
            "Vary": "Accept-Encoding",
        }

    async def get(self, request: web.Request) -> web.Response:
        if self._is_kept_by(request):
            return web.Response(status=304, headers=self._headers)
        return self.response(request)

    def response(self, request: web.Request, status: int = 200) -> web.Response:
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            headers = {**self._headers, "Content-Encoding": "gzip"}
            return web.Response(status=status, body=self._compressed, headers=headers)
        return web.Response(status=status, body=self._plain, headers=self._headers)

    def _is_kept_by(self, request: web.Request) -> bool:
        value = self._headers["ETag"].removeprefix("W/").strip('"')
        return any(each.value in (value, "*") for each in request.if_none_match or ())

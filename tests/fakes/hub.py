"""A Hugging Face hub on this machine, as strict as the real one, and its storage on another port.

It answers what ``huggingface_hub`` asks and nothing else. The storage serves parts of files,
and takes an address once it was signed, and never a token.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
_API = re.compile(r"/api/models/([^/]+/[^/?]+)\?blobs=true")
_FILE = re.compile(r"/([^/]+/[^/]+)/resolve/([0-9a-f]{40})/(.+)")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass(frozen=True, slots=True)
class Asked:
    """``at``: hub or storage; ``headers`` by their names in small letters."""

    at: str
    method: str
    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """Instead of what would be answered."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class FakeHub:
    """``files`` by repository and path.

    ``next_api``, ``next_file``, ``next_storage``: answers to the next requests of that kind;
    None is what would be answered anyway.
    ``cuts``: after how many bytes the next downloads break. ``token``: the only one that is
    accepted; without it a repository is not there. ``gated``: repositories nobody may read.
    ``served``: what the storage gives instead of the file of that SHA-256. ``claims``: sizes by
    path that are not the files'. ``etag``: the one of every file, if it is not its SHA-256.
    """

    url: str = ""
    storage_url: str = ""
    commit: str = COMMIT
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    token: str | None = None
    gated: set[str] = field(default_factory=set)
    next_api: deque[Answer] = field(default_factory=deque)
    next_file: deque[Answer] = field(default_factory=deque)
    next_storage: deque[Answer | None] = field(default_factory=deque)
    cuts: deque[int] = field(default_factory=deque)
    served: dict[str, bytes] = field(default_factory=dict)
    knows_ranges: bool = True
    claims: dict[str, int] = field(default_factory=dict)
    etag: str | None = None
    asked: list[Asked] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    stalled: threading.Event | None = None
    """Set by the test when a download that was cut may go on; until then it hangs."""

    def blobs(self) -> dict[str, bytes]:
        return {sha256(data): data for files in self.files.values() for data in files.values()}

    def downloads(self) -> list[str]:
        """The ``Range`` of every download; looks at a file's beginning are left out."""
        ranges = [each.headers.get("range", "") for each in self.asked if each.at == "storage"]
        return [each for each in ranges if not each.startswith("bytes=0-")]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@contextmanager
def running_hub() -> Iterator[FakeHub]:
    """Fails afterwards if anything was asked that the real one does not know."""
    hub = FakeHub()
    with _serving(_HubHandler, hub) as url, _serving(_StorageHandler, hub) as storage_url:
        hub.url, hub.storage_url = url, storage_url
        yield hub
        if hub.stalled:
            hub.stalled.set()
    assert hub.strange == []


@contextmanager
def _serving(handler: type[_Handler], hub: FakeHub) -> Iterator[str]:
    bound: Any = type(handler.__name__, (handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), bound)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    at: str
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Says nothing."""

    def do_HEAD(self) -> None:
        self._take()

    def do_GET(self) -> None:
        self._take()

    def _take(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.hub.asked.append(Asked(self.at, self.command, self.path, headers))
        self.answer()

    def answer(self) -> None:
        raise NotImplementedError

    def send(
        self, status: int, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse_strange(self, why: str) -> None:
        self.hub.strange.append(f"{self.command} {self.path} at the {self.at}: {why}")
        self.send(400)


class _HubHandler(_Handler):
    at = "hub"

    def answer(self) -> None:
        if found := _API.fullmatch(self.path):
            self._api(found[1])
        elif found := _FILE.fullmatch(urlsplit(self.path).path):
            self._file(found[1], found[2], unquote(found[3]))
        else:
            self.refuse_strange("no such route")

    def _api(self, repository: str) -> None:
        if self.hub.next_api:
            scripted = self.hub.next_api.popleft()
            return self.send(scripted.status, scripted.headers)
        if not self._may_see(repository):
            return None
        siblings = [
            {"rfilename": path, "size": self.hub.claims.get(path, len(data)), **_lfs(path, data)}
            for path, data in self.hub.files[repository].items()
        ]
        about = {"id": repository, "sha": self.hub.commit, "siblings": siblings, "private": False}
        body = json.dumps({**about, "gated": "manual" if repository in self.hub.gated else False})
        return self.send(200, {"Content-Type": "application/json"}, body.encode())

    def _file(self, repository: str, commit: str, path: str) -> None:
        if self.hub.next_file:
            scripted = self.hub.next_file.popleft()
            return self.send(scripted.status, scripted.headers)
        if not self._may_see(repository):
            return None
        if repository in self.hub.gated:
            status = 403 if "Authorization" in self.headers else 401
            return self.send(status, {"X-Error-Code": "GatedRepo"})
        data = self.hub.files[repository].get(path)
        if data is None or commit != self.hub.commit:
            return self.send(404, {"X-Error-Code": "EntryNotFound"})
        key = sha256(data)
        xet = {"X-Xet-Hash": "f" * 64, "Link": f'<{self.hub.url}/xet>; rel="xet-auth"'}
        named = {"X-Repo-Commit": commit, "X-Linked-Etag": f'"{self.hub.etag or key}"'}
        size = {"X-Linked-Size": str(len(data)), "Accept-Ranges": "bytes"}
        location = {"Location": f"{self.hub.storage_url}/{key}?signature=secret"}
        return self.send(302, {**xet, **named, **size, **location})

    def _may_see(self, repository: str) -> bool:
        """A repository that is missing and one that is private look the same."""
        given = self.headers.get("Authorization")
        if given and given != f"Bearer {self.hub.token}":
            message = "Invalid credentials in Authorization header"
            self.send(401, {"X-Error-Message": message})
        elif repository not in self.hub.files or (self.hub.token and not given):
            self.send(404 if given else 401, {"X-Error-Code": "RepoNotFound"})
        else:
            return True
        return False


class _StorageHandler(_Handler):
    at = "storage"

    def answer(self) -> None:
        url = urlsplit(self.path)
        key = url.path.removeprefix("/")
        data = self.hub.blobs().get(key)
        if "Authorization" in self.headers:
            self.refuse_strange("a token")
        elif data is None or url.query != "signature=secret" or self.command != "GET":
            self.refuse_strange("no such file")
        elif self.headers.get("Accept-Encoding") not in (None, "identity") and self._is_whole():
            self.refuse_strange("a compressed model")
        elif scripted := self._scripted():
            self.send(scripted.status, scripted.headers)
        else:
            self._give(self.hub.served.get(key, data))

    def _scripted(self) -> Answer | None:
        is_next = self.hub.next_storage and self._is_whole()
        return self.hub.next_storage.popleft() if is_next else None

    def _is_whole(self) -> bool:
        """Whether this is a download, and not a look at the beginning."""
        return not self.headers.get("Range", "").startswith("bytes=0-")

    def _give(self, data: bytes) -> None:
        found = _RANGE.fullmatch(self.headers.get("Range", ""))
        status, headers, body = 200, {}, data
        if found and self.hub.knows_ranges:
            start, end = int(found[1]), min(int(found[2] or len(data) - 1), len(data) - 1)
            body = data[start : end + 1]
            status, headers = 206, {"Content-Range": f"bytes {start}-{end}/{len(data)}"}
        if self.hub.cuts and self._is_whole():
            self._break(status, headers, body, self.hub.cuts.popleft())
        else:
            self.send(status, headers, body)

    def _break(self, status: int, headers: Mapping[str, str], body: bytes, after: int) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:after])
        self.wfile.flush()
        if self.hub.stalled:
            self.hub.stalled.wait()
        self.close_connection = True


def _lfs(path: str, data: bytes) -> dict[str, object]:
    """As the real one, only large kinds of files have it."""
    if not path.endswith(".gguf"):
        return {}
    return {"lfs": {"sha256": sha256(data), "size": len(data), "pointerSize": 134}}

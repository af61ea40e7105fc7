"""The files of a Slack workspace, behind its token."""

from __future__ import annotations

from typing import Any

from aiohttp import web

Json = dict[str, Any]

PATH = "/files-pri/{name}"
SIGN_IN = b"<!DOCTYPE html><html><head><title>Slack</title></head><body>Sign in</body></html>"


class FileShelf:
    """``is_open``: the app has ``files:read``. Without it or without a token Slack does not
    refuse: it sends to its sign-in page, which is a page like any other (200)."""

    def __init__(self) -> None:
        self.url = ""
        self.is_open = True
        self.files: dict[str, bytes] = {}
        self.moved: dict[str, str] = {}
        self.abroad: dict[str, Json] = {}
        self.statuses: dict[str, int] = {}
        self.asked: list[str] = []

    def put(self, name: str, data: bytes, media: str = "text/plain") -> Json:
        """As ``files`` of a message names it."""
        self.files[name] = data
        address = f"{self.url}/files-pri/{name}"
        return {
            "id": f"F{len(self.files):03}",
            "name": name,
            "mimetype": media,
            "size": len(data),
            "url_private": f"{address}?view",
            "url_private_download": address,
        }

    def put_abroad(self, name: str, data: bytes) -> Json:
        """A file of another workspace: Slack Connect tells its id and nothing else, and
        ``files.info`` has to be asked (docs: the message event ``file_share``)."""
        file = self.put(name, data)
        self.abroad[file["id"]] = file
        return {"id": file["id"], "mode": "file_access", "file_access": "check_file_info"}

    async def serve(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        self.asked.append(name)
        if name in self.statuses:
            return web.Response(status=self.statuses[name])
        if "view" in request.query and name.endswith(".pdf"):
            # seen at Slack: the address of a PDF for viewers leads to its public host
            raise web.HTTPFound("https://slack-files.example/T01-F01")
        if name in self.moved:
            raise web.HTTPFound(self.moved[name])
        if not self.is_open or not request.headers.get("Authorization", "").startswith("Bearer "):
            return web.Response(body=SIGN_IN, content_type="text/html")
        return web.Response(body=self.files[name])

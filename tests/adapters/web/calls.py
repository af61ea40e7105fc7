"""Every route that is about somebody's chats, and what a page sends there."""

from __future__ import annotations

from tests.adapters.web.browser import Browser, Reply

BODIES: dict[tuple[str, str], object] = {
    ("POST", "/page/chats/{chat}/turns"): {"text": "And then?"},
    ("PATCH", "/page/chats/{chat}"): {"title": "Changed", "personality": "coder"},
    ("DELETE", "/page/chats/{chat}"): None,
    ("POST", "/page/turns/{turn}/stop"): {},
    ("POST", "/page/turns/{turn}/retry"): {},
    ("POST", "/page/turns/{turn}/continue"): {},
    ("PUT", "/page/turns/{turn}/question"): {"text": "Changed"},
    ("PUT", "/page/turns/{turn}/answer"): {"number": 1},
    ("PUT", "/page/turns/{turn}/rating"): {"rating": 1},
}
CHANGES = [*BODIES]
READS = [
    ("GET", "/page/chats"),
    ("GET", "/page/chats?search=secret"),
    ("GET", "/page/chats/{chat}"),
    ("GET", "/page/chats/{chat}?as=markdown"),
    ("GET", "/page/chats/{chat}/export"),
    ("GET", "/page/chats/{chat}/export?format=markdown"),
    ("GET", "/page/turns/{turn}/answers/1"),
    ("GET", "/page/events?chat={chat}"),
]
OWNED = [*CHANGES, *READS]


async def call(browser: Browser, route: tuple[str, str], chat: str, turn: str) -> Reply:
    method, path = route
    body = BODIES.get(route)
    options = {} if body is None else {"json": body}
    return await browser.call(method, path.format(chat=chat, turn=turn), **options)

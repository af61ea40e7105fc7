"""Reply chains: the message that a chain began with, and what was said before."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from adapters.discord.ids import MessageRef
from adapters.discord.rest import Rest
from adapters.discord.text import Identity, Payload, name_of, read_text, table, tables
from adapters.discord.text import text_of as text
from bot.errors import PlatformError

_MAX_ROOTS = 10_000
_MAX_STEPS = 20
_NUM_EARLIER = 50
_STARTER = 21


class Chains:
    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._roots: OrderedDict[str, str] = OrderedDict()

    def remember(self, message: str, root: str) -> None:
        self._roots[message] = root
        self._roots.move_to_end(message)
        if len(self._roots) > _MAX_ROOTS:
            self._roots.popitem(last=False)

    async def root_of(self, message: Payload) -> str:
        """The id of the message (or interaction) that the chain of this message began with."""
        channel, chain = text(message, "channel_id"), [text(message, "id")]
        above = message
        root = ""
        for _ in range(_MAX_STEPS):
            following = _answered_id(above)
            root = self._roots.get(following, "") or _interaction_id(above)
            if root or not following:
                break
            chain.append(following)
            above = table(above, "referenced_message") or await self._get(channel, following)
        root = root or chain[-1]
        for each in chain:
            self.remember(each, root)
        return root

    async def before(self, channel: str, message: Payload, me: Identity) -> list[tuple[str, str]]:
        """The messages that this one answers, oldest first."""
        said: list[tuple[str, str]] = []
        above = message
        for _ in range(_MAX_STEPS):
            following = _answered_id(above)
            if not following:
                break
            above = table(above, "referenced_message") or await self._get(channel, following)
            said.append(_said(above, me))
        return [line for line in reversed(said) if line[1]]

    async def in_thread(self, thread: str, before: str, me: Identity) -> list[tuple[str, str]]:
        """The latest messages of a thread, and the one that it was opened from."""
        found = await self._rest.call(
            "GET",
            "/channels/{channel_id}/messages",
            channel_id=thread,
            query={"before": before, "limit": _NUM_EARLIER},
        )
        messages = [m for m in found if isinstance(m, dict)] if isinstance(found, list) else []
        lines = (_said(_origin(each), me) for each in reversed(messages))
        return [line for line in lines if line[1]]

    async def message(self, ref: MessageRef) -> Payload:
        return await self._get(ref.channel, ref.message)

    async def _get(self, channel: str, message: str) -> Payload:
        """Empty if it is gone or may not be read."""
        try:
            found = await self._rest.call(
                "GET",
                "/channels/{channel_id}/messages/{message_id}",
                channel_id=channel,
                message_id=message,
            )
        except PlatformError:
            return {}
        return found if isinstance(found, dict) else {}


def earlier_text(lines: Sequence[tuple[str, str]], max_characters: int) -> list[tuple[str, str]]:
    """The newest that fit."""
    kept: list[tuple[str, str]] = []
    room = max_characters
    for name, said in reversed(lines):
        room -= len(said)
        if room < 0:
            break
        kept.append((name, said))
    return kept[::-1]


def _answered_id(message: Payload) -> str:
    """Forwarded messages refer to another one, too, but answer nothing."""
    reference = table(message, "message_reference")
    is_answer = reference.get("type", 0) == 0 and message.get("type") != _STARTER
    return text(reference, "message_id") if is_answer else ""


def _interaction_id(message: Payload) -> str:
    return text(table(message, "interaction_metadata"), "id")


def _origin(message: Payload) -> Payload:
    is_starter = message.get("type") == _STARTER
    return table(message, "referenced_message") if is_starter else message


def _said(message: Payload, me: Identity) -> tuple[str, str]:
    files = " ".join(f"[{text(file, 'filename')}]" for file in tables(message, "attachments"))
    said = f"{read_text(message, me).text} {files}".strip()
    return name_of(table(message, "author")), said

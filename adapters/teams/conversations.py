"""Conversations of Teams: their ids, and the service address of each tenant."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bot.adapter_support.payloads import Payload, table_of, text_of
from bot.types import Place

logger = logging.getLogger(__name__)

_PUBLIC = "https://smba.trafficmanager.net/teams/"
"""Microsoft's address for a tenant whose own is not known."""

_MESSAGE_ID = ";messageid="
_MESSAGES = ("message", "messageUpdate", "messageDelete")
_NO_TENANT = "none"
"""The tenant of tools on this machine; Teams always names one."""

_MAX_REMEMBERED = 10_000
_FILE = "services.json"


@dataclass(frozen=True, slots=True)
class Conversation:
    """The conversation of an activity. ``root``: the first message of a channel's thread."""

    tenant: str
    id: str
    root: str
    kind: str
    service_url: str

    @property
    def is_personal(self) -> bool:
        return self.kind == "personal"

    @property
    def place(self) -> Place:
        return Place("teams", self.tenant, self.id, self.root)


def read_conversation(activity: Payload) -> Conversation | None:
    """None where the activity names none. botbuilder's own ``tenant_id`` is always empty."""
    table = table_of(activity, "conversation")
    channel, _, root = text_of(table, "id").partition(_MESSAGE_ID)
    data_tenant = text_of(table_of(table_of(activity, "channelData"), "tenant"), "id")
    tenant = text_of(table, "tenantId") or data_tenant or _NO_TENANT
    kind = text_of(table, "conversationType") or _likely_kind(table, root)
    if not channel:
        return None
    if kind == "channel" and not root and text_of(activity, "type") in _MESSAGES:
        root = text_of(activity, "id")
    return Conversation(tenant, channel, root, kind, text_of(activity, "serviceUrl"))


def _likely_kind(table: Payload, root: str) -> str:
    """For activities that do not name it: not personal if others may read along."""
    if root:
        return "channel"
    return "groupChat" if table.get("isGroup") else "personal"


def id_of(place: Place) -> str:
    """The connector's id of the place: a channel's thread is a conversation of its own."""
    return f"{place.channel}{_MESSAGE_ID}{place.thread}" if place.thread else place.channel


class ConversationReferences:
    """Remembers the service address of each tenant in a file, and which chats are personal."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._services: dict[str, str] = {}
        self._personal: OrderedDict[str, None] = OrderedDict()
        self._writing = asyncio.Lock()

    async def load(self) -> None:
        if self._folder is not None and not self._services:
            self._services = await asyncio.to_thread(_read, self._folder / _FILE)

    async def meet(self, conversation: Conversation) -> None:
        """Returns once a new service address is on disk."""
        if conversation.is_personal:
            self._personal[conversation.id] = None
            self._personal.move_to_end(conversation.id)
            if len(self._personal) > _MAX_REMEMBERED:
                self._personal.popitem(last=False)
        if self._services.get(conversation.tenant) != conversation.service_url:
            self._services[conversation.tenant] = conversation.service_url
            await self._save()

    def is_personal(self, place: Place) -> bool:
        """False also for a personal chat without a message since the start."""
        return place.channel in self._personal

    def service_url(self, place: Place) -> str:
        return self._services.get(place.workspace, _PUBLIC)

    async def _save(self) -> None:
        if self._folder is None:
            return
        try:
            async with self._writing:
                await asyncio.to_thread(_write, self._folder, dict(self._services))
        except OSError as error:
            logger.warning("a service address could not be kept: %s", error.strerror)


def _read(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    items = found.items() if isinstance(found, dict) else ()
    return {key: value for key, value in items if isinstance(value, str)}


def _write(folder: Path, services: Mapping[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f"{_FILE}.new"
    fresh.write_text(json.dumps(services, indent=1), encoding="utf-8")
    fresh.replace(folder / _FILE)

"""The actions behind the routes of the fake Discord; no wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bot.ports import Clock
from tests.fakes.discord_guild import (
    ADA,
    APP,
    BOT,
    DIRECT,
    UNKNOWN_INTERACTION,
    UNKNOWN_MESSAGE,
    Asked,
    Json,
    Refused,
    numbered,
)
from tests.fakes.discord_people import ACK_SECONDS, FakePeople

SEND = "POST /channels/{channel_id}/messages"
EDIT = "PATCH /channels/{channel_id}/messages/{message_id}"
DELETE = "DELETE /channels/{channel_id}/messages/{message_id}"
THREAD = "POST /channels/{channel_id}/messages/{message_id}/threads"
CALLBACK = "POST /interactions/{interaction_id}/{interaction_token}/callback"
EDIT_ORIGINAL = "PATCH /webhooks/{webhook_id}/{webhook_token}/messages/@original"
FOLLOW_UP = "POST /webhooks/{webhook_id}/{webhook_token}"
_WEBHOOK = "/webhooks/{webhook_id}/{webhook_token}"
_COMMANDS = "/applications/{application_id}/commands"
_GUILD_COMMANDS = "/applications/{application_id}/guilds/{guild_id}/commands"
_MESSAGE = "/channels/{channel_id}/messages/{message_id}"


Action = Callable[[Json, Any, Mapping[str, str]], Any]


class FakeRest(FakePeople):
    """Each action is given the ids in its path, the body and the query."""

    def __init__(self, clock: Clock, *, message_content: bool = True, num_shards: int = 1) -> None:
        super().__init__(clock, message_content=message_content)
        self.num_shards = num_shards

    def routes(self) -> Mapping[str, Action]:
        return {
            "GET /users/@me": lambda *_: {
                **self.user(BOT),
                "mfa_enabled": True,
                "locale": "en-US",
            },
            "GET /oauth2/applications/@me": lambda *_: self._application(),
            "GET /gateway/bot": lambda *_: self._gateway_bot(),
            f"GET {_COMMANDS}": lambda *_: self.commands,
            f"PUT {_COMMANDS}": self._put_commands,
            f"GET {_GUILD_COMMANDS}": lambda ids, *_: self.guild_commands.get(ids["guild_id"], []),
            f"PUT {_GUILD_COMMANDS}": self._put_guild_commands,
            "POST /users/@me/channels": lambda *_: self.channels[DIRECT],
            "GET /channels/{channel_id}": self._get_channel,
            "PATCH /channels/{channel_id}": self._change_channel,
            "POST /channels/{channel_id}/typing": self._typing,
            SEND: self._send,
            "GET /channels/{channel_id}/messages": self._history,
            f"GET {_MESSAGE}": self._get_message,
            EDIT: lambda ids, body, _: self._edit(ids, body),
            DELETE: self._delete,
            THREAD: self._thread,
            f"PUT {_MESSAGE}/reactions/{{emoji}}/@me": self._add_reaction,
            f"DELETE {_MESSAGE}/reactions/{{emoji}}/@me": self._remove_reaction,
            CALLBACK: self._callback,
            EDIT_ORIGINAL: lambda ids, body, _: self._edit_answer(ids, body),
            f"DELETE {_WEBHOOK}/messages/@original": lambda ids, *_: self._drop_answer(ids),
            f"PATCH {_WEBHOOK}/messages/{{message_id}}": lambda i, b, _: self._edit_answer(i, b),
            f"DELETE {_WEBHOOK}/messages/{{message_id}}": lambda ids, *_: self._drop_answer(ids),
            FOLLOW_UP: self._follow_up,
        }

    def _application(self) -> Json:
        flags = 1 << 19 if self.message_content else 0
        owner = self.user(ADA)
        return {
            "id": APP,
            "name": "Parley",
            "icon": None,
            "description": "",
            "type": None,
            "bot_public": True,
            "bot_require_code_grant": False,
            "owner": owner,
            "team": None,
            "verify_key": "00",
            "flags": flags,
            "flags_new": str(flags),
            "redirect_uris": [],
            "interactions_endpoint_url": None,
            "role_connections_verification_url": None,
            "approximate_guild_count": 1,
            "approximate_user_install_count": 0,
            "approximate_user_authorization_count": 0,
            "explicit_content_filter": 0,
            "eligible_oauth2_scopes": ["bot", "applications.commands"],
        }

    def _gateway_bot(self) -> Json:
        limit = {"total": 1000, "remaining": 999, "reset_after": 1, "max_concurrency": 1}
        return {"url": self.gateway_url, "shards": self.num_shards, "session_start_limit": limit}

    def _put_commands(self, _: Json, body: list[Json], __: Any) -> list[Json]:
        self.commands = self._registered(body)
        return self.commands

    def _put_guild_commands(self, ids: Json, body: list[Json], __: Any) -> list[Json]:
        self.guild_commands[ids["guild_id"]] = self._registered(body)
        return self.guild_commands[ids["guild_id"]]

    def _registered(self, commands: list[Json]) -> list[Json]:
        extra = {"application_id": APP, "version": "1", "default_member_permissions": None}
        return [
            {"id": str(n), "description": "", **each, **extra} for n, each in enumerate(commands, 1)
        ]

    def _get_channel(self, ids: Json, *_: Any) -> Json:
        return self.check_channel(ids["channel_id"], "see")

    def _change_channel(self, ids: Json, body: Json, _: Any) -> Json:
        channel = self.check_channel(ids["channel_id"])
        channel["thread_metadata"]["archived"] = body["archived"]
        return channel

    def _typing(self, ids: Json, *_: Any) -> None:
        self.check_channel(ids["channel_id"])
        self.num_typings += 1

    def _send(self, ids: Json, body: Json, _: Any) -> Json:
        self.check_channel(ids["channel_id"])
        return self.write(ids["channel_id"], body)

    def _history(self, ids: Json, _: Any, query: Mapping[str, str]) -> list[Json]:
        self.check_channel(ids["channel_id"], "read")
        here = [m for m in self.messages.values() if m["channel_id"] == ids["channel_id"]]
        here = [m for m in here if int(m["id"]) < int(query.get("before", 1 << 63))]
        here = [m for m in here if m["id"] not in self.hidden]
        newest_first = sorted(here, key=lambda m: -int(m["id"]))
        return newest_first[: int(query.get("limit", 50))]

    def _get_message(self, ids: Json, *_: Any) -> Json:
        self.check_channel(ids["channel_id"], "read")
        message = self.messages.get(ids["message_id"])
        if message is None or message["channel_id"] != ids["channel_id"]:
            raise UNKNOWN_MESSAGE
        return message

    def _edit(self, ids: Json, body: Json) -> Json:
        self.check_channel(ids["channel_id"])
        message = self.own(ids["message_id"])
        if message["channel_id"] != ids["channel_id"] or message["id"] in self.hidden:
            raise UNKNOWN_MESSAGE
        return self.change(ids["message_id"], body)

    def _delete(self, ids: Json, *_: Any) -> None:
        self.own(ids["message_id"])
        if ids["message_id"] in self.hidden:
            raise UNKNOWN_MESSAGE
        del self.messages[ids["message_id"]]

    def _thread(self, ids: Json, body: Json, _: Any) -> Json:
        return self.open_thread(ids["channel_id"], ids["message_id"], body["name"])

    def _add_reaction(self, ids: Json, *_: Any) -> None:
        self._get_message(ids)
        self.reactions.add((ids["message_id"], ids["emoji"]))

    def _remove_reaction(self, ids: Json, *_: Any) -> None:
        self.reactions.discard((ids["message_id"], ids["emoji"]))

    # Interactions

    def _callback(self, ids: Json, body: Json, query: Mapping[str, str]) -> Json | None:
        asked = self.interactions.get(ids["interaction_id"])
        late = asked is None or self.clock.monotonic() - asked.made_at > ACK_SECONDS
        if asked is None or late or asked.token != ids["interaction_token"]:
            raise UNKNOWN_INTERACTION
        if asked.callback is not None:
            raise Refused(400, 40060, "Interaction has already been acknowledged.")
        asked.callback, asked.data = body["type"], body.get("data") or {}
        asked.acked_after = self.clock.monotonic() - asked.made_at
        if body["type"] in (4, 5):
            self._begin_answer(asked)
        elif body["type"] == 7:
            self.change(asked.message, asked.data)
        if query.get("with_response") != "true":
            return None
        return self._callback_answer(asked)

    def _callback_answer(self, asked: Asked) -> Json:
        """Only an immediate answer comes with its message."""
        answer: Json = {"interaction": {"id": asked.id, "type": asked.kind}}
        if asked.original:
            answer["interaction"]["response_message_id"] = asked.original
            answer["interaction"]["response_message_loading"] = asked.callback == 5
        changed = {4: asked.original, 7: asked.message}.get(asked.callback or 0)
        if changed:
            answer["resource"] = {"type": asked.callback, "message": self.messages[changed]}
        return answer

    def _begin_answer(self, asked: Asked) -> None:
        self.check_text(asked.data)
        text, metadata = asked.data.get("content", ""), self.metadata(asked)
        message = self.keep(asked.channel, BOT, text, interaction_metadata=metadata)
        message["components"] = numbered(asked.data.get("components", []))
        asked.original = message["id"]
        if asked.data.get("flags", 0) & 64:
            self.hidden[message["id"]] = asked.user

    def _edit_answer(self, ids: Json, body: Json) -> Json:
        asked = self.interaction(ids["webhook_token"])
        return self.change(ids.get("message_id", asked.original), body)

    def _drop_answer(self, ids: Json) -> None:
        asked = self.interaction(ids["webhook_token"])
        message_id = ids.get("message_id", asked.original)
        self.own(message_id)
        del self.messages[message_id]
        self.hidden.pop(message_id, None)

    def _follow_up(self, ids: Json, body: Json, _: Any) -> Json:
        asked = self.interaction(ids["webhook_token"])
        if asked.callback is None:
            raise Refused(404, 10015, "Unknown Webhook")
        message = self.write(asked.channel, body, interaction_metadata=self.metadata(asked))
        if body.get("flags", 0) & 64:
            self.hidden[message["id"]] = asked.user
        return message

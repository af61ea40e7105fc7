"""A workspace as Slack's Web API keeps it: state and rules, no wire (see ``tests.fakes.slack``).

It refuses what Slack refuses (foreign messages, sizes, empty text, strangers to a channel) and
notes in ``violations`` what Slack would let pass but Parley must never do. Each rule stands beside
what forces it: a quotation is from the project's page of facts about Slack, else it is said whose.
"""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

from bot.ports import Clock
from tests.fakes.slack_blocks import controls, problem_with
from tests.fakes.slack_commands import FakeCommands
from tests.fakes.slack_files import FileShelf
from tests.fakes.slack_panel import PanelOfWorkspace, Refused
from tests.fakes.slack_rates import FakeRates
from tests.fakes.slack_streams import FakeStreams

TEAM, BOT, ADA, BOB, BOSS = "T01", "UBOT", "U01", "U02", "U03"
CHANNEL, DIRECT, NOT_A_MEMBER = "C01", "D01", "C02"
WORKFLOW = "BFLOW"
MAX_TEXT = 4000  # "Text: keep a message under 4,000 characters (40,000 is cut)"

# "never let model text form `<!channel>`, `<!here>`, `<!everyone>` or user pings"
_PING = re.compile(r"<(?:!(?!date)|@)")
# "`markdown_text` (post, stream) [...] take real Markdown": no parse=none holds such names back.
_NAME = re.compile(r"@(?:here|channel|everyone)\b", re.IGNORECASE)
_SAY = ("text", "blocks", "markdown_text", "chunks")

Json = dict[str, Any]


class FakeWorkspace(PanelOfWorkspace):
    """``update_limit``: edits a minute; further ones are refused and counted.

    ``filter``: words that are refused, and with which error; ``unthreadable`` and ``archived``:
    channels. ``members``: the channels that Parley is in. ``foreign``: the workspaces of people who
    are in a channel that is shared with another one.
    """

    def __init__(self, clock: Clock, update_limit: int) -> None:
        super().__init__()
        self.clock = clock
        self.streams = FakeStreams(clock)
        self.commands = FakeCommands(clock)
        self.violations: list[str] = []
        self.rates = FakeRates(clock, update_limit, self.violations)
        self.messages: dict[tuple[str, str], Json] = {}
        self.reactions: set[tuple[str, str, str]] = set()
        self.whispers: list[Json] = []
        self.shown: list[tuple[float, str, str]] = []
        self.names = {ADA: "Ada Lovelace", BOB: "Bob", BOSS: "Grace"}
        self.foreign: dict[str, str] = {}
        self.filter: dict[str, str] = {}
        self.unthreadable: set[str] = set()
        self.archived: set[str] = set()
        self.shelf = FileShelf()
        self.scopes: set[str] = set()
        self.members = {CHANNEL, DIRECT}
        self.channels = {CHANNEL, DIRECT, NOT_A_MEMBER}
        self._serial = itertools.count(1)

    @property
    def num_rate_limited(self) -> int:
        return len(self.rates.refused)

    def text(self, ts: str, channel: str = CHANNEL) -> str | None:
        """What people see of a message; None once it is gone."""
        message = self.messages.get((channel, ts))
        return None if message is None else message["text"]

    def buttons(self, ts: str, channel: str = CHANNEL) -> list[str]:
        """What people can press under a message."""
        return controls(self.messages[channel, ts].get("blocks", []))

    def thread(self, ts: str, channel: str = CHANNEL) -> list[Json]:
        """The messages of a thread, oldest first."""
        here = sorted((key[1], message) for key, message in self.messages.items())
        return [m for at, m in here if m["channel"] == channel and ts in (at, m.get("thread_ts"))]

    def call(self, method: str, arguments: Json) -> Json:
        """What Slack answers beside ``ok``. Raises ``Refused``."""
        action = getattr(self, "_do_" + method.replace(".", "_"), None)
        if action is None:
            raise Refused("unknown_method")
        if method in self.forbidden:
            raise Refused("missing_scope")
        self._note_pings(method, arguments)
        if method not in ("chat.postMessage", "chat.update"):  # counted once they would happen
            self.rates.charge(method, arguments)
        answer: Json = action(arguments)
        return answer

    def echo(self, event: Json) -> None:
        """Something that Parley did is an event, too, which Slack sends it."""

    def _echo_change(self, message: Json, before: Json) -> None:
        event = {"type": "message", "subtype": "message_changed", "hidden": True}
        event["channel"] = message["channel"]
        self.echo({**event, "message": message, "previous_message": before})

    def _note_pings(self, method: str, arguments: Json) -> None:
        if not method.startswith("chat."):
            return
        said = json.dumps([arguments.get(key) for key in _SAY], ensure_ascii=False)
        if _PING.search(said) or (method.endswith("Stream") and _NAME.search(said)):
            self.violations.append(f"a ping by {method}: {said}")

    def _do_auth_test(self, _: Json) -> Json:
        return {"team_id": TEAM, "user_id": BOT, "user": "parley", "team": "Ours", "bot_id": "BBOT"}

    def _do_users_info(self, arguments: Json) -> Json:
        name = self.names.get(arguments["user"])
        if name is None:
            raise Refused("user_not_found")
        team = self.foreign.get(arguments["user"], TEAM)
        profile = {"display_name": name}
        return {"user": {"id": arguments["user"], "team_id": team, "profile": profile}}

    def _do_files_info(self, arguments: Json) -> Json:
        if arguments["file"] not in self.shelf.abroad:
            raise Refused("file_not_found")
        return {"file": self.shelf.abroad[arguments["file"]]}

    def _do_chat_postMessage(self, arguments: Json) -> Json:  # noqa: N802
        self._check_open(arguments["channel"])
        self._check_text("chat.postMessage", arguments)
        self.rates.charge("chat.postMessage", arguments)
        kept: Json = {key: arguments[key] for key in ("thread_ts", "metadata") if key in arguments}
        message = {"type": "message", "user": BOT, "bot_id": "BBOT", **kept}
        message |= {"text": arguments["text"], "blocks": self._blocks(arguments)}
        ts = self.keep({**message, "channel": arguments["channel"]})
        return {"channel": arguments["channel"], "ts": ts}

    def _do_chat_update(self, arguments: Json) -> Json:
        message = self._own(arguments, "cant_update_message")
        before = dict(message)
        if arguments["channel"] in self.archived:
            raise Refused("is_inactive")
        # Slack's page of chat.update: what still streams is not edited; the stream ends first.
        if self.streams.is_streaming((arguments["channel"], arguments["ts"])):
            raise Refused("streaming_state_conflict")
        self._check_text("chat.update", arguments)
        if "blocks" not in arguments:
            self.violations.append("chat.update that leaves it to Slack what becomes of the blocks")
        blocks = self._blocks(arguments)
        self.rates.charge("chat.update", arguments)
        message["text"], message["blocks"] = arguments["text"], blocks
        if "metadata" in arguments:
            message["metadata"] = arguments["metadata"]
        self.shown.append((self.clock.monotonic(), message["ts"], message["text"]))
        self._echo_change(dict(message), before)
        return {"channel": arguments["channel"], "ts": arguments["ts"]}

    def _do_chat_startStream(self, arguments: Json) -> Json:  # noqa: N802
        self._check_open(arguments["channel"])
        self.streams.check_start(arguments)
        # "user_not_found: The provided recipient user was not found": no bot is one.
        if arguments["recipient_user_id"] not in self.names:
            raise Refused("user_not_found")
        # Its page: "the team the user receiving the streaming text belongs to"; with another one
        # people of other workspaces get no stream.
        if arguments["recipient_team_id"] != self.foreign.get(arguments["recipient_user_id"], TEAM):
            raise Refused("user_not_found")
        if arguments["channel"] in self.unthreadable:
            raise Refused("channel_type_not_supported")
        message = {"type": "message", "user": BOT, "bot_id": "BBOT", "text": "", "blocks": []}
        where = {key: arguments[key] for key in ("channel", "thread_ts")}
        ts = self.keep({**message, **where})
        self._show(arguments["channel"], ts, self.streams.start((where["channel"], ts), arguments))
        return {"channel": arguments["channel"], "ts": ts}

    def _do_chat_appendStream(self, arguments: Json) -> Json:  # noqa: N802
        channel, ts = self._key_of_own(arguments)
        self._show(channel, ts, self.streams.append((channel, ts), arguments))
        return {"channel": channel, "ts": ts}

    def _do_chat_stopStream(self, arguments: Json) -> Json:  # noqa: N802
        channel, ts = self._key_of_own(arguments)
        self._show(channel, ts, self.streams.stop((channel, ts), arguments))
        self.streams.settle((channel, self.messages[channel, ts]["thread_ts"]), arguments)
        if "metadata" in arguments:
            self.messages[channel, ts]["metadata"] = arguments["metadata"]
        return {"channel": channel, "ts": ts}

    def _do_views_open(self, arguments: Json) -> Json:
        return self.commands.open(arguments)

    def _do_conversations_open(self, arguments: Json) -> Json:
        channel = "D01" if arguments["users"] == ADA else f"D{arguments['users']}"
        self.channels.add(channel)
        self.members.add(channel)
        return {"channel": {"id": channel}}

    def _do_agents_sessions_setStatus(self, arguments: Json) -> Json:  # noqa: N802
        return self.streams.set_status(arguments)

    def _key_of_own(self, arguments: Json) -> tuple[str, str]:
        if not self.streams.has_streams:
            raise Refused("unknown_method")
        message = self._own(arguments, "message_not_owned_by_app")
        if arguments["channel"] in self.archived:  # as for an edit: the pages of streams are silent
            raise Refused("is_archived")
        return message["channel"], message["ts"]

    def _show(self, channel: str, ts: str, text: str) -> None:
        self.messages[channel, ts]["text"] = text
        self.shown.append((self.clock.monotonic(), ts, text))

    def _do_chat_delete(self, arguments: Json) -> Json:
        self._own(arguments, "cant_delete_message")
        del self.messages[arguments["channel"], arguments["ts"]]
        self.streams.streaming.pop((arguments["channel"], arguments["ts"]), None)
        return {}

    def _do_chat_postEphemeral(self, arguments: Json) -> Json:  # noqa: N802
        self._check_open(arguments["channel"])
        # "user_not_in_channel: Intended recipient is not in the specified channel": no bot is one.
        if arguments["user"] not in self.names:
            raise Refused("user_not_in_channel")
        self._blocks(arguments)
        ts, root = self._now(), arguments.get("thread_ts")
        # Its page: in threads "only shown if there is already an active thread".
        if root is None or len(self.thread(root, arguments["channel"])) > 1:
            self.whispers.append({**arguments, "ts": ts})
        return {"message_ts": ts}

    def _do_reactions_add(self, arguments: Json) -> Json:
        """Slack's pages of both methods: each reaction stands once, and only what stands goes."""
        key = self._reaction(arguments)
        if key in self.reactions:
            raise Refused("already_reacted")
        self.reactions.add(key)
        return {}

    def _do_reactions_remove(self, arguments: Json) -> Json:
        key = self._reaction(arguments)
        if key not in self.reactions:
            raise Refused("no_reaction")
        self.reactions.remove(key)
        return {}

    def _do_conversations_replies(self, arguments: Json) -> Json:
        found = self.thread(arguments["ts"], arguments["channel"])
        if not found:
            raise Refused("thread_not_found")
        return self._page(found, arguments)

    def _do_conversations_history(self, arguments: Json) -> Json:
        self._check_channel(arguments["channel"])
        oldest = arguments.get("oldest", "0")
        here = [m for m in self.messages.values() if m["channel"] == arguments["channel"]]
        roots = [m for m in here if m.get("thread_ts", m["ts"]) == m["ts"] > oldest]
        return self._page(sorted(roots, key=lambda m: str(m["ts"]), reverse=True), arguments)

    def _page(self, found: list[Json], arguments: Json) -> Json:
        start, size = int(arguments.get("cursor", 0)), int(arguments["limit"])
        if arguments.get("include_all_metadata") not in ("1", "true", True):
            found = [{k: v for k, v in m.items() if k != "metadata"} for m in found]
        more = str(start + size) if start + size < len(found) else ""
        return {
            "messages": found[start : start + size],
            "response_metadata": {"next_cursor": more},
        }

    def _own(self, arguments: Json, otherwise: str) -> Json:
        """What local-slack lacks, and "a small fake of our own must add": "ownership checks"."""
        message = self._message(arguments["channel"], arguments["ts"])
        if message["user"] != BOT:
            raise Refused(otherwise)
        return message

    def _message(self, channel: str, ts: str) -> Json:
        self._check_channel(channel)
        if (channel, ts) not in self.messages:
            raise Refused("message_not_found")
        return self.messages[channel, ts]

    def _reaction(self, arguments: Json) -> tuple[str, str, str]:
        self._message(arguments["channel"], arguments["timestamp"])
        return arguments["channel"], arguments["timestamp"], arguments["name"]

    def _blocks(self, arguments: Json) -> list[Json]:
        """Slack's page on blocks: it shows these and not the text, which notifications show."""
        blocks: list[Json] = arguments.get("blocks", [])
        if error := problem_with(blocks):
            raise Refused(error)
        said = [block["text"]["text"] for block in blocks if block["type"] == "section"]
        if said and said != [arguments["text"]]:
            self.violations.append(f"blocks that say {said} with the text {arguments['text']!r}")
        return blocks

    def _check_channel(self, channel: str) -> None:
        """ "`chat.postMessage` fails where the bot is no member"; Slack's page of each method."""
        if channel not in self.channels:
            raise Refused("channel_not_found")
        if channel not in self.members:
            raise Refused("not_in_channel")

    def _check_open(self, channel: str) -> None:
        """Slack's page of each method: an archived channel takes nothing any more."""
        self._check_channel(channel)
        if channel in self.archived:
            raise Refused("is_archived")

    def _check_text(self, method: str, arguments: Json) -> None:
        if not arguments["text"].strip():  # "`chat.update` with [markdown_text] alone erases it"
            raise Refused("no_text")
        if len(arguments["text"]) > MAX_TEXT:
            raise Refused("msg_too_long")
        for word, error in self.filter.items():
            if word in arguments["text"]:
                raise Refused(error)
        if "thread_ts" in arguments and arguments["channel"] in self.unthreadable:
            raise Refused("restricted_action_non_threadable_channel")
        # Never: "a post or edit that unfurls", "a ping that the model wrote".
        for key in ("unfurl_links", "unfurl_media", "link_names"):
            if arguments.get(key) is not False:
                self.violations.append(f"{method} without {key}=false")
        if arguments.get("parse") != "none":
            self.violations.append(f"{method} without parse=none")

    def keep(self, message: Json) -> str:
        ts = self._now()
        if message.get("user") == BOT:
            self.statuses.pop((message["channel"], message.get("thread_ts", "")), None)
        self.messages[message["channel"], ts] = {**message, "ts": ts}
        self.shown.append((self.clock.monotonic(), ts, message["text"]))
        if message.get("user") == BOT:
            kind = "im" if message["channel"].startswith("D") else "channel"
            self.echo({**message, "ts": ts, "event_ts": ts, "channel_type": kind})
        return ts

    def _now(self) -> str:
        return f"{int(self.clock.now().timestamp())}.{next(self._serial):06}"

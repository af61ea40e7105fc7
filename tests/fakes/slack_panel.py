"""The assistant panel and App Home of a Slack workspace."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


class Refused(Exception):
    """Slack's word for why not; ``retry_after``: where that is a 429."""

    def __init__(self, error: str, retry_after: int = 30) -> None:
        super().__init__(error)
        self.retry_after = retry_after


class PanelOfWorkspace:
    """``is_agent``: the app's manifest has ``agent_view``, not the older ``assistant_view``.

    ``forbidden``: methods for which the app lacks the scope.
    """

    def __init__(self) -> None:
        self.is_agent = True
        self.forbidden: set[str] = set()
        self.assistant_threads: set[tuple[str, str]] = set()
        self.prompts: dict[tuple[str, str], list[str]] = {}
        self.titles: dict[tuple[str, str], str] = {}
        self.statuses: dict[tuple[str, str], str] = {}
        self.homes: dict[str, list[str]] = {}

    def _do_assistant_threads_setSuggestedPrompts(self, arguments: Json) -> Json:  # noqa: N802
        """Docs: up to four; with ``thread_ts`` an agent's call silently fails."""
        key = (arguments["channel_id"], arguments.get("thread_ts", ""))
        if not 1 <= len(arguments["prompts"]) <= 4:
            raise Refused("invalid_arguments")
        if not self.is_agent and key not in self.assistant_threads:
            raise Refused("invalid_thread_ts")
        if not (self.is_agent and key[1]):
            assert all(each["title"] for each in arguments["prompts"])
            self.prompts[key] = [each["message"] for each in arguments["prompts"]]
        return {}

    def _do_assistant_threads_setTitle(self, arguments: Json) -> Json:  # noqa: N802
        """Docs: of a thread of the panel, and of no other."""
        key = (arguments["channel_id"], arguments["thread_ts"])
        if key not in self.assistant_threads:
            raise Refused("invalid_thread_ts")
        self.titles[key] = arguments["title"]
        return {}

    def _do_assistant_threads_setStatus(self, arguments: Json) -> Json:  # noqa: N802
        """Docs: an empty status takes it away, and so does a message of the app."""
        key = (arguments["channel_id"], arguments["thread_ts"])
        self.statuses[key] = arguments["status"]
        if not arguments["status"]:
            del self.statuses[key]
        return {}

    def _do_views_publish(self, arguments: Json) -> Json:
        """Docs: 100 blocks, 3,000 characters in a section, 150 in a header."""
        view, sizes = arguments["view"], {"header": 150, "section": 3000}
        texts = [(block["type"], block["text"]["text"]) for block in view["blocks"]]
        is_fitting = all(0 < len(text) <= sizes[kind] for kind, text in texts)
        if view["type"] != "home" or len(texts) > 100 or not is_fitting:
            raise Refused("invalid_arguments")
        self.homes[arguments["user_id"]] = [text for _, text in texts]
        return {}

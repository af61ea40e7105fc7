"""The lines that Parley prints in the terminal when it starts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from bot.config import PLATFORMS, Settings, how_to_switch_on
from bot.running.progress import DownloadShow
from bot.types import AdapterState

_LABEL = 10
_MIB = 1 << 20


class _Lines(Console):
    def on_broken_pipe(self) -> None:
        """Whoever read them has gone; that is no reason for a server to end."""
        self.quiet = True


class Banner:
    """One line, with a label, for each part of Parley as it starts, unless it ``is_quiet``."""

    def __init__(self, *, is_quiet: bool = False) -> None:
        self._console = _Lines(highlight=False, quiet=is_quiet)

    def say(self, label: str, text: str) -> None:
        self._console.print(f"  [bold]{label:<{_LABEL}}[/bold]{escape(text)}", soft_wrap=True)

    def download(self) -> DownloadShow:
        return DownloadShow(self.model_note, self._console)

    def loading(self, model: str) -> None:
        self.say("model", f"loading {model} ...")

    def model_note(self, text: str) -> None:
        """Called from another thread while the model is loaded."""
        self.say("model", text)

    def model(self, name: str, *, window: int, running: int, device: str) -> None:
        self.say(
            "model", f"{name}: {window:,} tokens a thread, {running} replies at once, {device}"
        )

    def file(self, path: Path, num_bytes: int) -> None:
        """The file that the model was loaded from: the one that was set, or a copy of it."""
        self.say("file", f"{path} ({num_bytes / _MIB:.0f} MiB)")

    def draft_model(self, path: Path, num_bytes: int) -> None:
        self.say("draft", f"{path} ({num_bytes / _MIB:.0f} MiB) foresees what the model says")

    def speed(self, text: str) -> None:
        """What was measured of the file, if anything was."""
        if text:
            self.say("speed", text)

    def platforms(self, settings: Settings, states: Sequence[AdapterState]) -> None:
        by_name = {state.name: state for state in states}
        for name in PLATFORMS:
            self.say(name, _platform(settings, name, by_name.get(name)))

    def ways_in(self, settings: Settings, url: str) -> None:
        keys = ", with a key of PARLEY_API_KEYS" if settings.is_public else ""
        if settings.trusted_proxies:
            keys = ", with a key of PARLEY_API_KEYS or a sign-in at your proxy"
        self.say("HTTP", f"{url}/v1  (OpenAI's chat API{keys}; health at /readyz)")
        self.say("ask", '.venv/bin/python -m bot ask "What is a parley?"')

    def first_steps(self, settings: Settings) -> None:
        """Printed for a person at a terminal only, not in a service's log."""
        if self._console.is_terminal and "slack" not in settings.platforms:
            self.say("try", "make try-slack  (Parley in a Slack-like page, no account needed)")

    def page(self, settings: Settings, url: str) -> None:
        """Said last, so that it stands where a person looks."""
        address = (settings.public_url or url).rstrip("/")
        asks = "; it asks for a key" if settings.is_public else ""
        if settings.trusted_proxies and not settings.api_keys:
            asks = "; you sign in at your proxy"
        self.say("page", f"{address}/  (chats in your browser{asks})")

    def ready(self, seconds: float) -> None:
        self._console.print(f"[green]Ready[/green] after {seconds:.1f} s. Ctrl-C stops Parley.")

    def stopping(self, seconds: float) -> None:
        self._console.print(
            f"Stopping: replies under way get up to {seconds:.0f} s (Ctrl-C again: none); "
            "what is left is finished at the next start."
        )

    def stopped(self) -> None:
        self._console.print("Stopped.")


def _platform(settings: Settings, name: str, state: AdapterState | None) -> str:
    if state is None:
        advice = how_to_switch_on(settings, name)
        return f"off: {advice[0].lower()}{advice[1:].rstrip('.')}"
    if state.status == "up":
        return "on" + (f": {state.detail}" if state.detail else "")
    return f"{state.status}: {state.detail}; it is tried again"

"""The page is opened in the browser where a person sits in front of one."""

from __future__ import annotations

import os
import sys
import threading
import webbrowser
from collections.abc import Mapping


def has_desktop(environ: Mapping[str, str], system: str, *, is_terminal: bool) -> bool:
    """``system`` as in ``sys.platform``. Not for a service, another machine's shell or a CI."""
    away = ("CI", "SSH_CONNECTION", "SSH_TTY", "SSH_CLIENT")
    if not is_terminal or any(environ.get(name) for name in away):
        return False
    if system in ("darwin", "win32"):
        return True
    return any(environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def open_page(url: str) -> None:
    """Returns at once; where there is no browser nothing happens.

    A browser that runs in the terminal itself would take it away from Parley's lines.
    """
    if has_desktop(os.environ, sys.platform, is_terminal=sys.stdout.isatty()):
        threading.Thread(target=_open, args=(url,), name="parley-page", daemon=True).start()


def _open(url: str) -> None:
    try:
        browser = webbrowser.get()
        if type(browser) is not webbrowser.GenericBrowser:
            browser.open(url)
    except (webbrowser.Error, OSError):
        pass  # the address stands in the terminal

"""Where a start opens the page in a browser."""

from __future__ import annotations

import pytest

from bot.running.desktop import has_desktop

X11 = {"DISPLAY": ":0"}


@pytest.mark.parametrize(
    ("environ", "system"),
    [(X11, "linux"), ({"WAYLAND_DISPLAY": "wayland-0"}, "linux"), ({}, "darwin"), ({}, "win32")],
)
def test_a_person_at_a_desktop_s_terminal_gets_the_page(
    environ: dict[str, str], system: str
) -> None:
    assert has_desktop(environ, system, is_terminal=True)
    assert not has_desktop(environ, system, is_terminal=False)


@pytest.mark.parametrize("name", ["CI", "SSH_CONNECTION", "SSH_TTY", "SSH_CLIENT"])
@pytest.mark.parametrize("system", ["linux", "darwin"])
def test_nobody_looks_at_the_desktop_of_a_machine_that_is_far_away(name: str, system: str) -> None:
    assert not has_desktop({**X11, name: "1"}, system, is_terminal=True)


def test_a_server_without_a_screen_has_none() -> None:
    assert not has_desktop({"DISPLAY": ""}, "linux", is_terminal=True)

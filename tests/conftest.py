"""For every test: no settings of the person who runs it, and no blocking call on the loop."""

from __future__ import annotations

import gc
import inspect
import os
import signal
from collections.abc import Iterator

import pytest
from blockbuster import blockbuster_ctx
from hypothesis import settings

import bot.inference.hub  # noqa: F401 - before any test imports huggingface_hub, as in Parley

# Many models run beside each other here: a thread of llama.cpp's that spins at a barrier, as
# it does on a machine of its own, would keep the one it waits for from running.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# These machines are shared: no example fails for the time that it takes. In CI the examples are
# the same in every run; a laptop looks for new ones.
settings.register_profile("parley", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("parley")

# A shell's background job ignores Ctrl-C, and so would every process that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_PREFIXES = ("PARLEY_", "SLACK_", "DISCORD_", "TEAMS_", "CPAI_", "LLM_", "HF_")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is imported for thousands of tests stays: no search for garbage goes through it."""
    gc.disable()
    yield
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(_PREFIXES) and name != "HF_HUB_DISABLE_TELEMETRY":
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _nothing_blocks_the_loop(request: pytest.FixtureRequest) -> Iterator[None]:
    """Code of ours that blocks the event loop raises ``BlockingError`` in every async test."""
    if not inspect.iscoroutinefunction(getattr(request.node, "obj", None)):
        yield
        return
    with blockbuster_ctx(scanned_modules=["bot", "adapters"]):
        yield

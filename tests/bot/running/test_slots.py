"""How many slots the model has beside those of running replies."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.config import load_settings
from bot.errors import SettingsError
from bot.running.loading import options_of

_LLAMA_MAX_SLOTS = 256


@pytest.mark.parametrize("running", [1, 16, 127, 224])
def test_shared_prompts_and_idle_threads_have_slots_beside_all_running_replies(
    running: int, tmp_path: Path
) -> None:
    options = options_of(load_settings({"PARLEY_RUNNING": str(running)}, tmp_path))
    assert min(options.num_slots, _LLAMA_MAX_SLOTS) >= running + 32


def test_more_running_replies_than_leave_slots_for_them_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="PARLEY_RUNNING"):
        load_settings({"PARLEY_RUNNING": "225"}, tmp_path)

"""The log as programs read it, and what it never holds."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import logging, sys, warnings
from bot.running.logs import start_logging
start_logging("info", sys.argv[1])
ours = logging.getLogger("bot.delivery")
ours.info("a post of %s parts\\nin two lines", 3, extra={"platform": "slack"})
ours.debug("what somebody said")
library = logging.getLogger("slack_sdk")
library.info("a payload with all it holds")
library.warning("no permission: \\udc80 \\u2028 \\U0001f999")
try:
    raise OSError("the line is dead")
except OSError:
    ours.exception("an adapter failed")
warnings.warn("old and gray", stacklevel=1)
logging.getLogger("bot").error("a caller", stack_info=True)
"""


def logged(form: str) -> str:
    command = [sys.executable, "-c", PROGRAM, form]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stderr


def test_every_record_is_one_json_object_in_a_line_of_its_own() -> None:
    records = [json.loads(line) for line in logged("json").splitlines()]
    assert [(each["level"], each["logger"]) for each in records] == [
        ("INFO", "bot.delivery"),
        ("WARNING", "slack_sdk"),
        ("ERROR", "bot.delivery"),
        ("WARNING", "py.warnings"),
        ("ERROR", "bot"),
    ]
    post, refused, failed, warned, called = records
    assert post["message"] == "a post of 3 parts\nin two lines"
    assert post["platform"] == "slack"
    assert post["time"].endswith("+00:00")
    assert refused["message"] == "no permission: \udc80 \u2028 \U0001f999"
    assert failed["exception"].startswith("Traceback (most recent call last):")
    assert failed["exception"].endswith("OSError: the line is dead")
    assert "old and gray" in warned["message"]
    assert "in <module>" in called["stack"]


def test_for_people_a_record_is_a_sentence_with_its_time_level_and_place() -> None:
    first, second, *_ = logged("text").splitlines()
    assert first.endswith(" INFO bot.delivery: a post of 3 parts")
    assert second == "in two lines"
    assert "a payload" not in logged("text") + logged("json")

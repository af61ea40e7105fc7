"""The log on stderr, as lines for people or as JSON for programs."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_COMMON = {*vars(logging.makeLogRecord({})), "message", "asctime"}


def start_logging(level: str, form: str) -> None:
    """``form``: ``text`` or ``json``. Warnings of Python are records, too.

    Libraries log at WARNING only: below it they log what must not be logged.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if form == "json" else logging.Formatter(_TEXT))
    logging.basicConfig(handlers=[handler])
    logging.captureWarnings(True)
    for name in ("bot", "adapters"):
        logging.getLogger(name).setLevel(level.upper())


class JsonLines(logging.Formatter):
    """One JSON object a line: what every record has, what this one has besides, a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        shown: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        shown |= {name: value for name, value in vars(record).items() if name not in _COMMON}
        if record.exc_info:
            shown["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            shown["stack"] = self.formatStack(record.stack_info)
        return json.dumps(shown, default=str)

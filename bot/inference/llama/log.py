"""llama.cpp's log: forwarded at debug level; the last error is kept for error messages."""

from __future__ import annotations

import ctypes
import logging
import re

import llama_cpp as llama

logger = logging.getLogger(__name__)

_ERROR_LEVEL = 4
_REASON = re.compile(
    r"error loading model: |failed to quantize: |failed to initialize the context: "
)


class Log:
    """``last_error`` is the reason alone. Clear it before a call that may set it."""

    def __init__(self) -> None:
        self.last_error = ""
        self._callback = llama.llama_log_callback(self._take)

    def install(self) -> None:
        llama.llama_log_set(self._callback, ctypes.c_void_p(0))

    def _take(self, level: int, text: bytes, _data: object) -> None:
        line = text.decode("utf-8", "replace").strip()
        if level == _ERROR_LEVEL and ("error" in line or _REASON.search(line)):
            self.last_error = _REASON.split(line)[-1]
        logger.debug("llama.cpp: %s", line)


log = Log()
"""The only instance, since llama.cpp has one log callback for the process."""

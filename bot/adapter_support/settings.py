"""Reading the table of settings that ``AdapterContext`` hands over."""

from __future__ import annotations

from collections.abc import Mapping

from bot.errors import SettingsError

_TRUE = frozenset({"true", "1", "yes", "on"})


class SettingsReader:
    """Values are texts, keys as in ``parley.toml``; ``prefix`` is of the environment variables.

    Problems are collected, so that a person reads all of them at once.
    """

    def __init__(self, prefix: str, table: Mapping[str, str]) -> None:
        self._prefix = prefix
        self._values = {key: value.strip() for key, value in table.items()}
        self._problems: list[str] = []

    def text(self, key: str, default: str = "") -> str:
        return self._values.get(key) or default

    def words(self, key: str) -> tuple[str, ...]:
        """Separated by commas."""
        return tuple(word for part in self.text(key).split(",") if (word := part.strip()))

    def is_on(self, key: str, *, default: bool) -> bool:
        return self.text(key, str(default)).lower() in _TRUE

    def number(self, key: str) -> int:
        """0 if it is not set."""
        return int(self.text(key, "0"))

    def refuse(self, key: str, problem: str) -> None:
        """Note a problem; the sentence begins with the name of the variable."""
        self._problems.append(f"{self._prefix}_{key.upper()}{problem}")

    def check(self) -> None:
        """Raises ``SettingsError`` with every problem."""
        if self._problems:
            raise SettingsError(self._problems)

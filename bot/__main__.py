"""The command line. What is slow to import is imported by the command that needs it."""

from __future__ import annotations

import sys

from bot.cli.commands.app import app
from bot.errors import ParleyError, StartError

_WRONG = 1
_REFUSED = 2


def main(arguments: list[str] | None = None) -> None:
    """Run a command; an error becomes one sentence, and exit code 2 if start was refused."""
    try:
        app(arguments)
    except ParleyError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(_REFUSED if isinstance(error, StartError) else _WRONG)
    except ModuleNotFoundError as error:
        if (error.name or "bot").split(".")[0] in ("bot", "adapters"):
            raise
        sys.stderr.write(f"The package {error.name} is not installed; `make run` installs it.\n")
        sys.exit(_REFUSED)


if __name__ == "__main__":
    main()

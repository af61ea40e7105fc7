"""The command line. What is slow to import is imported by the command that needs it."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO, cast

from bot.cli.commands import app
from bot.errors import EmptyQuestion, ParleyError, StartError, UnknownPersonality

_WRONG = 1
_REFUSED = 2
_OF_THE_COMMAND = (StartError, EmptyQuestion, UnknownPersonality)


class StandardOutput(io.TextIOWrapper):
    """Standard output that remembers why it could not be written."""

    failure: OSError | None = None

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError as error:
            self.failure = error
            raise

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self.failure = error
            raise


def main(arguments: list[str] | None = None) -> None:
    """Run a command; an error becomes one sentence, and exit code 2 if nothing was begun."""
    sys.stdin, sys.stderr = sys.stdin or _nothing("r"), sys.stderr or _nothing("w")
    with _standard_output() as output:
        code = _run(arguments, output)
        with suppress(OSError):
            output.flush()
        if output.failure:
            code = _WRONG
            if not isinstance(output.failure, BrokenPipeError):  # whoever reads it has enough
                sys.stderr.write(f"The output cannot be written: {output.failure.strerror}.\n")
            os.dup2(os.open(os.devnull, os.O_WRONLY), output.fileno())  # what is left is lost
    sys.exit(code)


@contextmanager
def _standard_output() -> Iterator[StandardOutput]:
    """``sys.stdout``, in which a letter that the terminal's encoding lacks is no reason to stop.

    It writes where the one before it does, which is put back afterwards.
    """
    before = sys.stdout
    if not isinstance(before, io.TextIOWrapper):  # it is closed
        before = _nothing("w")
    before.flush()
    is_by_line = before.isatty()
    output = StandardOutput(before.buffer, before.encoding, "replace", line_buffering=is_by_line)
    sys.stdout = output
    try:
        yield output
    finally:
        sys.stdout = before
        with suppress(OSError):
            output.detach()


def _nothing(mode: str) -> TextIO:
    """For a stream that is closed."""
    return cast(TextIO, open(os.devnull, mode, encoding="utf-8"))


def _run(arguments: list[str] | None, output: StandardOutput) -> int | str | None:
    """The exit code."""
    try:
        app.run(arguments)
    except SystemExit as end:
        return end.code
    except ParleyError as error:
        sys.stderr.write(f"{error}\n")
        return _REFUSED if isinstance(error, _OF_THE_COMMAND) else _WRONG
    except ModuleNotFoundError as error:
        if (error.name or "bot").split(".")[0] in ("bot", "adapters"):
            raise
        sys.stderr.write(f"The package {error.name} is not installed; `make run` installs it.\n")
        return _REFUSED
    except OSError:
        if not output.failure:
            raise
    return 0


if __name__ == "__main__":
    main()

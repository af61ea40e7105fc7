"""The command line by its words; the module of a command is imported when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, MutableMapping
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from bot import __version__

COMMANDS = (
    *("run", "chat", "ask", "doctor", "usage", "backup", "settings"),
    *("threads", "models", "personalities", "slack", "discord", "teams"),
)
"""Each a module beside this one, whose ``app`` is one command or a group of them."""


class _Commands(MutableMapping[str, Any]):
    """The commands by name, made when looked up."""

    def __getitem__(self, name: str) -> Any:
        if name not in COMMANDS:
            raise KeyError(name)
        module = importlib.import_module(f"bot.cli.commands.{name}")
        command = typer.main.get_command(module.app)
        command.name = name
        return command

    def __setitem__(self, name: str, command: Any) -> None:
        raise TypeError(f"{name} needs a place in COMMANDS and a module of its own.")

    __delitem__ = None  # type: ignore[assignment]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class _ByName(TyperGroup):
    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _Commands()

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)


app = typer.Typer(
    cls=_ByName,
    help="Parley answers in Slack, Discord and Teams with a language model of its own.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"Parley {__version__}")
        raise typer.Exit


@app.callback()
def parley(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", is_eager=True, callback=_show_version),
    ] = False,
) -> None:
    pass

"""The command line by its words; the module of a command is imported when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, MutableMapping
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from bot import __version__
from bot.cli.commands import completion

COMMANDS = (
    *("run", "chat", "ask", "eval", "doctor", "usage", "backup", "settings"),
    *("threads", "models", "personalities", "facts", "slack", "discord", "teams"),
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
    epilog="Exit codes: 0: done; 1: something failed; 2: nothing was begun, since the command, a "
    "setting or a file is wrong; 130: Ctrl-C. What --json prints is for programs.",
    no_args_is_help=True,
    add_completion=False,
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
    install_completion: Annotated[
        bool,
        typer.Option(
            "--install-completion",
            help="Complete this command in your shell (bash, zsh, fish) from now on.",
            is_eager=True,
            callback=completion.install,
        ),
    ] = False,
    show_completion: Annotated[
        bool,
        typer.Option(
            "--show-completion",
            help="Print what that adds to your shell's file.",
            is_eager=True,
            callback=completion.show,
        ),
    ] = False,
) -> None:
    pass


def run(arguments: list[str] | None = None) -> None:
    """The command line; or its completion, where a shell asks for that."""
    completion.prepare()
    app(arguments, complete_var=completion.VARIABLE)

"""The command line. What is slow to import is imported by the command that needs it."""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bot import __version__
from bot.errors import (
    EmptyQuestion,
    EngineFailed,
    ModelDied,
    ParleyError,
    SettingsError,
    StartError,
)

if TYPE_CHECKING:
    from bot.config import Settings

_WRONG = 1
_REFUSED = 2
_DIED = 3
_INTERRUPTED = 130
NICENESS = -5
"""Three times the CPU share of a program without a priority, since people wait for each word."""
_NOTHING_ASKED = 'There is no question; say what to ask, as in: ask "What is a llama?"'
_NO_ANSWER = "The model gave no answer; ask again, or for something smaller."
_MANIFEST = Path(__file__).parents[1] / "deploy" / "slack" / "manifest.yaml"

app = typer.Typer(
    help="Parley answers in Slack, Discord and Teams with a language model of its own.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
slack = typer.Typer(help="What a Slack app for Parley needs.", no_args_is_help=True)
app.add_typer(slack, name="slack")
teams = typer.Typer(help="What a Teams app for Parley needs.", no_args_is_help=True)
app.add_typer(teams, name="teams")
discord = typer.Typer(help="What a Discord server needs for Parley.", no_args_is_help=True)
app.add_typer(discord, name="discord")
models = typer.Typer(help="The model files that Parley runs on.", no_args_is_help=True)
app.add_typer(models, name="models")

personalities = typer.Typer(help="The system prompts that answer.", no_args_is_help=True)
app.add_typer(personalities, name="personalities")


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


@app.command()
def run() -> None:
    """Start the bot, with the settings of the environment and parley.toml."""
    from bot.config import without_effect

    settings = _settings()
    _start_logging(settings.log_level)
    for note in without_effect(settings):
        typer.echo(note, err=True)

    from bot.app import run as run_app

    go_first()
    raise typer.Exit(asyncio.run(run_app(settings)))


@app.command()
def ask(
    question: Annotated[
        list[str] | None, typer.Argument(help="The question; - stands for what stdin holds.")
    ] = None,
    personality: Annotated[
        str, typer.Option("--personality", "-p", help="Who answers; the default one if not given.")
    ] = "",
) -> None:
    """Ask one question and print the answer as it grows. Ctrl-C stops it."""
    text = _question(question or ["-"])
    settings = _settings()
    try:
        asyncio.run(_print_answer(settings, text, personality or settings.personality))
    except KeyboardInterrupt:
        raise typer.Exit(_INTERRUPTED) from None


@app.command()
def doctor() -> None:
    """Check settings, model, database, ports and tokens, and say what to do."""
    from bot.cli.doctor import examine, report

    checks = examine(os.environ, Path())
    typer.echo(report(checks))
    raise typer.Exit(_WRONG if any(check.status == "fail" for check in checks) else 0)


@app.command()
def usage(
    since: Annotated[
        str, typer.Option(help="How long ago, as in 24h or 7d, or a day; all if not given.")
    ] = "",
    by: Annotated[
        Literal["person", "personality", "model", "platform"] | None,
        typer.Option(help="A line for each of them; for each answer if not given."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Print who asked when, how long it took, and the votes; also while Parley runs."""
    from bot.cli import usage
    from bot.clock import SystemClock
    from bot.history.store import database_path
    from bot.history.usage import read

    start = usage.moment(since, SystemClock().now()) if since else None
    rows = read(database_path(_settings().database_url), start)
    lines = usage.as_json(rows, by) if as_json else usage.as_table(rows, by)
    sys.stdout.writelines(f"{line}\n" for line in lines)


@app.command("settings")
def print_settings() -> None:
    """Print every setting with its default and meaning, and older names, as Markdown tables."""
    from bot.config import old_names_table, settings_table

    typer.echo(f"{settings_table()}\n{old_names_table()}", nl=False)


@models.callback()
def about_models() -> None:
    pass


@models.command()
def optimize(
    to: Annotated[
        Literal["Q8_0", "Q4_0"],
        typer.Option(case_sensitive=False, help="Nearly the same answers, or the fastest."),
    ] = "Q8_0",
) -> None:
    """Make a copy of the model that a CPU runs faster, and say what it costs."""
    from bot.cli.models import optimize
    from bot.inference.model_files.requantised import Quantisation

    optimize(_settings(), Quantisation(to), typer.echo)


@models.command("try")
def try_model() -> None:
    """Compute with the model, and its copy, in a process of its own; 3 if that dies."""
    from bot.cli.models import try_model

    try:
        try_model(_settings(), typer.echo)
    except ModelDied as error:
        typer.echo(error, err=True)
        raise typer.Exit(_DIED) from None


@personalities.callback()
def _personalities() -> None:
    """One command today, and named all the same."""


@personalities.command("import")
def import_personalities(
    sources: Annotated[
        list[Path], typer.Argument(help="Files of csps-llm, or folders such as personalities.d.")
    ],
    to: Annotated[
        Path | None, typer.Option(help="Where to write; PARLEY_PERSONALITIES if not given.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Overwrite personalities of the same name.")
    ] = False,
) -> None:
    """Read csps-llm's JSON files, and say what has no counterpart here."""
    from bot.cli.personalities import import_personalities
    from bot.config import load_settings

    settings = load_settings(os.environ, Path())
    folder, default = to or settings.personalities, settings.personality
    import_personalities(sources, folder, typer.echo, default=default, replace=replace)


@slack.command()
def manifest() -> None:
    """Print the app manifest to paste at api.slack.com/apps."""
    typer.echo(_MANIFEST.read_text(encoding="utf-8"), nl=False)


@teams.callback()
def _teams() -> None:
    """One command today, and named all the same."""


@teams.command()
def package(
    domain: Annotated[str, typer.Option("--domain", help="Name under which Teams reaches Parley.")],
    app_id: Annotated[
        str, typer.Option("--app-id", help="App id of the bot; TEAMS_APP_ID if not given.")
    ] = "",
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")] = Path(
        "parley-teams.zip"
    ),
) -> None:
    """Write the app package to upload to Teams."""
    from bot.cli.teams_package import write_package
    from bot.config import load_settings

    app_id = app_id or load_settings(os.environ, Path()).teams.app_id or ""
    write_package(output, app_id=app_id, domain=domain)
    typer.echo(f"Written: {output}. Upload it in Teams: Apps, Manage your apps, Upload an app.")


@discord.callback()
def about_discord() -> None:
    pass


@discord.command()
def invite(
    application: Annotated[
        str, typer.Option(help="The application's id; read from DISCORD_TOKEN if not given.")
    ] = "",
) -> None:
    """Print the link with which Parley is added to a server."""
    from bot.config import load_settings

    adapter = importlib.import_module("adapters.discord.application")
    if not application:
        token = load_settings(os.environ, Path()).discord.token
        application = adapter.application_id(token.get_secret_value() if token else "")
    typer.echo(adapter.invite_link(application))


def go_first() -> None:
    """Raise the priority of threads that begin from now on, where the system allows it (to root,
    or in the systemd unit).

    A priority with which a person started Parley is kept.
    """
    with suppress(OSError, AttributeError):  # not allowed, or not on this system
        if os.getpriority(os.PRIO_PROCESS, 0) == 0:
            os.setpriority(os.PRIO_PROCESS, 0, NICENESS)


def _settings() -> Settings:
    """The settings; raises ``SettingsError`` for those that this version cannot start with."""
    from bot.config import load_settings, not_in_this_version

    settings = load_settings(os.environ, Path())
    if problems := not_in_this_version(settings):
        raise SettingsError(problems)
    return settings


def _start_logging(level: str) -> None:
    """Libraries log at WARNING only: below it they log what must not be logged."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in ("bot", "adapters"):
        logging.getLogger(name).setLevel(level.upper())


def _question(words: list[str]) -> str:
    from bot.prompt import clean

    text = clean("\n".join(_read_stdin() if word == "-" else word for word in words))
    if not text.strip():
        raise EmptyQuestion(_NOTHING_ASKED)
    return text


def _read_stdin() -> str:
    if sys.stdin.isatty():
        raise EmptyQuestion(_NOTHING_ASKED)
    return sys.stdin.buffer.read().decode("utf-8", "replace").strip()


async def _print_answer(settings: Settings, question: str, personality: str) -> None:
    """Ends a line that was begun, even after an error. Raises if there is no answer."""
    from bot.prompt import clean

    has_begun = False
    try:
        async with aclosing(_answer(settings, question, personality)) as answer:
            async for text in answer:
                typer.echo(clean(text), nl=False)
                has_begun = True
        if not has_begun:
            raise EngineFailed(_NO_ANSWER)
    finally:
        if has_begun:
            typer.echo()


def _answer(settings: Settings, question: str, personality: str) -> AsyncGenerator[str, None]:
    """Ask the Parley that runs on this data folder, else a model loaded for this question."""
    from bot.lock import is_held, running_key, running_url

    if not is_held(settings.data_dir):
        from bot.app import ask_alone

        return ask_alone(settings, question, personality)
    from bot.cli.ask import ask_running

    url, key = running_url(settings.data_dir), running_key(settings.data_dir)
    if url is None or key is None:
        raise ParleyError("Parley is just starting; ask again in a moment.")
    return ask_running(url, key, question, personality)


def main(arguments: list[str] | None = None) -> None:
    """Run a command; an error becomes one sentence, and exit code 2 if start was refused."""
    try:
        app(arguments)
    except ParleyError as error:
        typer.echo(error, err=True)
        sys.exit(_REFUSED if isinstance(error, StartError) else _WRONG)
    except ModuleNotFoundError as error:
        if (error.name or "bot").split(".")[0] in ("bot", "adapters"):
            raise
        typer.echo(f"The package {error.name} is not installed; `make run` installs it.", err=True)
        sys.exit(_REFUSED)


if __name__ == "__main__":
    main()

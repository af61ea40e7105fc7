"""``threads``: what is kept."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bot.cli.commands import completion, start

if TYPE_CHECKING:
    from bot.chats import Chat
    from bot.history.kept import KeptThread
    from bot.stored import ThreadSummary

app = start.commands("The threads that are kept, of every platform and chat.")

_NAME = "Its text form, as slack:T01/C01/1700.1, or how its id or title begins."

Thread = Annotated[str, typer.Argument(help=_NAME, autocompletion=completion.threads)]
Platform = Annotated[
    Literal["slack", "discord", "teams", "web", "http"] | None,
    typer.Option(help="Of one platform; web has those of the page and the terminal."),
]
ByPerson = Annotated[str, typer.Option("--person", help="Who asked: an id, or part of a name.")]
Since = Annotated[str, typer.Option(help="With questions since then, as 24h or 7d, or a day.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Format = Annotated[
    Literal["json", "markdown"], typer.Option("--format", help="JSON can be imported again.")
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="A new file; printed if not given.")
]


@app.command("list")
def list_threads(
    platform: Platform = None, person: ByPerson = "", since: Since = "", as_json: AsJson = False
) -> None:
    """List them, the newest first; also while Parley runs."""
    from bot.cli.threads.found import NONE_FOUND, NONE_KEPT

    found = _found("", platform, person, since)
    _print(found, as_json=as_json, is_search=False)
    if not (found or as_json):
        typer.echo(NONE_FOUND if platform or person or since else NONE_KEPT)


@app.command()
def search(
    words: Annotated[list[str], typer.Argument(help="Each stands in the title or a text.")],
    platform: Platform = None,
    person: ByPerson = "",
    since: Since = "",
    as_json: AsJson = False,
) -> None:
    """Find threads by words of their titles, texts and file names; 1 if there is none."""
    from bot.cli.threads.found import NONE_FOUND

    found = _found(" ".join(words), platform, person, since)
    _print(found, as_json=as_json, is_search=True)
    if not found:
        if not as_json:
            typer.echo(NONE_FOUND, err=True)
        raise typer.Exit(1)


@app.command()
def show(thread: Thread, as_json: AsJson = False) -> None:
    """Print one, as Markdown where no terminal reads it."""
    from rich.console import Console

    from bot.adapter_support.chat_files.written import as_json as json_of
    from bot.adapter_support.chat_files.written import as_markdown
    from bot.cli.threads.shown import show

    found, chat = _read(thread)
    if as_json:
        typer.echo(json_of(chat), nl=False)
    elif sys.stdout.isatty():
        show(chat, str(found.place), Console(highlight=False))
    else:
        typer.echo(as_markdown(chat), nl=False)


@app.command()
def export(thread: Thread, form: Format = "json", output: Output = None) -> None:
    """Write one as a file: all answers as JSON, or those that count as Markdown."""
    from bot.adapter_support.chat_files.written import as_json, as_markdown
    from bot.cli.threads.found import write_new

    _, chat = _read(thread)
    text = as_json(chat) if form == "json" else as_markdown(chat)
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_new(output, text)
        typer.echo(f"Written: {output}")


@app.command("import")
def import_thread(
    file: Annotated[Path, typer.Argument(help="An exported JSON file; - stands for stdin.")],
) -> None:
    """Keep an exported thread as a chat of the terminal."""
    from bot.adapter_support.chat_files.read import read_chat
    from bot.cli.threads.changes import add
    from bot.cli.threads.found import exported_bytes
    from bot.clock import SystemClock
    from bot.errors import RequestError, StartError

    raw = exported_bytes(file)
    try:
        chat = read_chat(raw, SystemClock().now())
    except RequestError as error:
        raise StartError(str(error)) from None
    place = asyncio.run(add(start.settings(), raw, chat))
    typer.echo(f"Kept as {place}")


@app.command()
def forget(
    thread: Thread,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
) -> None:
    """Delete one for ever, with what is under way in it."""
    from bot.cli.threads.changes import forget
    from bot.cli.threads.found import one_line

    found, _ = _read(thread)
    title = one_line(found.title)
    if not yes and sys.stdin.isatty() and not typer.confirm(f"Forget {title!r} ({found.place})?"):
        typer.echo("Nothing was forgotten.")
        raise typer.Exit(1)
    asyncio.run(forget(start.settings(), found.place))
    typer.echo(f"Forgotten: {title} ({found.place})")


def _found(search: str, platform: str | None, person: str, since: str) -> list[KeptThread]:
    from bot.cli import usage
    from bot.clock import SystemClock
    from bot.history.kept import ThreadFilter, kept_threads
    from bot.history.store import database_path

    moment = usage.moment(since, SystemClock().now()) if since else None
    wanted = ThreadFilter(platform=platform or "", person=person, since=moment, search=search)
    with kept_threads(database_path(start.settings().database_url)) as kept:
        return kept.find(wanted)


def _read(name: str) -> tuple[ThreadSummary, Chat]:
    from bot.cli.threads.found import as_chat, named
    from bot.history.kept import kept_threads
    from bot.history.store import database_path

    with kept_threads(database_path(start.settings().database_url)) as kept:
        found = named(kept, name)
        return found, as_chat(kept, found)


def _print(found: list[KeptThread], *, as_json: bool, is_search: bool) -> None:
    from bot.cli.threads.found import as_json as json_of
    from bot.cli.threads.found import as_table

    if as_json:
        typer.echo(json_of(found, is_search=is_search))
    elif found:
        sys.stdout.writelines(f"{line}\n" for line in as_table(found, is_search=is_search))

"""``ask``: one question, or a file of them."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.commands import completion, start
from bot.errors import EmptyQuestion, ParleyError, StartError, UnsupportedFormat

if TYPE_CHECKING:
    from bot.answer_formats import AnswerFormat
    from bot.config import Settings
    from bot.generation import CompletionRequest

_NOTHING_ASKED = 'There is no question; say what to ask, as in: ask "What is a llama?"'

app = start.commands()


@app.command()
def ask(
    question: Annotated[
        list[str] | None, typer.Argument(help="The question; - stands for what stdin holds.")
    ] = None,
    personality: Annotated[
        str,
        typer.Option(
            "--personality",
            "-p",
            help="Who answers; the default one if not given.",
            autocompletion=completion.personalities,
        ),
    ] = "",
    schema: Annotated[
        Path | None, typer.Option(help="A file with the JSON schema that the answer follows.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One object: text, reasoning, model, usage, reason.")
    ] = False,
    no_reasoning: Annotated[
        bool, typer.Option("--no-reasoning", help="Keep the model's reasoning out of stderr.")
    ] = False,
    batch: Annotated[
        Path | None,
        typer.Option(help="A file with a question a line: a JSON text, or an object with it."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where a batch's answers go; run again, it goes on."),
    ] = None,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=1, max=64, help="Questions of a batch at once.")
    ] = 4,
) -> None:
    """Ask one question and print the answer as it grows, or answer a file of questions.

    Ctrl-C stops it. A batch is answered behind everybody else who asks.
    """
    from bot.cli.schemas import read_schema
    from bot.generation import ChatMessage, CompletionRequest
    from bot.ports import LOCAL_ACCOUNT

    _check_one_of(question, batch, output)
    text = "" if batch else _question(question or ["-"])
    settings = start.settings()
    personality = personality or settings.personality
    answer_format = read_schema(schema) if schema else None
    if batch:
        _ask_all(settings, batch, output, personality, answer_format, jobs)
        return
    asked = CompletionRequest(
        account=LOCAL_ACCOUNT,
        messages=(ChatMessage("user", text),),
        personality=personality,
        answer_format=answer_format,
    )
    try:
        asyncio.run(_answer(settings, asked, as_json=as_json, shows_reasoning=not no_reasoning))
    except UnsupportedFormat as error:
        raise StartError(str(error)) from None


def _check_one_of(question: list[str] | None, batch: Path | None, output: Path | None) -> None:
    if batch and question:
        raise StartError("Ask a question or a --batch of them, not both.")
    if output and not batch:
        raise StartError("--output is for a --batch; the shell's > writes one answer to a file.")


def _ask_all(
    settings: Settings,
    batch: Path,
    output: Path | None,
    personality: str,
    answer_format: AnswerFormat | None,
    num_at_once: int,
) -> None:
    from bot.cli.batch.questions import Defaults
    from bot.cli.batch.run import run

    defaults = Defaults(personality, answer_format)
    num_failed = asyncio.run(run(settings, batch, output, defaults, num_at_once=num_at_once))
    if num_failed:
        again = "; the same command asks them again" if output else ""
        raise ParleyError(f"{num_failed:,} of the questions could not be answered{again}.")


async def _answer(
    settings: Settings, asked: CompletionRequest, *, as_json: bool, shows_reasoning: bool
) -> None:
    from bot.cli.answer import print_growing, print_json
    from bot.cli.ask import answerer

    async with answerer(settings, asked.personality or "") as who:
        if as_json:
            await print_json(who, asked)
        else:
            await print_growing(who, asked, shows_reasoning=shows_reasoning)


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

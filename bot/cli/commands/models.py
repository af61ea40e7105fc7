"""``models``: the files that Parley runs on."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from bot.cli.commands import start
from bot.errors import ModelDied

_DIED = 3

app = start.commands("The model files that Parley runs on.")


@app.command()
def get(
    model: Annotated[
        str, typer.Argument(help="hf:owner/repository:file, or a short name such as qwen3-4b.")
    ],
) -> None:
    """Download a model of the Hugging Face hub; what is here of it already is kept."""
    from bot.cli.model_list import get

    get(start.settings(), model, typer.echo)


@app.command("list")
def list_models(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Print the models on this machine, the memory they need, and who runs on them."""
    from bot.cli import model_list

    found = model_list.listed(start.settings())
    for line in model_list.as_json(found) if as_json else model_list.as_table(found):
        typer.echo(line)


@app.command()
def optimize(
    to: Annotated[
        Literal["Q8_0", "Q4_0"],
        typer.Option(case_sensitive=False, help="Nearly the same answers, or the fastest."),
    ] = "Q8_0",
) -> None:
    """Make a copy of the model that a CPU runs faster, and say what it costs."""
    from bot.cli.models import optimize
    from bot.inference.model_files.requantised import Quantisation

    optimize(start.settings(), Quantisation(to), typer.echo)


@app.command("try")
def try_model() -> None:
    """Compute with the model, and its copy, in a process of its own; 3 if that dies."""
    from bot.cli.models import try_model

    try:
        try_model(start.settings(), typer.echo)
    except ModelDied as error:
        typer.echo(error, err=True)
        raise typer.Exit(_DIED) from None

"""``doctor``: whether all is well."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from bot.cli.commands import start

_WRONG = 1

app = start.commands()


@app.command()
def doctor() -> None:
    """Check settings, model, database, ports and tokens, and say what to do."""
    from bot.cli.doctor import examine, report

    checks = examine(os.environ, Path())
    typer.echo(report(checks))
    raise typer.Exit(_WRONG if any(check.status == "fail" for check in checks) else 0)

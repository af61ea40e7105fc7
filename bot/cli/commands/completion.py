"""Completion in the shell, of `.venv/bin/python -m bot …` as people type it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import typer
from typer.completion import get_completion_inspect_parameters

from bot.errors import ParleyError, StartError

VARIABLE = "_PARLEY_COMPLETE"

_BASH = """\
# Completion for Parley: .venv/bin/python -m bot ...
_parley_completion() {
    local IFS=$'\\n'
    COMPREPLY=()
    if [ "$COMP_CWORD" = 2 ] && [ "${COMP_WORDS[1]}" = -m ]; then
        COMPREPLY=( $(compgen -W bot -- "${COMP_WORDS[2]}") )
    elif [ "$COMP_CWORD" -gt 2 ] && [ "${COMP_WORDS[1]} ${COMP_WORDS[2]}" = "-m bot" ]; then
        COMPREPLY=( $(env COMP_WORDS="${COMP_WORDS[*]:2}" COMP_CWORD=$((COMP_CWORD - 2)) \\
            _PARLEY_COMPLETE=complete_bash "$1" -m bot 2>/dev/null) )
    fi
}
complete -o default -F _parley_completion .venv/bin/python
"""
_ZSH = """\
# Completion for Parley: .venv/bin/python -m bot ...
autoload -Uz compinit && compinit
_parley_completion() {
    if [[ "${words[2]} ${words[3]}" == "-m bot" ]]; then
        eval "$(env _TYPER_COMPLETE_ARGS="${(j: :)words[3,$CURRENT]}" \\
            _PARLEY_COMPLETE=complete_zsh ${words[1]} -m bot 2>/dev/null)"
    else
        _default
    fi
}
compdef _parley_completion .venv/bin/python
"""
_FISH = """\
# Completion for Parley: .venv/bin/python -m bot ...
function __parley_completion
    set -l words (commandline -opc) (commandline -ct)
    test "$words[2..3]" = "-m bot"; or return
    env _TYPER_COMPLETE_ARGS="$words[3..-1]" _TYPER_COMPLETE_FISH_ACTION=get-args \\
        _PARLEY_COMPLETE=complete_fish $words[1] -m bot 2>/dev/null
end
complete --command python --arguments "(__parley_completion)"
"""
_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
_FILES = {
    "bash": "~/.bashrc",
    "zsh": "~/.zshrc",
    "fish": "~/.config/fish/conf.d/parley.fish",
}
_UNKNOWN = "Completion is there for bash, zsh and fish, and this shell is none of them."


def prepare() -> None:
    """Where a shell asks what may come next."""
    if VARIABLE in os.environ:
        get_completion_inspect_parameters()  # makes them known


def show(wanted: bool) -> None:
    if wanted:
        typer.echo(_SCRIPTS[_shell()], nl=False)
        raise typer.Exit


def install(wanted: bool) -> None:
    """Once, however often it is asked for. The file may hold anything else, too."""
    if not wanted:
        return
    shell = _shell()
    path, script = Path(_FILES[shell]).expanduser(), _SCRIPTS[shell]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        if script not in before:
            path.write_text(f"{before}\n{script}" if before else script, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(f"{path} cannot be changed: {error}.") from None
    typer.echo(f"Completion for {shell} stands in {path}; a new terminal has it.")
    raise typer.Exit


def _shell() -> str:
    """The one that this was typed in."""
    import psutil

    parents = [each.name() for each in psutil.Process().parents()]
    usual = Path(os.environ.get("SHELL", "")).name
    found = next((name for name in (*parents, usual) if name.lstrip("-") in _SCRIPTS), None)
    if found is None:
        raise StartError(_UNKNOWN)
    return found.lstrip("-")


def personalities(incomplete: str) -> Iterable[tuple[str, str]]:
    """Those there are; none where something is wrong with them."""
    from bot.cli.commands import start
    from bot.personality import PersonalityBook

    try:
        settings = start.settings()
        book = PersonalityBook.load(settings.personalities, settings.personality)
    except ParleyError:
        return []
    return [(p.name, p.title) for p in book.all() if p.name.startswith(incomplete.casefold())]


def threads(incomplete: str) -> Iterable[tuple[str, str]]:
    """The ids of those that are kept; a shell takes a colon for the end of a word."""
    from bot.cli.commands import start
    from bot.history.kept import ThreadFilter, kept_threads
    from bot.history.store import database_path

    try:
        with kept_threads(database_path(start.settings().database_url)) as kept:
            found = [each.summary for each in kept.find(ThreadFilter())]
    except ParleyError:
        return []
    pairs = ((each.place.thread, " ".join(each.title.split())) for each in found)
    return [pair for pair in pairs if pair[0].startswith(incomplete)]

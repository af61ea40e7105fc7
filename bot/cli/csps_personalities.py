"""Personalities of csps-llm, which are JSON, as files of ours; pure.

What has no counterpart here is said, one line each.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import yaml

from bot.errors import PersonalityError
from bot.prompt import clean

Json = Mapping[str, Any]

_ROLES = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "bot": "assistant",
    "model": "assistant",
}
_ELSEWHERE = {
    "context_window": "it counts for everybody: PARLEY_CONTEXT={value}",
    "gpu_layers": "it counts for everybody: PARLEY_GPU_LAYERS={value}",
    "cpu_threads": "it counts for everybody: PARLEY_CPU_THREADS={value}",
    "flash_attention": "Parley chooses it by itself",
    "local_file": "for everybody it is PARLEY_MODEL={value}; for this personality alone, put the "
    "file into PARLEY_MODEL_DIR and write `model:` with its name into {name}.md",
    "hf_repo": "download the model from {value}, and see local_file",
    "hf_filename": "download {value}, and see local_file",
}
_MISSING = (
    ("rag", "what a personality reads stands in its sources, see deploy/SOURCES.md"),
    ("agent_rag", "a folder of facts does this, see deploy/SOURCES.md"),
    ("voice", "Parley does not speak"),
    ("ui_", "the looks of its page have no counterpart"),
    ("persona", "it has no counterpart in Parley"),
    ("", "Parley knows no such key"),
)
_MAX_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Converted:
    """``text``: that of the file ``name``.md. ``notes``: what is not in it, and what to do."""

    name: str
    text: str
    notes: tuple[str, ...]


def merged(files: Iterable[tuple[str, object]]) -> dict[str, Any]:
    """Fields by personality, from the name and the content of each file, in their order.

    A file holds personalities by name, or is one, named after it. Raises ``PersonalityError``.
    """
    return reduce(_deep_merge, (_by_name(*file) for file in files), {})


def convert(personalities: Json) -> tuple[list[Converted], list[str]]:
    """And the notes about what is no personality. Raises ``PersonalityError``."""
    converted, notes = [], []
    for name, fields in personalities.items():
        if not isinstance(fields, dict):
            notes.append(_note(name, "this is no personality, and was left out"))
        elif not _prompt(fields):
            notes.append(_note(name, "it has no imperative (a system prompt), and was left out"))
        else:
            converted.append(_converted(name, fields))
    names = [each.name for each in converted]
    if twins := {name for name in names if names.count(name) > 1}:
        raise PersonalityError(f"Two personalities would be named {', '.join(sorted(twins))}.")
    return converted, notes


def _by_name(file: str, content: object) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise PersonalityError(f"{file}.json holds no JSON object.")
    is_one = not isinstance(content.get("imperative", {}), dict)
    return {file: content} if is_one else content


def _deep_merge(one: dict[str, Any], other: Json) -> dict[str, Any]:
    result = dict(one)
    for key, value in other.items():
        known = result.get(key)
        if isinstance(known, dict) and isinstance(value, dict):
            result[key] = _deep_merge(known, value)
        else:
            result[key] = value
    return result


def _converted(asked: str, fields: Json) -> Converted:
    name = re.sub(r"[^a-z0-9]+", "-", asked.casefold()).strip("-") or "personality"
    notes: list[str] = []
    if name != asked.casefold():
        notes.append(
            f"clients that ask for {asked!r} find it by PARLEY_MODEL_ALIASES={asked}={name}"
        )
    front: dict[str, Any] = {"title": " ".join(re.split(r"[\W_]+", asked)).strip().title() or name}
    if isinstance(description := fields.get("description"), str) and description.strip():
        front["description"] = " ".join(clean(description).split())
    front |= _opening(fields.get("intro_dialogue"), notes)
    notes += _left_out(name, fields)
    header = yaml.safe_dump(front, allow_unicode=True, sort_keys=False, width=1_000)
    text = f"---\n{header}---\n{_prompt(fields)}\n"
    return Converted(name, text, tuple(_note(asked, note) for note in notes))


def _note(name: str, said: str) -> str:
    """One line that can be printed, whatever the file holds."""
    return clean(f"{name}: {said}.").replace("\n", " ")


def _prompt(fields: Json) -> str:
    imperative = fields.get("imperative")
    lines = imperative if isinstance(imperative, list) else [imperative]
    return clean("\n".join(line for line in lines if isinstance(line, str))).strip()


def _opening(dialogue: object, notes: list[str]) -> dict[str, Any]:
    """First turns; what the personality says before any question is its greeting."""
    turns = _turns(dialogue)
    if turns is None:
        notes.append("its intro_dialogue is in a form that is not known, and was left out")
        return {}
    front: dict[str, Any] = {}
    if turns and turns[0][0] == "assistant":
        front["greeting"] = turns.pop(0)[1]
        notes.append("its intro_dialogue begins with an answer, which is the greeting here")
    if len(turns) % 2:
        turns.pop()
        notes.append("its intro_dialogue ends with a question that has no answer; it was left out")
    pairs = zip(turns[::2], turns[1::2], strict=True)
    examples = [{"question": asked, "answer": said} for (_, asked), (_, said) in pairs]
    return front | ({"examples": examples} if examples else {})


def _turns(dialogue: object) -> list[tuple[str, str]] | None:
    """Role and text of each turn; the roles alternate. None: an unknown form."""
    turns: list[tuple[str, str]] = []
    try:
        for role, text in _said(dialogue):
            if turns and turns[-1][0] == role:
                turns[-1] = role, f"{turns[-1][1]}\n\n{text}"
            elif text:
                turns.append((role, text))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return turns


def _said(dialogue: object) -> Iterator[tuple[str, str]]:
    """From messages with a role, from pairs, or from texts by turns, the question first."""
    for number, item in enumerate(_items(dialogue)):
        match item:
            case {"role": str(role), "content": str(text)}:
                yield _ROLES[role.casefold()], clean(text).strip()
            case [str(asked), str(said)]:
                yield from (("user", clean(asked).strip()), ("assistant", clean(said).strip()))
            case {"user": str(asked), "assistant": str(said)}:
                yield from (("user", clean(asked).strip()), ("assistant", clean(said).strip()))
            case str(text):
                yield ("assistant" if number % 2 else "user"), clean(text).strip()
            case _:
                raise ValueError("no turn")


def _items(dialogue: object) -> list[object]:
    if dialogue is None:
        return []
    if not isinstance(dialogue, list):
        raise TypeError("no list")
    return dialogue


def _left_out(name: str, fields: Json) -> Iterator[str]:
    for key, value in fields.items():
        shown = str(value) if len(str(value)) <= _MAX_SHOWN else f"{str(value)[:_MAX_SHOWN]}…"
        if key in ("imperative", "intro_dialogue"):
            continue
        if key == "description":
            if not isinstance(value, str):
                yield "its description is no text, and was left out"
        elif advice := _ELSEWHERE.get(key):
            yield f"{key} is left out; {advice.format(value=shown, name=name)}"
        else:
            why = next(why for prefix, why in _MISSING if key.startswith(prefix))
            yield f"{key} is left out; {why}"

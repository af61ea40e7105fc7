"""Prints the house in figures, and names what stands out."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Iterator

from tests.shape import question, sources
from tests.shape.sources import modules


def main() -> None:
    for line in (*_sources(), *_question()):
        sys.stdout.write(f"{line}\n")


def _sources() -> Iterator[str]:
    all_modules, twice = modules().values(), sources.defined_twice()
    single = [name for name, number in sources.num_importers().items() if number == 1]
    yield f"files                          {sum(not m.is_package for m in all_modules)}"
    yield f"folders                        {len(sources.folders())}"
    yield f"arrows between folders         {len(sources.folder_arrows())}"
    yield f"folders in a circle            {_listed(sources.circles())}"
    yield f"modules with one importer      {len(single)}"
    yield f"class names defined twice      {_listed(twice)}"
    yield f"longest module                 {_longest_module()}"
    yield f"longest function               {_longest_function()}"


def _listed(names: Iterable[str]) -> str:
    listed = sorted(names)
    return f"{len(listed)}  {', '.join(listed)}"


def _longest_module() -> str:
    longest = max(modules().values(), key=lambda module: module.num_lines)
    return f"{longest.num_lines} lines  {longest.name}"


def _longest_function() -> str:
    num_lines, name = max(
        (sources.num_lines(function), f"{module.name}.{function.name}")
        for module in modules().values()
        for function in module.functions
    )
    return f"{num_lines} lines  {name}"


def _question() -> Iterator[str]:
    walk = asyncio.run(question.walk())
    yield "one Slack question enters"
    yield f"  files                        {walk.num_files}"
    yield f"  functions                    {walk.num_functions}"
    yield f"  switches between files until the acknowledgement  {walk.num_switches}"


if __name__ == "__main__":
    main()

"""The sources, parsed: modules, who imports whom, classes and functions."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("bot", "adapters")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """``name`` is dotted; a package's ``__init__`` has the name of the package."""

    name: str
    path: Path

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text(encoding="utf-8"))

    @property
    def num_lines(self) -> int:
        return len(self.path.read_text(encoding="utf-8").splitlines())

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    @property
    def folder(self) -> str:
        """A module that stands at the root of ``bot`` counts as a folder of its own."""
        place = self.path if self.path.parent == ROOT / "bot" else self.path.parent
        return place.relative_to(ROOT).as_posix()

    @cached_property
    def imports(self) -> frozenset[str]:
        """Absolute names, those of a function's body and of TYPE_CHECKING included."""
        return frozenset(self._imports())

    def _imports(self) -> Iterator[str]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{self.name}: a relative import; write the whole name"
                yield from (_imported(node.module or "", alias.name) for alias in node.names)

    @property
    def our_imports(self) -> frozenset[str]:
        return frozenset(name for name in self.imports if name.split(".")[0] in PACKAGES)

    @property
    def functions(self) -> Iterator[Function]:
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))

    @property
    def public_classes(self) -> Iterator[str]:
        nodes = (node for node in self.tree.body if isinstance(node, ast.ClassDef))
        return (node.name for node in nodes if not node.name.startswith("_"))


def _imported(package: str, name: str) -> str:
    full = f"{package}.{name}"
    return full if full in modules() else package


@cache
def modules() -> dict[str, Module]:
    """All of ours by name, in order."""
    paths = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    found = (Module(_name_of(path), path) for path in paths)
    return {module.name: module for module in found}


def _name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def folders() -> set[str]:
    """Those that hold modules beside their ``__init__``."""
    return {module.folder for module in modules().values() if not module.is_package}


def folder_arrows() -> set[tuple[str, str]]:
    """(who imports, what is imported), each a folder that holds modules."""
    pairs = (
        (each, modules().get(name)) for each in modules().values() for name in each.our_imports
    )
    arrows = {(each.folder, other.folder) for each, other in pairs if other is not None}
    return {(one, other) for one, other in arrows if one != other}


def circles() -> set[str]:
    """Folders from which arrows lead back to themselves."""
    nexts = defaultdict(set)
    for one, other in folder_arrows():
        nexts[one].add(other)
    return {folder for folder in nexts if folder in _reachable(folder, nexts)}


def _reachable(start: str, nexts: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    open_ends = [start]
    while open_ends:
        new = nexts.get(open_ends.pop(), set()) - found
        found |= new
        open_ends.extend(new)
    return found


def num_importers() -> Counter[str]:
    """How many of our modules import each."""
    return Counter(name for module in modules().values() for name in module.our_imports)


def defined_twice() -> dict[str, list[str]]:
    """Public class names that several modules define."""
    homes = defaultdict(list)
    for module in modules().values():
        for name in module.public_classes:
            homes[name].append(module.name)
    return {name: found for name, found in homes.items() if len(found) > 1}


def num_lines(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")

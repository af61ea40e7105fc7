"""Candidates: tokens of which samplers choose one."""

from __future__ import annotations

import ctypes
from typing import Any

import llama_cpp as llama
import numpy as np

from bot.inference.grammar.beginnings import Ids, Mask
from bot.inference.grammar.held import Logits
from bot.inference.llama.pointer import pointer_to


class Candidates:
    """A llama_token_data_array over an array of ours."""

    _DATA = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])

    def __init__(self, ids: Ids, logits: Logits) -> None:
        self._data = np.zeros(len(ids), self._DATA)
        self._data["id"], self._data["logit"] = ids, logits
        self._array = llama.llama_token_data_array()
        self._array.data = pointer_to(self._data, llama.llama_token_data)
        self._array.size, self._array.selected = len(ids), -1

    def apply(self, sampler: Any) -> None:
        llama.llama_sampler_apply(sampler, ctypes.byref(self._array))

    @property
    def selected(self) -> int:
        return int(self._data["id"][self._array.selected])

    @property
    def are_left(self) -> Mask:
        """Which ones no sampler ruled out, in the order in which they came."""
        left: Mask = np.isfinite(self._data["logit"])
        return left

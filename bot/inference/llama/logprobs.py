"""Logarithms of the probabilities that the model gave to the tokens of a reply."""

from __future__ import annotations

import numpy as np

from bot.inference.core.sequence import Logprobs
from bot.inference.grammar.constrained import Logits

_LEAST = -9999.0
"""In place of minus infinity, which JSON does not have; OpenAI's own number."""


def note(logits: Logits, token: int, wanted: Logprobs) -> None:
    """Note the probability of the token that was chosen, and of the likeliest ones.

    They are the model's own, before any sampler or grammar.
    """
    most = logits.max()
    total = most + np.log(np.exp(logits - most).sum())
    num_top = min(wanted.num_top, len(logits) - 1)
    likeliest = np.argpartition(-logits, num_top)[:num_top]
    tokens = [token, *map(int, likeliest[np.argsort(-logits[likeliest])])]
    wanted.noted.append([(each, max(_LEAST, float(logits[each] - total))) for each in tokens])

"""Recency: a small preference for what happened lately, enough to order what is otherwise alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RECENCY_WEIGHT = 0.1
"""A tenth of a deviation for what happens now: two answers that match alike come newest first, nothing else moves."""
HALF_LIFE_DAYS = 30.0
"""After so many days the preference is half."""
_DAY_MICROS = 86_400_000_000


def recency(at: NDArray[np.int64], moment: int) -> NDArray[np.float32]:
    """Return the bonus of nodes that happened at `at` (µs, (m,)) as seen from `moment` (µs), float32 (m,).

    What lies after the moment counts as happening now.
    """
    age_days = np.maximum(moment - at.astype(np.float64), 0) / _DAY_MICROS
    return (RECENCY_WEIGHT * np.exp2(-age_days / HALF_LIFE_DAYS)).astype(np.float32)

"""Neighbours: the turns around a turn, and the best turn of its session, lend it a part of their score."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

RADIUS = 2
"""How many turns on either side lend."""
SHARES = (0.4, 0.2)
"""What a turn at distance 1 and 2 lends of its score above the mean; docs/decisions/0005-ranking.md has the curves."""
SESSION_SHARE = 0.3
"""What the best turn of a session lends to all its turns: what was talked of there is likely talked of again."""
SPEAKS_FOR_ITSELF = 60
"""A text of more terms than this borrows less, in proportion: long texts carry their own meaning, short replies
("Yes, in Lisbon!") get theirs from what stands around them."""


def lend(
    scores: NDArray[np.float32],
    neighbours: NDArray[np.int64],
    lengths: NDArray[Any],
    shares: tuple[float, ...] = SHARES,
) -> NDArray[np.float32]:
    """Return what each member of a pool is lent, float32 (m,).

    Args:
        scores: fused scores in deviations from the pool's mean, (m,); below the mean there is nothing to lend.
        neighbours: for each member the places in the pool of its neighbours at the distances -radius … -1, 1 … radius,
            -1 where there is none or it is not in the pool; (m, 2 * radius) with radius = len(shares).
        lengths: number of terms of each member, (m,).
    """
    radius = len(shares)
    if neighbours.shape != (len(scores), 2 * radius):
        raise ValueError("neighbours need one column for each distance on either side")
    weights = np.array([*reversed(shares), *shares], np.float32)
    lendable = np.append(np.maximum(scores, 0), 0).astype(np.float32)  # the place -1 is the 0 at the end
    borrowed = lendable[neighbours] @ weights
    return (borrowed * _needs(lengths)).astype(np.float32)


def lend_in_sessions(
    scores: NDArray[np.float32], threads: NDArray[Any], lengths: NDArray[Any], share: float = SESSION_SHARE
) -> NDArray[np.float32]:
    """Return what each member of a pool is lent by the best member of its session, itself included, float32 (m,).

    Args:
        scores: fused scores in deviations from the pool's mean, (m,).
        threads: number of the session of each member, 0 for none, (m,).
        lengths: number of terms of each member, (m,).
    """
    if not len(scores):
        return np.empty(0, np.float32)
    order = np.argsort(threads, kind="stable")
    ordered = threads[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    best = np.maximum(np.maximum.reduceat(scores[order], starts), 0)
    best[ordered[starts] == 0] = 0
    shared = np.empty(len(scores), np.float32)
    shared[order] = np.repeat(best, np.diff(starts, append=len(scores)))
    return (shared * np.float32(share) * _needs(lengths)).astype(np.float32)


def _needs(lengths: NDArray[Any]) -> NDArray[np.float32]:
    """Return how much of what is lent a text takes, 1 for short ones."""
    words = np.maximum(lengths, 1).astype(np.float32)
    needs: NDArray[np.float32] = np.minimum(1, np.float32(SPEAKS_FOR_ITSELF) / words)
    return needs

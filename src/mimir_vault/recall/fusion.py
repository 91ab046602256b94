"""Fusion: raw scores of the lanes made comparable over one pool, weighted, and added."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32]

LEXICAL_WEIGHT = 0.8
"""Weight of the lexical lane against 1 for the dense one; docs/decisions/0005-ranking.md has the curve."""
DENSE_SPREAD_MIN = 0.02
"""Cosines that differ less than this over a whole pool differ by chance; they are not blown up to a full deviation."""
LEXICAL_SPREAD_MIN = 0.25
"""The same for BM25 scores, in units of one rare word."""


class Standard(NamedTuple):
    """Where a lane's scores lie over a pool: their mean and their standard deviation."""

    mean: float
    spread: float

    def of(self, scores: Scores) -> Scores:
        """Return the scores in deviations from the mean; a missing score (NaN) says nothing and becomes 0."""
        parts: Scores = np.where(np.isnan(scores), 0, (scores - self.mean) / self.spread).astype(np.float32)
        return parts


def standard(scores: Scores, spread_min: float) -> Standard:
    """Return the standard of a lane over the pool that lanes chose, missing scores (NaN) left out."""
    known = scores[~np.isnan(scores)]
    if not len(known):
        return Standard(0.0, 1.0)
    return Standard(float(known.mean()), max(float(known.std()), spread_min))


def fuse(dense: Scores, lexical: Scores, core: NDArray[np.bool_], lexical_weight: float) -> tuple[Scores, Scores]:
    """Return each lane's share of the fused score, float32 (m,) each; their sum ranks.

    Args:
        dense: cosines (less the windows' discount), NaN where unknown; (m,).
        lexical: BM25 scores, 0 where no term of the query stands; (m,).
        core: which members the lanes themselves chose: they alone set the standard, for the others (neighbours) come
            and go with the sessions; (m,).
        lexical_weight: weight of the lexical lane, 0 for none.
    """
    dense_part = standard(dense[core], DENSE_SPREAD_MIN).of(dense)
    lexical_part = standard(lexical[core], LEXICAL_SPREAD_MIN).of(lexical) * np.float32(lexical_weight)
    return dense_part, lexical_part

"""Ranking: the pool of nodes that the lanes bring up, fused, lent to by neighbours, and put in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mimir_vault.recall.fusion import LEXICAL_WEIGHT, fuse
from mimir_vault.recall.lexical import K1
from mimir_vault.recall.neighbours import lend, lend_in_sessions
from mimir_vault.recall.recency import recency

Rows = NDArray[np.int64]

LANE_DEPTH = 200
"""Nodes that each lane brings into the pool. A larger k asks for more: see `lane_depth`."""
SEEDS = 20
"""The neighbours of so many best nodes of each lane join the pool, to be lent to."""
FALLS_BY_HALF = 2.0
"""Deviations below the first hit at which the score is half of the first hit's."""


def lane_depth(k: int) -> int:
    """Return how many nodes each lane should bring for k hits."""
    return max(LANE_DEPTH, 2 * k)


class Pool(NamedTuple):
    """Members of the pool: rows, and which of them the lanes chose themselves (the others are their neighbours)."""

    rows: Rows
    core: NDArray[np.bool_]


def seeds(dense_rows: Rows, lexical_rows: Rows) -> Rows:
    """Return the rows whose neighbours join the pool; both lanes best first."""
    return _distinct(np.concatenate([dense_rows[:SEEDS], lexical_rows[:SEEDS]]))


def make_pool(dense_rows: Rows, lexical_rows: Rows, neighbour_rows: Rows) -> Pool:
    """Return the pool: what the lanes chose and the neighbours of their best.

    Args:
        dense_rows, lexical_rows: rows that the lanes found, best first, `lane_depth(k)` each.
        neighbour_rows: neighbours of `seeds` that a recall may see, any shape; -1 is passed over.
    """
    chosen = _distinct(np.concatenate([dense_rows, lexical_rows]))
    around = _distinct(neighbour_rows[neighbour_rows >= 0])
    around = around[_places_of(around, chosen) < 0]
    core = np.concatenate([np.ones(len(chosen), np.bool_), np.zeros(len(around), np.bool_)])
    return Pool(np.concatenate([chosen, around]), core)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of the members of a pool, all arrays (m,) but `neighbours` (m, 2 * RADIUS).

    `dense` holds cosines less the windows' discount (NaN: no vector), `lexical` BM25 scores (0: no term), `lengths`
    the number of terms, `at` microseconds, `neighbours` the rows around each member (-1: none), `eligible` who may
    become a hit (the others only lend), `threads` the number of each member's session (0: none). Without `threads`
    sessions lend nothing.
    """

    dense: NDArray[np.float32]
    lexical: NDArray[np.float32]
    lengths: NDArray[Any]
    at: NDArray[np.int64]
    neighbours: Rows
    eligible: NDArray[np.bool_]
    threads: NDArray[Any] | None = None


@dataclass(frozen=True, slots=True)
class Ranking:
    """The eligible members in order, best first: arrays of one length, and why each stands where it does.

    `rows` are row numbers, `scores` 0..1 and falling, `dense` and `lexical` the raw lane scores, `dense_ranks` and
    `lexical_ranks` the place in each lane from 1 (0: not found there); `parts` the shares of the sum that ranks.
    """

    rows: Rows
    scores: NDArray[np.float32]
    dense: NDArray[np.float32]
    lexical: NDArray[np.float32]
    dense_ranks: NDArray[np.int64]
    lexical_ranks: NDArray[np.int64]
    parts: dict[str, NDArray[np.float32]]

    def followed_by(self, rows: Rows) -> Ranking:
        """Return this order with more rows behind it, at score 0 and in no lane."""
        none, zeros = np.full(len(rows), np.nan, np.float32), np.zeros(len(rows), np.float32)
        unranked = np.zeros(len(rows), np.int64)
        return Ranking(
            rows=np.concatenate([self.rows, rows]),
            scores=np.concatenate([self.scores, zeros]),
            dense=np.concatenate([self.dense, none]),
            lexical=np.concatenate([self.lexical, zeros]),
            dense_ranks=np.concatenate([self.dense_ranks, unranked]),
            lexical_ranks=np.concatenate([self.lexical_ranks, unranked]),
            parts={name: np.concatenate([part, zeros]) for name, part in self.parts.items()},
        )

    def why(self, place: int) -> dict[str, float]:
        """Return the shares of the hit at a place: dense, lexical, neighbours, session, recency, in deviations."""
        return {name: float(part[place]) for name, part in self.parts.items()}


def rank(
    pool: Pool, evidence: Evidence, moment: int, *, idf_sum: float, lanes: tuple[str, ...] = ("dense", "lexical")
) -> Ranking:
    """Put the pool in order.

    Args:
        pool: the members.
        evidence: what is known of them, in the same order.
        moment: the present, or the moment asked about, in microseconds.
        idf_sum: sum of the idf of the query's terms (`lexical.idf_mass`), 0 for none.
        lanes: the lanes that count.
    """
    dense = evidence.dense if "dense" in lanes else np.full(len(pool.rows), np.nan, np.float32)
    lexical = evidence.lexical if "lexical" in lanes else np.zeros(len(pool.rows), np.float32)
    weight = LEXICAL_WEIGHT if "lexical" in lanes else 0.0
    dense_part, lexical_part = fuse(dense, lexical, pool.core, weight)
    fused = dense_part + lexical_part
    lent = lend(fused, _places(pool.rows, evidence.neighbours), evidence.lengths)
    threads = np.zeros(len(pool.rows), np.int64) if evidence.threads is None else evidence.threads
    shared = lend_in_sessions(fused, threads, evidence.lengths)
    recent = recency(evidence.at, moment)
    total = fused + lent + shared + recent
    order = np.lexsort((-pool.rows, -total))
    order = order[evidence.eligible[order]]
    return Ranking(
        rows=pool.rows[order],
        scores=_scores(total[order], dense[order], lexical[order], idf_sum),
        dense=dense[order],
        lexical=lexical[order],
        dense_ranks=_ranks(dense, evidence.eligible)[order],
        lexical_ranks=_ranks(np.where(lexical > 0, lexical, np.nan).astype(np.float32), evidence.eligible)[order],
        parts={
            "dense": dense_part[order],
            "lexical": lexical_part[order],
            "neighbours": lent[order],
            "session": shared[order],
            "recency": recent[order],
        },
    )


def _distinct(rows: Rows) -> Rows:
    """Return each row once, ascending: what np.unique does by hashing, in a fifth of its time for so few."""
    rows = np.sort(rows)
    return rows[np.concatenate([[True], rows[1:] != rows[:-1]])] if len(rows) else rows


def _places_of(wanted: Rows, ascending: Rows) -> Rows:
    """Return the place of each wanted row among ascending ones, -1 for those that are not there."""
    if not len(ascending):
        return np.full(wanted.shape, -1, np.int64)
    found = np.minimum(np.searchsorted(ascending, wanted), len(ascending) - 1)
    return np.where(ascending[found] == wanted, found, -1)


def _places(rows: Rows, neighbours: Rows) -> Rows:
    """Turn row numbers of neighbours into places in the pool, -1 for those outside it."""
    order = np.argsort(rows)
    found = _places_of(neighbours, rows[order])
    return np.where(found >= 0, order[found], -1) if len(rows) else found


def _ranks(scores: NDArray[np.float32], eligible: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the place of each member among the eligible ones by one lane's score, 1 for the best, 0 for none."""
    ranks = np.zeros(len(scores), np.int64)
    known = np.flatnonzero(eligible & ~np.isnan(scores))
    ranks[known[np.argsort(-scores[known], kind="stable")]] = np.arange(1, len(known) + 1)
    return ranks


def _scores(
    total: NDArray[np.float32], dense: NDArray[np.float32], lexical: NDArray[np.float32], idf_sum: float
) -> NDArray[np.float32]:
    """Map sums, highest first, to 0..1: the first by how well it matches in itself, the others by their distance.

    The first hit's strength is 1 - (1 - cosine) (1 - share of the query's idf it holds), so that a query which
    nothing answers gets low scores throughout.
    """
    if not len(total):
        return np.empty(0, np.float32)
    cosine = 0.0 if np.isnan(dense[0]) else min(max(float(dense[0]), 0.0), 1.0)
    share = min(1.0, float(lexical[0]) / ((K1 + 1) * idf_sum)) if idf_sum > 0 else 0.0
    strength = 1 - (1 - cosine) * (1 - share)
    scores: NDArray[np.float32] = (strength * np.exp2((total - total[0]) / FALLS_BY_HALF)).astype(np.float32)
    return scores

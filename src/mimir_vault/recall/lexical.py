"""The lexical lane: which terms of a query are worth fetching, and BM25 over their postings."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

K1 = 0.9
B = 0.9
LENGTH_PIVOT = 100
"""BM25's saturation, length norm, and the length (in terms) that counts as normal. The norm is absolute, not relative
to the mean of the space: a mean of short turns and long answers judges both wrongly. Relative, the lane finds 0.35 of
the evidence in long technical chats, absolute 0.49, and nothing is lost elsewhere (docs/decisions/0005-ranking.md)."""
POSTINGS_BUDGET = 30_000
"""Most postings that one query fetches and scores (0.25 ms without the fetching); rarer terms go first, so what falls
out says least."""
COMMON_SHARE = 0.5
"""A term in more than this share of the nodes is left out, its idf being next to nothing …"""
COMMON_FROM = 1_000
"""… in spaces of at least so many nodes; below, it costs nothing and still tells two speakers apart."""


class TermPostings(NamedTuple):
    """Where one term stands: rows int64 (n,), each once, and how often, uint8 (n,)."""

    rows: NDArray[np.int64]
    counts: NDArray[np.uint8]


def choose_terms(document_counts: Mapping[str, int], nodes_count: int, budget: int = POSTINGS_BUDGET) -> list[str]:
    """Return the terms of a query worth fetching, the rarest first.

    Args:
        document_counts: for each different term of the query, in how many nodes it stands.
        nodes_count: how many nodes the space has.
        budget: most postings to score; at least one known term is always chosen.
    """
    known = sorted((count, term) for term, count in document_counts.items() if count > 0)
    chosen: list[str] = []
    spent = 0
    for count, term in known:
        if nodes_count >= COMMON_FROM and count > COMMON_SHARE * nodes_count:
            break
        spent += count
        if chosen and spent > budget:
            break
        chosen.append(term)
    return chosen


def inverse_frequency(document_count: int, nodes_count: int) -> float:
    """Return the weight of a term, Robertson's idf with the 1 + that keeps it positive (Lucene's form)."""
    return math.log1p((nodes_count - document_count + 0.5) / (document_count + 0.5))


def score_terms(postings: Iterable[TermPostings], lengths: NDArray[Any], nodes_count: int) -> NDArray[np.float32]:
    """Return the BM25 score of every row, float32 (rows,); 0 where no term stands.

    Args:
        postings: one per chosen term; rows of -1 (nodes that are gone) are passed over.
        lengths: number of terms of every row, (rows,).
        nodes_count: how many nodes the space has.
    """
    chosen = list(postings)
    if not chosen:
        return np.zeros(len(lengths), np.float32)
    rows = np.concatenate([posting.rows for posting in chosen])
    counts = np.concatenate([posting.counts for posting in chosen]).astype(np.float32)
    sizes = np.array([len(posting.rows) for posting in chosen])
    weights = np.array([inverse_frequency(int(size), max(nodes_count, int(size))) for size in sizes], np.float32)
    norm = K1 * (1 - B) + np.float32(K1 * B / LENGTH_PIVOT) * lengths[rows].astype(np.float32)
    parts = np.repeat(weights, sizes) * counts * (K1 + 1) / (counts + norm)
    gone = rows < 0
    if gone.any():
        rows, parts = rows[~gone], parts[~gone]
    return np.bincount(rows, parts, len(lengths)).astype(np.float32)


def best_rows(scores: NDArray[np.float32], allowed: NDArray[np.bool_] | None, count: int) -> NDArray[np.int64]:
    """Return the rows of the highest positive scores, best first, at most `count`; ties by row, the newer first."""
    positive = scores > 0 if allowed is None else (scores > 0) & allowed
    rows = np.flatnonzero(positive)
    values = scores[rows]
    if len(rows) > count > 0:
        kept = values >= np.partition(values, -count)[-count]
        rows, values = rows[kept], values[kept]
    return rows[np.lexsort((-rows, -values))][:count]


def idf_mass(document_counts: Sequence[int], nodes_count: int) -> float:
    """Return the sum of the idf of a query's terms; a term that stands nowhere counts as standing in no node."""
    return sum(inverse_frequency(count, max(nodes_count, count)) for count in document_counts)

"""The planner: which dense path a recall takes, by the size of the space and by how much the filter lets through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

EXACT_VECTORS_MAX = 30_000
"""Spaces up to here keep all int8 vectors in RAM (12 MB) and compare all: 1 ms, nothing fetched or missed."""
CANDIDATES = 400
"""Candidates of the sketch that exact vectors re-rank: 0.99 of the ten best are among them at 100,000 utterances."""
FETCHED_MAX = CANDIDATES
"""A filter that leaves at most so many vectors has them all fetched, for about what fetching candidates costs."""
FILTERED_BELOW = 0.9
"""A filter that lets less than this share through is handed to the sketch; above, dropping hits afterwards is cheaper,
and so many candidates more are asked for."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How the dense lane goes.

    `path` is "none" (no node can be given), "exact" (all vectors in RAM), "fetched" (the vectors of the allowed nodes
    come from the database) or "sketch": ask it for `candidates`, and hand it the allowed nodes if `filtered`.
    """

    path: Literal["none", "exact", "fetched", "sketch"]
    candidates: int = 0
    filtered: bool = False


def plan(vectors: int, nodes: int, allowed: int) -> Plan:
    """Choose the dense path.

    Args:
        vectors: vectors of the query's model in the space.
        nodes: nodes of the space that are not removed.
        allowed: nodes that may be given (visible, and perhaps passing the filter).
    """
    if not vectors or not nodes or not allowed:
        return Plan("none")
    if vectors <= EXACT_VECTORS_MAX:
        return Plan("exact")
    share = min(1.0, allowed / nodes)
    if share * vectors <= FETCHED_MAX:
        return Plan("fetched")
    if share < FILTERED_BELOW:
        return Plan("sketch", CANDIDATES, filtered=True)
    return Plan("sketch", round(CANDIDATES / share))

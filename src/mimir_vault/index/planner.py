"""The planner: which dense path a recall takes, by the size of the space and by how much the filter lets through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

EXACT_VECTORS_MAX = 30_000
"""Spaces up to here keep all int8 vectors in RAM (12 MB) and compare all: 1 ms, nothing fetched or missed."""
FETCHED_MAX = 2_000
"""Above that size, a filter that leaves at most so many vectors has them fetched and compared: 5 µs each."""
CANDIDATES = 200
"""Candidates of the sketch that exact vectors re-rank: 0.985 of the ten best are among them at 100,000 utterances."""
CANDIDATES_MAX = 2_000
"""Most candidates asked of the sketch when a filter drops many of them; fetching them costs 5 µs each."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How the dense lane goes.

    `path` is "none" (no node can be given), "exact" (all vectors in RAM), "fetched" (the vectors of the allowed nodes
    come from the database) or "sketch"; `candidates` is how many to ask of the sketch.
    """

    path: Literal["none", "exact", "fetched", "sketch"]
    candidates: int = 0


def plan(vectors: int, nodes: int, allowed: int) -> Plan:
    """Choose the dense path.

    Args:
        vectors: vectors of the query's model in the space.
        nodes: nodes of the space that are not removed.
        allowed: nodes that may be given (visible and perhaps passing the filter).
    """
    if not vectors or not nodes or not allowed:
        return Plan("none")
    if vectors <= EXACT_VECTORS_MAX:
        return Plan("exact")
    share = min(1.0, allowed / nodes)
    candidates = min(vectors, round(CANDIDATES / share))
    if share * vectors <= FETCHED_MAX:
        return Plan("fetched")
    return Plan("sketch", min(candidates, CANDIDATES_MAX))

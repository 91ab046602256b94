"""The planner: exact while it is cheap, fetched where a filter leaves little, the sketch otherwise."""

from __future__ import annotations

import pytest

from mimir_vault.index.planner import CANDIDATES, EXACT_VECTORS_MAX, FETCHED_MAX, Plan, plan


@pytest.mark.parametrize(
    ("vectors", "nodes", "allowed", "expected"),
    [
        (0, 5, 5, Plan("none")),
        (5, 5, 0, Plan("none")),
        (EXACT_VECTORS_MAX, 100, 1, Plan("exact")),
        (100_000, 100_000, FETCHED_MAX, Plan("fetched")),
        (100_000, 100_000, FETCHED_MAX + 1, Plan("sketch", CANDIDATES, filtered=True)),
        (100_000, 100_000, 50_000, Plan("sketch", CANDIDATES, filtered=True)),
        (100_000, 100_000, 95_000, Plan("sketch", round(CANDIDATES / 0.95))),
        (100_000, 100_000, 100_000, Plan("sketch", CANDIDATES)),
        (200_000, 100_000, FETCHED_MAX, Plan("sketch", CANDIDATES, filtered=True)),
    ],
)
def test_the_path_follows_size_and_selectivity(vectors: int, nodes: int, allowed: int, expected: Plan) -> None:
    """Every path is taken where it is the cheapest that misses nothing it need not miss."""
    assert plan(vectors, nodes, allowed) == expected

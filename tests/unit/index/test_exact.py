"""The exact path: every vector compared, windows reduced to nodes."""

from __future__ import annotations

import numpy as np
import pytest

from mimir_vault.index.exact import Exact, dot
from mimir_vault.index.quantise import from_rows, to_rows
from mimir_vault.index.windows import WINDOW_DISCOUNT


def unit(count: int, seed: int = 0) -> np.ndarray:  # type: ignore[type-arg]
    vectors = np.random.default_rng(seed).standard_normal((count, 32)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def filled(count: int) -> tuple[Exact, np.ndarray]:  # type: ignore[type-arg]
    rows = to_rows(unit(count))
    exact = Exact(32)
    for first in range(0, count, 100):
        part = rows[first : first + 100]
        exact.add(np.arange(first, first + len(part)), np.arange(first, first + len(part)) + 1, part)
    return exact, from_rows(rows)


def test_products_agree_with_floating_point() -> None:
    """Splitting the query into two int8 vectors costs no more than a rounding."""
    values = np.random.default_rng(1).integers(-127, 128, (300, 32)).astype(np.int8)
    query = unit(1, seed=2)[0]

    np.testing.assert_allclose(dot(values, query) / 127, values.astype(np.float64) @ query / 127, atol=2e-4)
    assert not dot(values, np.zeros(32, np.float32)).any()


def test_search_gives_the_best_nodes_in_order() -> None:
    """The ten best by cosine, best first, with the vectors they come from."""
    exact, vectors = filled(700)
    query = unit(1, seed=3)[0]
    expected = np.argsort(-(vectors @ query))[:10]
    found = exact.search(query, 10)

    assert found.vids.tolist() == expected.tolist()
    assert found.seqs.tolist() == (expected + 1).tolist()
    np.testing.assert_allclose(found.scores, (vectors @ query)[expected], atol=1e-4)


def test_search_among_allowed_nodes_only() -> None:
    """A filter comes before the cut: nothing allowed is missed."""
    exact, _ = filled(300)
    found = exact.search(unit(1, seed=3)[0], 5, allowed=np.array([7, 300, 12, 999]))

    assert sorted(found.seqs.tolist()) == [7, 12, 300]


def test_windows_of_a_node_count_once() -> None:
    """A node with several vectors has the best cosine less the discount for their number."""
    vectors = unit(4)
    exact = Exact(32)
    exact.add(np.array([1, 2, 3, 4]), np.array([1, 2, 2, 2]), to_rows(vectors))
    found = exact.scores(vectors[2])

    assert found.seqs.tolist() == [1, 2]
    assert found.vids[1] == 3
    assert found.scores[1] == pytest.approx(1 - WINDOW_DISCOUNT * np.log(3), abs=1e-3)


def test_removed_nodes_are_overwritten() -> None:
    """All vectors of a node go, nothing of them stays in the room they had."""
    exact, _ = filled(300)

    assert exact.remove([1, 2, 300, 999]) == 3
    assert len(exact) == 297
    assert not exact._values[297:300].any()
    assert not np.isin([0, 1, 299], exact.vids).any()
    assert exact.search(unit(300)[0], 300).seqs.min() == 3


def test_an_empty_matrix_finds_nothing() -> None:
    """No vectors, no nodes; wrong shapes are a ValueError."""
    exact = Exact(32)

    assert len(exact.scores(unit(1)[0]).seqs) == 0
    with pytest.raises(ValueError, match="shape"):
        exact.add(np.array([1]), np.array([1]), to_rows(unit(1))[:, :-1])
    with pytest.raises(ValueError, match="coordinate"):
        Exact(0)

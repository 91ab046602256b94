"""Windows: one score for each node, fair to long texts."""

from __future__ import annotations

import numpy as np

from mimir_vault.index.windows import NodeScores, discount, reduce_windows


def test_the_best_window_counts_less_the_discount() -> None:
    """Many windows must not win by their number alone."""
    found = reduce_windows(
        np.array([9, 3, 9, 3]),
        np.array([0.5, 0.4, 0.7, 0.2], np.float32),
        np.array([10, 11, 12, 13]),
        np.array([4, 2, 4, 2]),
    )

    assert found.seqs.tolist() == [3, 9]
    assert found.vids.tolist() == [11, 12]
    np.testing.assert_allclose(found.scores, [0.4 - 0.1 * np.log(2), 0.7 - 0.1 * np.log(4)], rtol=1e-6)


def test_one_window_has_no_discount() -> None:
    """A short text keeps its cosine; so does one whose count is unknown."""
    assert discount(np.array([0, 1])).tolist() == [0, 0]


def test_best_orders_equals_by_age() -> None:
    """The newer of two equal nodes comes first, and the cut keeps the highest."""
    scores = NodeScores(np.array([1, 2, 3]), np.array([0.5, 0.9, 0.5], np.float32), np.array([1, 2, 3]))

    assert scores.best(9).seqs.tolist() == [2, 3, 1]
    assert scores.best(1).seqs.tolist() == [2]
    assert scores.best(0).seqs.tolist() == []
    assert scores.among(np.array([True, False, True])).seqs.tolist() == [1, 3]

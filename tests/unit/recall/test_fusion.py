"""Fusion: lanes on one scale, missing scores silent."""

from __future__ import annotations

import numpy as np

from mimir_vault.recall.fusion import DENSE_SPREAD_MIN, fuse, standard

CORE = np.ones(4, np.bool_)


def scores(*values: float) -> np.ndarray:  # type: ignore[type-arg]
    return np.array(values, np.float32)


def test_lanes_of_different_scales_count_alike() -> None:
    """Multiplying one lane's scores changes nothing."""
    dense, lexical = scores(0.1, 0.3, 0.5, 0.9), scores(4, 0, 9, 2)
    first, second = fuse(dense, lexical, CORE, 1.0), fuse(dense, lexical * 10, CORE, 1.0)

    np.testing.assert_allclose(first[1], second[1], rtol=1e-5)
    np.testing.assert_allclose(first[1].std(), 1, rtol=1e-5)


def test_a_missing_vector_is_neither_praise_nor_blame() -> None:
    """NaN becomes the mean."""
    dense_part, _ = fuse(scores(np.nan, 0.2, 0.6, 0.4), scores(0, 0, 0, 0), CORE, 1.0)

    assert dense_part[0] == 0
    assert dense_part[1:].mean() == np.float32(0) or abs(dense_part[1:].mean()) < 1e-6


def test_neighbours_do_not_move_the_standard() -> None:
    """Members outside the core are measured by it, and leave it as it is."""
    core = np.array([True, True, False, False])
    with_them = fuse(scores(0.2, 0.6, -0.9, -0.9), scores(1, 3, 0, 0), core, 1.0)
    without = fuse(scores(0.2, 0.6), scores(1, 3), np.ones(2, np.bool_), 1.0)

    np.testing.assert_allclose(with_them[0][:2], without[0])
    np.testing.assert_allclose(with_them[1][:2], without[1])


def test_equal_scores_are_not_blown_up() -> None:
    """Differences below the least spread stay small; no lane at all is no fault."""
    assert standard(scores(0.5, 0.5001), DENSE_SPREAD_MIN).spread == DENSE_SPREAD_MIN
    assert not np.isnan(fuse(scores(np.nan), scores(0), np.ones(1, np.bool_), 0.0)[0]).any()
    assert len(fuse(scores(), scores(), np.ones(0, np.bool_), 1.0)[0]) == 0

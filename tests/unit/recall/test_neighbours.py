"""Neighbours: what a turn is lent by those around it."""

from __future__ import annotations

import numpy as np
import pytest

from mimir_vault.recall.neighbours import SESSION_SHARE, SHARES, SPEAKS_FOR_ITSELF, lend, lend_in_sessions

AROUND = np.array([[-1, -1, 1, 2], [-1, 0, 2, -1], [0, 1, -1, -1]])


def test_near_neighbours_lend_more_than_far_ones() -> None:
    """Each lends its share by distance, on both sides."""
    lent = lend(np.array([0, 2, 1], np.float32), AROUND, np.array([5, 5, 5]))

    np.testing.assert_allclose(lent, [SHARES[0] * 2 + SHARES[1] * 1, SHARES[0] * 1, SHARES[0] * 2], rtol=1e-6)


def test_nothing_is_lent_below_the_mean() -> None:
    """A bad neighbour does not pull down."""
    assert not lend(np.array([-3, -2, -1], np.float32), AROUND, np.array([5, 5, 5])).any()


def test_long_texts_borrow_less() -> None:
    """In proportion to their length beyond what speaks for itself."""
    lengths = np.array([SPEAKS_FOR_ITSELF, 2 * SPEAKS_FOR_ITSELF, 0])
    lent = lend(np.array([1, 1, 1], np.float32), AROUND, lengths)

    np.testing.assert_allclose(lent[1], lent[0] * (2 * SHARES[0]) / sum(SHARES) / 2, rtol=1e-6)


def test_columns_must_fit_the_distances() -> None:
    """A wrong number of columns is a ValueError."""
    with pytest.raises(ValueError, match="column"):
        lend(np.zeros(1, np.float32), np.zeros((1, 2), np.int64), np.ones(1))


def test_the_best_of_a_session_lends_to_all_of_it() -> None:
    """Itself included; long texts take less, and without a session there is nothing to take."""
    scores = np.array([2, -1, 1, 5, -3], np.float32)
    lent = lend_in_sessions(scores, np.array([1, 1, 2, 0, 9]), np.array([5, 2 * SPEAKS_FOR_ITSELF, 5, 5, 5]))

    np.testing.assert_allclose(lent, [2 * SESSION_SHARE, SESSION_SHARE, SESSION_SHARE, 0, 0], rtol=1e-6)
    assert len(lend_in_sessions(scores[:0], np.array([]), np.array([]))) == 0

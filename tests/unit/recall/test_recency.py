"""Recency: small, halved by age, never above its weight."""

from __future__ import annotations

import numpy as np

from mimir_vault.recall.recency import HALF_LIFE_DAYS, RECENCY_WEIGHT, recency

DAY = 86_400_000_000


def test_the_bonus_halves_with_age() -> None:
    """Now counts whole, a half-life ago half; what lies ahead counts as now."""
    at = np.array([0, -int(HALF_LIFE_DAYS) * DAY, 5 * DAY, -(1 << 60)], np.int64)

    np.testing.assert_allclose(recency(at, 0), [RECENCY_WEIGHT, RECENCY_WEIGHT / 2, RECENCY_WEIGHT, 0], atol=1e-6)

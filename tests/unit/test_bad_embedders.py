"""An embedder that gives nonsense: the right error, one clear sentence, and nothing half-written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mimir_vault.testing import HashEmbedder


def refused(error: type[Exception], says: str, work: Callable[[], Any]) -> None:
    """Assert that this is refused by exactly that error in one sentence that says this."""
    with pytest.raises(error, match=says) as caught:
        work()
    message = str(caught.value)
    assert type(caught.value) is error
    assert "\n" not in message
    assert 10 < len(message) < 300


class Broken(HashEmbedder):
    """An embedder that goes wrong in a way of its choice, once it is told to."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way, self.well = way, False

    def embed(self, texts: Any) -> Any:
        """Return something wrong."""
        rows = super().embed(texts)
        if self.well:
            return rows
        return {
            "nan": rows * np.nan, "infinity": np.full_like(rows, np.inf),
            "zero": np.zeros_like(rows), "narrow": rows[:, :-1], "one row less": rows[:-1], "flat": rows.ravel(),
            "text": np.array(["x"]), "nothing": None, "list of lists": [[1.0]],
        }[self.way]  # fmt: skip


@pytest.mark.parametrize(
    "way", ["nan", "infinity", "zero", "narrow", "one row less", "flat", "text", "nothing", "list of lists"]
)
def test_an_embedder_that_gives_nonsense_stores_nothing(vaults: Any, way: str) -> None:
    """NaN, infinity, zeros and wrong shapes are a ValueError that names the embedder, in every verb."""
    embedder = Broken(way)
    memory = vaults.create(embedder=embedder).space()
    refused(ValueError, "[Ee]mbedder 'hash-64' gave", lambda: memory.remember("x"))
    assert memory.count() == 0
    embedder.well = True
    memory.remember("x")
    embedder.well = False
    refused(ValueError, "[Ee]mbedder 'hash-64' gave", lambda: memory.recall("x"))
    refused(ValueError, "[Ee]mbedder 'hash-64' gave", lambda: memory.remember("y"))
    assert memory.count() == 1
    assert memory.verify(full=True) == []

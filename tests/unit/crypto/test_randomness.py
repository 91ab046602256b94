"""Tests of drawing from the source of randomness."""

from __future__ import annotations

import os

import pytest

from mimir_vault.crypto.randomness import draw


def test_draw_returns_what_the_source_gives() -> None:
    """The bytes of the source come back unchanged."""
    assert draw(lambda length: b"r" * length, 5) == b"rrrrr"
    assert len(draw(os.urandom, 24)) == 24


@pytest.mark.parametrize("given", [0, 23, 25])
def test_a_wrong_number_of_bytes_is_refused(given: int) -> None:
    """A short answer never becomes a short nonce."""
    with pytest.raises(ValueError, match=f"gave {given} bytes where 24 were asked for"):
        draw(lambda _: bytes(given), 24)

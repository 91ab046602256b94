"""Facets: 64 bytes a node, in the order of the layout."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimir_vault.model.facets import FACETS, FACETS_LAYOUT, HIDDEN, NEVER, PINNED, UNINDEXED, Facets

RANGES = {"q": (-(1 << 63), NEVER), "I": (0, (1 << 32) - 1), "H": (0, 0xFFFF), "B": (0, 255)}
ROWS = st.tuples(*(st.integers(*RANGES[code]) for _, code in FACETS_LAYOUT)).map(Facets._make)


@given(ROWS)
def test_a_row_comes_back_from_its_64_bytes(row: Facets) -> None:
    """Packing loses nothing, at the ends of every range too."""
    assert len(row.pack()) == FACETS.size == 64
    assert Facets.unpack(row.pack()) == row


def test_the_names_are_those_of_the_layout_and_lie_little_endian() -> None:
    """Fields stand in the order of the layout: seq in bytes 0 to 7, flags in the last."""
    assert Facets._fields == tuple(name for name, _ in FACETS_LAYOUT)
    row = Facets(1, 2, 3, NEVER, 4, 5, 6, 7, 8, 9, 10, 11, 12, PINNED | HIDDEN | UNINDEXED).pack()
    assert row[:8] == (1).to_bytes(8, "little")
    assert row[24:32] == b"\xff" * 7 + b"\x7f"
    assert row[-1] == 7


@pytest.mark.parametrize("row", [b"", bytes(63), bytes(65)])
def test_a_row_of_another_length_is_refused(row: bytes) -> None:
    """A row has 64 bytes and no others."""
    with pytest.raises(struct.error):
        Facets.unpack(row)

"""The graph: what is packed names its vids, and only known layouts reach usearch."""

from __future__ import annotations

import numpy as np
import pytest

from mimir_vault.errors import FormatError
from mimir_vault.index.graph import FREE_KEY, Graph, packed_vids

CODES = np.random.default_rng(0).integers(0, 256, (200, 16), dtype=np.uint8)


def filled() -> Graph:
    graph = Graph(16)
    graph.add(np.arange(200) + 5, CODES)
    return graph


def test_packed_bytes_name_every_vid_and_every_hole() -> None:
    """Removed vectors leave the free key in their slot; none of their code is packed."""
    graph = filled()
    graph.remove(np.array([5, 204]))
    packed = graph.pack()
    keys = packed_vids(packed)

    assert keys is not None
    assert sorted(keys.tolist()) == [*range(6, 204), FREE_KEY, FREE_KEY]
    assert all(code.tobytes() not in packed for code in CODES)


def test_unpacking_needs_the_codes_of_all_slots() -> None:
    """With them the graph answers again, with fewer it is refused."""
    packed = filled().pack()
    graph = Graph.unpack(packed, CODES)

    assert graph.search(CODES[9], 1)[0].tolist() == [14]
    with pytest.raises(FormatError):
        Graph.unpack(packed, CODES[:-1])


@pytest.mark.parametrize("damage", [b"", b"usearch", b"x" * 500])
def test_an_unknown_layout_is_recognised(damage: bytes) -> None:
    """Nothing of it is handed to usearch."""
    assert packed_vids(damage) is None
    with pytest.raises(FormatError):
        Graph.unpack(damage, CODES)


def test_an_empty_graph_finds_nothing() -> None:
    """And packs and unpacks as well."""
    graph = Graph.unpack(Graph(16).pack(), CODES[:0])

    assert len(graph) == 0
    assert graph.search(CODES[0], 3)[0].tolist() == []

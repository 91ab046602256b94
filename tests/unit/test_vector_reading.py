"""Reading vectors: as they were given, as they are stored, and the mean of several windows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mimir_vault import Memory, Vault, errors
from mimir_vault.testing import HashEmbedder


@pytest.fixture
def memory(vault: Vault) -> Memory:
    """An empty space."""
    return vault.space()


def unit(*rows: Any) -> Any:
    """Return rows at length 1, float32."""
    wide = np.array(rows, np.float64)
    return (wide / np.linalg.norm(wide, axis=1, keepdims=True)).astype(np.float32)


def given(count: int, seed: int = 0) -> Any:
    """Return vectors of any length, float32 (count, 64)."""
    return np.random.default_rng(seed).normal(size=(count, 64)).astype(np.float32)


def test_the_embedders_vector_comes_back_nearly_as_it_was(memory: Memory) -> None:
    """One row per node, in the order asked, at length 1; the cosine with the embedder's own is above 0.999."""
    nodes = [memory.remember(f"text number {number}") for number in range(3)]
    found = memory.vectors([nodes[2].id, nodes[0].id[:12], nodes[2].id])
    assert (found.shape, found.dtype) == ((3, 64), np.float32)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    wanted = HashEmbedder().embed(["text number 2", "text number 0", "text number 2"])
    assert ((found * wanted).sum(axis=1) > 0.999).all()


def test_no_nodes_have_no_rows(memory: Memory) -> None:
    """Of the right width, in an empty space too."""
    assert memory.vectors([]).shape == (0, 64)
    assert memory.vectors(()).dtype == np.float32


def test_a_given_vector_comes_back_bit_for_bit(memory: Memory) -> None:
    """At length 1, before and after a rebuild, and in another handle."""
    (vector,) = given(1)
    node = memory.remember("text", vector=vector)
    assert np.array_equal(memory.vectors([node.id]), unit(vector))
    memory.rebuild()
    assert np.array_equal(memory.vectors([node.id]), unit(vector))


def test_several_windows_have_the_direction_of_their_mean(memory: Memory) -> None:
    """Given ones and passages alike."""
    rows = given(3)
    node = memory.remember("text", vector=rows)
    mean = unit(unit(*rows).mean(axis=0))
    assert np.allclose(memory.vectors([node.id]), mean, atol=1e-6)
    passages = memory.remember("text", index=["cats", "dogs"])
    mean = unit(HashEmbedder().embed(["cats", "dogs"]).mean(axis=0))
    assert float(memory.vectors([passages.id])[0] @ mean[0]) > 0.999


def test_vectors_without_a_mean_have_no_direction(memory: Memory) -> None:
    """Two that are opposite: there is nothing to give."""
    (vector,) = given(1)
    node = memory.remember("text", vector=np.stack([vector, -vector]))
    with pytest.raises(errors.NotFoundError, match="has no vector by hash-64"):
        memory.vectors([node.id])


def test_each_memory_reads_vectors_of_its_own_embedder(memory: Memory) -> None:
    """Another's are not there, however many dimensions they have."""
    view = memory.view(embedder=HashEmbedder(64, "other"))
    own, theirs = memory.remember("own"), view.remember("theirs")
    assert memory.vectors([own.id]).shape == view.vectors([theirs.id]).shape == (1, 64)
    with pytest.raises(errors.NotFoundError, match="has no vector by other"):
        view.vectors([own.id])
    with pytest.raises(errors.NotFoundError, match="has no vector by hash-64"):
        memory.vectors([own.id, theirs.id])


def test_what_is_never_found_has_none(memory: Memory) -> None:
    """The error names the node and the embedder."""
    nodes = [memory.remember("x", index=False), memory.remember("", data=b"d")]
    for node in nodes:
        with pytest.raises(errors.NotFoundError, match=f"node {node.id} has no vector by hash-64"):
            memory.vectors([node.id])


def test_a_view_reads_no_others(memory: Memory) -> None:
    """A node outside is not there."""
    node = memory.remember("x", user="bo")
    with pytest.raises(errors.NotFoundError, match="there is no node"):
        memory.view(user="ada").vectors([node.id])


def test_a_given_vector_of_another_node_is_tampering(memory: Memory) -> None:
    """Each is sealed to its own node, model and window."""
    one, two = (memory.remember(f"{seed}", vector=given(1, seed)[0]) for seed in (1, 2))
    with memory._space.store.fresh.database.write() as connection:
        connection.execute(
            "UPDATE sealed_vector SET data = (SELECT data FROM sealed_vector WHERE seq = 2) WHERE seq = 1"
        )
    with pytest.raises(errors.TamperedError):
        memory.vectors([one.id])
    assert np.array_equal(memory.vectors([two.id]), unit(given(1, 2)[0]))

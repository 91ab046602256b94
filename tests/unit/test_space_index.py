"""What a space keeps in memory: it follows every change, and is the same when it is made anew."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mimir_vault import Draft, Memory, Vault
from mimir_vault import space_index as module
from mimir_vault.errors import TamperedError
from mimir_vault.space_index import DenseIndex, SpaceIndex, load_sketch
from mimir_vault.store import vectors


@pytest.fixture(autouse=True)
def upkeep_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no thread: upkeep is done when a test says so."""
    monkeypatch.setattr("mimir_vault.upkeep.Upkeep.wrote", lambda _: None)


@pytest.fixture
def memory(upkeep_by_hand: None, vault: Vault) -> Memory:
    """An empty space."""
    return vault.space()


def state(memory: Memory, index: SpaceIndex) -> dict[str, Any]:
    """Bring an index up to date and return what it holds, in an order that does not depend on how it came about."""
    with memory._space.store.read() as connection, index.lock:
        index.refresh(connection, memory._space.space.model(connection, memory._space.embedder))
        columns = index.columns
        live = columns.live
        seqs = columns.seqs[live]
        codes, counts = index.terms_in(connection, ["seat", "train", "never"])
        return {
            "seqs": seqs.tolist(),
            "facets": {
                name: columns.facet(name)[live].tolist()
                for name in ("at", "recorded", "expires", "windows", "flags", "length")
            },
            "superseded": columns.seqs[columns.superseded(live)].tolist(),
            "terms": counts,
            "codes": sorted(codes),
            "tail": {code: index.tail_of(code)[0].tolist() for code in codes.values()},
            "vectors": {code: dense.count for code, dense in index.dense.items() if dense.count},
        }


def test_following_and_beginning_anew_come_to_the_same(memory: Memory) -> None:
    """After puts, changes, merges, erasures and a rebuild, step by step."""
    follower = SpaceIndex()
    nodes: list[Any] = []

    def check() -> None:
        assert state(memory, follower) == state(memory, SpaceIndex())

    with memory._space.store.read() as connection:
        follower.refresh(connection)
    assert len(follower.columns) == 0
    for turn in range(4):
        nodes += memory.remember_many([
            Draft(f"a seat in train {turn} {number}", user=f"u{number}", session="s", ref=("r", f"{number}"))
            for number in range(4)
        ])  # fmt: skip
        check()
        memory.supersede(nodes[-1].id, f"no seat {turn}")
        check()
        memory.forget(nodes[3 * turn].id)
        check()
    with memory._space.store.write() as writer:
        writer.merge_words()
    check()
    memory.rebuild()
    check()
    memory.remember("a last train")
    check()


def test_nothing_new_costs_nothing(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refresh at the same generation reads no vectors and no facets."""
    memory.remember("a seat")
    index = SpaceIndex()
    state(memory, index)
    monkeypatch.setattr(module.vectors, "after", None)
    monkeypatch.setattr(module.words, "tail", None)
    with memory._space.store.read() as connection:
        index.refresh(connection, memory._space.space.model(connection, memory._space.embedder))


def test_words_of_the_tail_are_counted_once(memory: Memory) -> None:
    """Before a merge in the tail, after it in the postings."""
    memory.remember_many([Draft("a seat"), Draft("two seats, one seat"), Draft("a train")])
    index = SpaceIndex()
    with memory._space.store.read() as connection:
        index.refresh(connection)
        codes, counts = index.terms_in(connection, ["seat", "train", "walrus"])
        assert counts["walrus"] == 0
        assert counts["seat"] >= 1
        before = dict(counts)
        assert len(index.tail_of(codes["train"])[0]) == 1
    with memory._space.store.write() as writer:
        writer.merge_words()
    with memory._space.store.read() as connection:
        index.refresh(connection)
        assert index.terms_in(connection, ["seat", "train", "walrus"])[1] == before
        assert len(index.tail_of(codes["train"])[0]) == 0
    assert index.tail_of(999)[0].tolist() == []


def test_vectors_come_in_portions(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are, a read takes no more than a portion."""
    memory.remember_many([Draft(f"{number}") for number in range(25)])
    monkeypatch.setattr(module, "PORTION", 10)
    with memory._space.store.read() as connection:
        (model,) = vectors.models(connection)
        dense = DenseIndex(model)
        assert [dense.take_portion(connection) for _ in range(4)] == [True, True, True, False]
        assert (dense.count, dense.through) == (25, 25)
        dense.remove(np.array([1, 2, 99], np.int64))
        assert dense.count == 23


def test_clearing_forgets_everything(memory: Memory) -> None:
    """Columns, names, vectors, words."""
    memory.remember("a seat", user="ada")
    index = SpaceIndex()
    before = state(memory, index)
    index.clear()
    assert len(index.columns) == 0
    assert index.dense == {}
    assert state(memory, index) == before


def test_a_sketch_that_does_not_load_is_an_empty_one(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """None saved, another version, or nonsense: begin at the first vector."""
    for name in ("upkeep", "space_index"):
        monkeypatch.setattr(f"mimir_vault.{name}.EXACT_VECTORS_MAX", 5)
    monkeypatch.setattr("mimir_vault.upkeep.SAVE_CHANGES", 5)
    memory.remember_many([Draft(f"{number}") for number in range(12)])
    memory._space.upkeep.run_now()
    dense = memory._space.index.dense[1]
    assert dense.frozen is not None
    with memory._space.store.write() as writer:
        connection = writer.connection
        sketch, through = load_sketch(connection, dense.model, dense.frozen)
        assert (len(sketch), through) == (12, 12)
        for damaged in (b"", b"nonsense", b"\xff" * 5_000):
            vectors.save_sketch(connection, 1, module.SKETCH_VERSION, 12, damaged)
            sketch, through = load_sketch(connection, dense.model, dense.frozen)
            assert (len(sketch), through) == (0, 0)
        vectors.save_sketch(connection, 1, module.SKETCH_VERSION + 1, 12, b"")
        assert load_sketch(connection, dense.model, dense.frozen)[1] == 0


def test_a_vector_of_a_wrong_length_is_tampering(memory: Memory) -> None:
    """Said in a sentence, not by NumPy."""
    memory.remember_many([Draft("one"), Draft("two")])
    with memory._space.store.fresh.database.write() as connection:
        connection.execute("UPDATE vector SET data = x'00' WHERE vid = 2")
    memory._space.index.clear()
    with pytest.raises(TamperedError, match="mimir rebuild"):
        memory.recall("one")

"""Vectors: models, rows by vid and by node, passages, and the saved sketch in parts."""

from __future__ import annotations

import apsw
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimir_vault.errors import TamperedError
from mimir_vault.store import vectors
from mimir_vault.store.vectors import PART_BYTES, NewVector

from .conftest import plain_space


def put(connection: apsw.Connection, seq: int, model: int, new_vectors: list[NewVector]) -> None:
    """Write vectors as the writer does."""
    connection.executemany(
        "INSERT INTO vector (seq, model, window, data) VALUES (?, ?, ?, ?)", vectors.rows_of(seq, model, new_vectors)
    )
    vectors.put_passages(connection, seq, model, new_vectors)


def new(window: int, data: bytes = b"\x01\x02", start: int = 0, stop: int = 5) -> NewVector:
    """Return the vector of a window."""
    return NewVector(window, start, stop, data)


@pytest.fixture
def filled(plain: apsw.Connection) -> apsw.Connection:
    """Node 1 with one vector, node 2 with three, node 3 by another model."""
    put(plain, 1, 1, [new(0, b"\x0a\x0b")])
    put(plain, 2, 1, [new(0, start=0, stop=10), new(1, start=10, stop=20), new(2, b"\xff\x00", 20, 25)])
    put(plain, 3, 2, [new(0)])
    return plain


def test_models_come_back_oldest_first(plain: apsw.Connection) -> None:
    """Name, dimension, digest and probe are kept; what the index fixes comes later."""
    assert vectors.models(plain) == []
    one = vectors.put_model(plain, "MiniLM", 384, "ab", b"probe")
    two = vectors.put_model(plain, "other", 2, "", b"")
    assert (one.code, one.name, one.dimension, one.digest, one.probe, one.frozen) == (
        1,
        "MiniLM",
        384,
        "ab",
        b"probe",
        None,
    )
    vectors.freeze(plain, one.code, b"mean and rotation")
    assert [model.frozen for model in vectors.models(plain)] == [b"mean and rotation", None]
    assert vectors.models(plain)[1] == two


def test_a_model_is_at_home_unless_it_was_brought(plain: apsw.Connection) -> None:
    """1 for the space's own embedder, 0 for one that a view brought along."""
    vectors.put_model(plain, "own", 2, "", b"")
    assert vectors.put_model(plain, "brought", 2, "", b"", home=False).home == 0
    assert [model.home for model in vectors.models(plain)] == [1, 0]


def test_a_sealed_vector_is_about_its_model_and_window(plain: apsw.Connection) -> None:
    """Name, dimension and window, so that no two are alike."""
    one = vectors.put_model(plain, "a", 2, "", b"")
    two = vectors.put_model(plain, "b", 2, "", b"")
    assert vectors.about(one, 258) == b"a\x00\x00\x00\x00\x02\x00\x00\x01\x02"
    assert len({vectors.about(model, window) for model in (one, two) for window in (0, 1)}) == 4


def test_vectors_by_vid_and_by_node(filled: apsw.Connection) -> None:
    """All in one statement; those that do not exist are left out; another model's are not mixed in."""
    rows = vectors.by_vid(filled, np.array([1, 4, 99], np.int64))
    assert rows.vids.tolist() == [1, 4]
    assert rows.seqs.tolist() == [1, 2]
    assert rows.windows.tolist() == [0, 2]
    assert rows.data.tolist() == [[10, 11], [255, 0]]
    assert rows.data.dtype == np.uint8
    assert sorted(vectors.by_seq(filled, 1, np.array([2, 3], np.int64)).windows.tolist()) == [0, 1, 2]
    assert vectors.by_seq(filled, 2, np.array([2, 3], np.int64)).seqs.tolist() == [3]


def test_asking_for_nothing_gives_empty_arrays(filled: apsw.Connection) -> None:
    """Of the right types and shapes."""
    nothing = np.empty(0, np.int64)
    for rows in (vectors.by_vid(filled, nothing), vectors.by_seq(filled, 1, nothing), vectors.after(filled, 9, 0)):
        assert (len(rows.vids), len(rows.seqs), len(rows.windows), rows.data.shape) == (0, 0, 0, (0, 0))
    assert vectors.passages(filled, 1, []) == {}


def test_vectors_after_a_vid_in_portions(filled: apsw.Connection) -> None:
    """Ascending, by one model, at most so many."""
    assert vectors.after(filled, 1, 0).vids.tolist() == [1, 2, 3, 4]
    assert vectors.after(filled, 1, 1, 2).vids.tolist() == [2, 3]
    assert vectors.after(filled, 2, 0).vids.tolist() == [5]
    assert vectors.all_vids(filled, 1).tolist() == [1, 2, 3, 4]
    assert (vectors.count(filled, 1), vectors.count(filled, 2), vectors.count(filled, 3)) == (4, 1, 0)


def test_passages_are_kept_where_there_are_several(filled: apsw.Connection) -> None:
    """A node with one vector has no rows of passages: its passage is the whole text."""
    assert vectors.passages(filled, 1, [1, 2]) == {(2, 0): (0, 10), (2, 1): (10, 20), (2, 2): (20, 25)}


def test_erasing_says_what_went(filled: apsw.Connection) -> None:
    """(model, vid) of each vector; passages go too."""
    assert sorted(vectors.erase(filled, [2, 3, 99])) == [(1, 2), (1, 3), (1, 4), (2, 5)]
    assert vectors.all_vids(filled, 1).tolist() == [1]
    assert vectors.passages(filled, 1, [2]) == {}


def test_copied_vectors_are_rows_of_their_own(filled: apsw.Connection) -> None:
    """By all models, in their order, with passages; of a node without vectors there is nothing to copy."""
    put(filled, 2, 2, [new(0, b"\x0c")])
    assert vectors.copy(filled, 2, 7) == 4
    copied = filled.execute("SELECT model, window, data FROM vector WHERE seq = 7 ORDER BY vid").fetchall()
    assert copied == [(1, 0, b"\x01\x02"), (1, 1, b"\x01\x02"), (1, 2, b"\xff\x00"), (2, 0, b"\x0c")]
    assert vectors.passages(filled, 1, [7]) == {(7, 0): (0, 10), (7, 1): (10, 20), (7, 2): (20, 25)}
    vectors.erase(filled, [2])
    assert vectors.by_seq(filled, 1, np.array([7], np.int64)).windows.tolist() == [0, 1, 2]
    assert vectors.copy(filled, 99, 8) == 0


def test_sealed_vectors_are_found_by_node_and_model(plain: apsw.Connection) -> None:
    """In the order of their windows."""
    vectors.put_sealed(plain, 1, 1, [b"one", b"two"])
    vectors.put_sealed(plain, 1, 2, [b"three"])
    vectors.put_sealed(plain, 2, 1, [b"four"])
    assert vectors.sealed_of(plain, [1]) == {(1, 1): [b"one", b"two"], (1, 2): [b"three"]}
    assert vectors.sealed_of(plain, [2, 3]) == {(2, 1): [b"four"]}
    assert vectors.sealed_of(plain, []) == {}


def test_each_node_has_the_model_of_its_vectors(filled: apsw.Connection) -> None:
    """Nodes without vectors are left out."""
    assert vectors.models_of(filled, [1, 2, 3, 99]) == {1: 1, 2: 1, 3: 2}
    assert vectors.models_of(filled, []) == {}


def test_a_vector_of_another_length_is_tampering(filled: apsw.Connection) -> None:
    """Rows of one model have one width; the sentence says what to do."""
    filled.execute("UPDATE vector SET data = x'01' WHERE vid = 2")
    with pytest.raises(TamperedError, match="run `mimir rebuild`"):
        vectors.after(filled, 1, 0)


SIZES = st.integers(0, 3 * PART_BYTES) | st.sampled_from([PART_BYTES, PART_BYTES - 1, PART_BYTES + 1, 2 * PART_BYTES])


@given(st.lists(st.tuples(SIZES, st.integers(0, 255)), min_size=1, max_size=4))
def test_a_saved_sketch_comes_back_whole(saves: list[tuple[int, int]]) -> None:
    """Longer or shorter than the one before: no part of an older one stays."""
    connection = plain_space()
    for through, (size, fill) in enumerate(saves):
        saved = bytes([fill]) * size
        vectors.save_sketch(connection, 1, 1, through, saved)
        assert vectors.load_sketch(connection, 1, 1) == (through, saved)
        assert connection.execute("SELECT count(*) FROM sketch").fetchall() == [(-(-size // PART_BYTES),)]
    connection.close()


def test_only_parts_that_changed_are_written(plain: apsw.Connection) -> None:
    """One changed byte rewrites one row."""
    saved = bytearray(bytes(range(256)) * (3 * PART_BYTES // 256))
    vectors.save_sketch(plain, 1, 1, 1, bytes(saved))
    saved[PART_BYTES + 5] ^= 1
    before = plain.total_changes()
    vectors.save_sketch(plain, 1, 1, 2, bytes(saved))
    assert plain.total_changes() - before == 2
    assert vectors.load_sketch(plain, 1, 1) == (2, bytes(saved))


def test_a_sketch_of_another_version_or_model_is_none(plain: apsw.Connection) -> None:
    """It would be made anew; dropping removes rows and note."""
    vectors.save_sketch(plain, 1, 1, 5, b"sketch")
    assert vectors.load_sketch(plain, 1, 2) is None
    assert vectors.load_sketch(plain, 2, 1) is None
    vectors.drop_sketch(plain, 1)
    assert vectors.load_sketch(plain, 1, 1) is None
    assert plain.execute("SELECT count(*) FROM sketch").fetchall() == [(0,)]

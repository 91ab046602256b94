"""Columns: facets of nodes in RAM, visibility at a moment, and the chains of sessions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimir_vault.errors import FormatError
from mimir_vault.index.columns import FACETS_DTYPE, Columns
from mimir_vault.model.facets import FACETS, HIDDEN, NEVER, UNINDEXED, Facets


def facets(seq: int, **fields: int) -> Facets:
    values = dict.fromkeys(Facets._fields, 0) | {"seq": seq, "at": seq, "recorded": seq, "expires": NEVER}
    return Facets(**(values | fields))


def filled(*rows: Facets) -> Columns:
    columns = Columns()
    columns.upsert(b"".join(row.pack() for row in rows))
    return columns


def seen(columns: Columns, **moments: int) -> list[int]:
    return columns.seqs[columns.visible(moments.pop("now", 1_000), **moments)].tolist()


def test_numpy_reads_the_packed_row_as_struct_does() -> None:
    """Every facet comes back as it was packed."""
    row = Facets(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 5)
    columns = filled(row)

    assert FACETS_DTYPE.itemsize == FACETS.size
    assert [int(columns.facet(name)[0]) for name in Facets._fields] == list(row)


def test_changed_rows_replace_in_place_and_new_ones_follow() -> None:
    """An upsert may mix changed and new nodes, in any order."""
    columns = filled(facets(1), facets(5))
    columns.upsert(facets(9).pack() + facets(5, user=7).pack())

    assert columns.seqs.tolist() == [1, 5, 9]
    assert columns.facet("user").tolist() == [0, 7, 0]


def test_a_node_that_comes_late_is_sorted_in() -> None:
    """Rows stay ordered by seq even where a lower seq arrives afterwards."""
    columns = filled(facets(1), facets(9, thread=1))
    columns.upsert(facets(4, thread=1).pack())

    assert columns.seqs.tolist() == [1, 4, 9]
    assert columns.neighbours(columns.rows([9]), 1).tolist() == [[1, -1]]


def test_rows_of_unknown_and_removed_seqs_are_minus_one() -> None:
    """A seq that is not there has no row, with gaps between the seqs and without."""
    for columns in (filled(facets(3), facets(4), facets(5)), filled(facets(3), facets(4), facets(8), facets(9))):
        columns.remove([4])

        assert columns.rows([0, 3, 4, 6, 99]).tolist() == [-1, 0, -1, -1, -1]
    assert Columns().rows([1]).tolist() == [-1]


def test_a_torn_row_is_refused() -> None:
    """Bytes that are no whole rows are a FormatError."""
    with pytest.raises(FormatError):
        Columns().upsert(b"x" * 65)


def test_hidden_unindexed_and_expired_nodes_are_not_visible() -> None:
    """A recall sees none of them; a listing may ask for the unindexed."""
    columns = filled(facets(1), facets(2, flags=HIDDEN), facets(3, flags=UNINDEXED), facets(4, expires=1_000))

    assert seen(columns) == [1]
    assert seen(columns, now=999) == [1, 4]
    assert columns.seqs[columns.visible(1_000, include_unindexed=True)].tolist() == [1, 3]


def test_as_of_and_known_at_look_at_their_own_moments() -> None:
    """`as_of` goes by when it happened, `known_at` by when it was recorded."""
    columns = filled(facets(1, at=10, recorded=500), facets(2, at=20, recorded=400))

    assert seen(columns, as_of=10) == [1]
    assert seen(columns, known_at=400) == [2]
    assert seen(columns, as_of=9) == []


def test_superseded_nodes_come_back_for_earlier_moments() -> None:
    """A supersede counts from the newer node's own moments on."""
    columns = filled(facets(1, at=10), facets(2, at=30, recorded=90))
    columns.add_supersedes([2], [1])

    assert seen(columns) == [2]
    assert seen(columns, as_of=29) == [1]
    assert seen(columns, known_at=89) == [1]
    assert columns.seqs[columns.visible(1_000, include_superseded=True)].tolist() == [1, 2]


@pytest.mark.parametrize("change", [{"flags": HIDDEN}, {"expires": 1_000}])
def test_a_newer_node_that_is_hidden_or_expired_supersedes_nothing(change: dict[str, int]) -> None:
    """The older node is current again as soon as the newer one cannot be given."""
    columns = filled(facets(1), facets(2))
    columns.add_supersedes([2], [1])
    columns.upsert(facets(2, **change).pack())

    assert seen(columns) == [1]


def test_removing_the_newest_makes_the_older_current_and_the_middle_does_not() -> None:
    """Forgetting a link of a chain never brings back what a later node had replaced."""
    columns = filled(facets(1), facets(2), facets(3))
    columns.add_supersedes([2, 3], [1, 2])
    columns.remove([2])
    assert seen(columns) == [3]

    columns.remove([3])
    assert seen(columns) == [1]


def test_pairs_may_be_told_before_their_nodes() -> None:
    """A supersedes pair waits for the node it names."""
    columns = filled(facets(1))
    columns.add_supersedes([2], [1])
    assert seen(columns) == [1]

    columns.upsert(facets(2).pack())
    assert seen(columns) == [2]


def test_neighbours_follow_the_order_of_their_session() -> None:
    """Sessions may interleave; threads never mix, and thread 0 has no chain."""
    rows = [facets(seq, thread=thread) for seq, thread in enumerate([1, 2, 1, 0, 1, 2, 0, 1], 1)]
    columns = filled(*rows)

    assert columns.neighbours(columns.rows([5]), 2).tolist() == [[0, 2, 7, -1]]
    assert columns.neighbours(columns.rows([4]), 2).tolist() == [[-1, -1, -1, -1]]


def test_moving_a_node_to_another_session_makes_the_chains_anew() -> None:
    """A changed thread takes the node out of the old chain and into the new one."""
    columns = filled(facets(1, thread=1), facets(2, thread=1), facets(3, thread=2))
    columns.upsert(facets(2, thread=2).pack())

    assert columns.neighbours(np.array([0, 1, 2]), 1).tolist() == [[-1, -1], [-1, 2], [1, -1]]


STEPS = st.lists(
    st.one_of(
        st.lists(st.tuples(st.integers(1, 12), st.integers(0, 3)), min_size=1, max_size=6).map(lambda v: ("upsert", v)),
        st.lists(st.integers(1, 12), min_size=1, max_size=8).map(lambda v: ("remove", v)),
    ),
    max_size=8,
)


@given(STEPS)
def test_any_history_leaves_what_its_end_says(steps: list[tuple[str, list]]) -> None:  # type: ignore[type-arg]
    """Columns after any upserts and removals equal columns filled with what is left, chains included."""
    columns, threads = Columns(), {}
    for verb, values in steps:
        if verb == "upsert":
            columns.upsert(b"".join(facets(seq, thread=thread).pack() for seq, thread in values))
            threads.update(values)
        else:
            columns.remove(values)
            for seq in values:
                threads.pop(seq, None)
    left = sorted(threads)
    rows = columns.rows(left)

    assert len(columns) == len(left)
    assert columns.seqs[columns.live].tolist() == left
    assert columns.facet("thread")[rows].tolist() == [threads[seq] for seq in left]
    for seq, around in zip(left, columns.neighbours(rows, 2).tolist(), strict=True):
        chain = [other for other in left if threads[other] == threads[seq]] if threads[seq] else [seq]
        place = chain.index(seq)
        expected = [chain[place + d] if 0 <= place + d < len(chain) else None for d in (-2, -1, 1, 2)]
        assert [int(columns.seqs[row]) if row >= 0 else None for row in around] == expected

"""Size classes: exactly those of the format, reached in small steps and never overshot."""

from __future__ import annotations

from itertools import pairwise

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimir_vault.store import padding
from mimir_vault.store.padding import MIB, grow, missing_pages, pages, release, size_class

from .conftest import Seeds, plain_space

PAGE = 4_096
STEP = padding.STEP // PAGE


def classes(floor: int) -> list[int]:
    """Return all classes up to 2 GiB: 2^n and 1.5·2^n MiB from the floor, above 256 MiB multiples of 128 MiB."""
    small = {MIB << n for n in range(9)} | {(MIB << n) * 3 // 2 for n in range(8)}
    large = set(range(384 * MIB, 2_049 * MIB, 128 * MIB))
    return sorted(one for one in small | large if one >= floor)


FLOORS = st.integers(0, 8).map(lambda n: MIB << n)


@given(st.integers(0, 2_048 * MIB), FLOORS)
def test_the_class_of_a_size_is_the_smallest_that_holds_it(size: int, floor: int) -> None:
    """Compared with the list of all classes, for every floor."""
    assert size_class(size, floor) == next(one for one in classes(floor) if one >= size)


@pytest.mark.parametrize("floor", [MIB, 16 * MIB, 256 * MIB])
def test_at_their_borders_classes_change(floor: int) -> None:
    """A class holds its own size; one byte more is the next class; classes are whole pages."""
    every = classes(floor)
    assert every[0] == floor
    for this, following in pairwise(every):
        assert size_class(this, floor) == this
        assert size_class(this + 1, floor) == following
        assert this % PAGE == 0


def test_the_floors_are_those_of_the_format() -> None:
    """16 MiB for spaces, 1 MiB for the catalog, at most 2 MiB in one step, a reserve of an eighth."""
    assert (padding.SPACE_FLOOR, padding.CATALOG_FLOOR, padding.STEP) == (16 * MIB, MIB, 2 * MIB)
    assert (padding.LARGE, padding.LARGE_STEP, padding.RESERVE_SHARE) == (256 * MIB, 128 * MIB, 8)


def filled(connection: apsw.Connection, floor: int = MIB, step: int = STEP) -> list[int]:
    """Grow to the class; return the page counts after each step."""
    counts = [int(connection.pragma("page_count"))]
    while missing_pages(connection, floor) > 0:
        grow(connection, floor, step)
        counts.append(int(connection.pragma("page_count")))
        assert len(counts) < 1_000
    return counts


@pytest.mark.parametrize("floor", [MIB, 2 * MIB, 16 * MIB])
def test_a_new_file_is_filled_to_its_floor_exactly(floor: int, plain: apsw.Connection) -> None:
    """The page count is that of the class, nothing missing, nothing over."""
    filled(plain, floor)
    assert plain.pragma("page_count") == floor // PAGE
    assert missing_pages(plain, floor) == 0
    assert grow(plain, floor, STEP) == 0
    assert plain.pragma("page_count") == floor // PAGE


@pytest.mark.parametrize("step", [1, 7, 100, STEP])
def test_growth_goes_in_steps_and_never_past_the_class(step: int, plain: apsw.Connection) -> None:
    """Each call adds at most its step; the last one stops at the class to the page."""
    counts = filled(plain, MIB, step)
    assert all(after - before <= step for before, after in pairwise(counts))
    assert counts == sorted(counts)
    assert counts[-1] == MIB // PAGE


def test_the_last_page_is_found_however_full_the_tree_of_padding_is(plain: apsw.Connection) -> None:
    """From every count of rows and every remainder the class is reached exactly: no step gets stuck."""
    for rows in range(1, 30):
        goal = int(plain.pragma("page_count")) + 3
        while int(plain.pragma("page_count")) < goal:
            before = int(plain.pragma("page_count"))
            grow(plain, 8 * MIB, 1)
            assert int(plain.pragma("page_count")) == before + 1, f"stuck with {rows} rows"


ROWS = st.lists(st.integers(1, 400_000), min_size=1, max_size=12)


@given(ROWS, st.randoms(use_true_random=False))
def test_whatever_was_written_and_removed_the_file_ends_at_its_class(sizes: list[int], random: object) -> None:
    """After any writes and deletions filling ends exactly at the smallest class that keeps the reserve."""
    connection = plain_space()
    filled(connection)
    for number, size in enumerate(sizes):
        release(connection, size // PAGE + 130)
        connection.execute(
            "INSERT INTO name (code, text, uses) VALUES (?, ?, 0)", (number + 1, f"{number:08}" + "x" * size)
        )
        if random.random() < 0.3:  # type: ignore[attr-defined]
            connection.execute("DELETE FROM name WHERE code = ?", (number,))
    used = (lambda count, free, padded: count - free - padded)(*pages(connection))
    before = int(connection.pragma("page_count"))
    counts = filled(connection)
    end = counts[-1] * PAGE
    count, free, padded = pages(connection)
    assert end in classes(MIB)
    assert (free + padded) * PAGE >= end // 8
    # Padding's own rows cost a page now and then, so the class below is compared with a little slack.
    below = [one for one in classes(MIB) if before * PAGE <= one < end]
    assert all(one - (used + 16) * PAGE < one // 8 + 16 * PAGE for one in below)
    assert count - free - padded <= used + 16
    connection.close()


def test_more_than_the_reserve_in_one_transaction_grows_by_as_much(plain: apsw.Connection) -> None:
    """`needed` pages count beside the reserve: the class is then the one that holds them."""
    filled(plain)
    free = sum(pages(plain)[1:])
    assert missing_pages(plain, MIB, free) == 0
    assert missing_pages(plain, MIB, free + 1) == MIB // 2 // PAGE
    assert missing_pages(plain, MIB, 2_000) * PAGE + MIB in classes(MIB)
    assert sum(pages(plain)[1:]) + missing_pages(plain, MIB, 2_000) >= 2_000
    while missing_pages(plain, MIB, 2_000) > 0:
        grow(plain, MIB, STEP, 2_000)
    assert sum(pages(plain)[1:]) >= 2_000 - 16
    assert int(plain.pragma("page_count")) * PAGE in classes(MIB)


def test_growth_gives_up_where_nothing_fits(plain: apsw.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """If no row can be added and none widened, the file stays as it is and says what is missing."""
    monkeypatch.setattr(padding, "_add", lambda *_: False)
    before = pages(plain)
    assert grow(plain, MIB, STEP) == MIB // PAGE - before[0]
    assert pages(plain) == before


def test_padding_turns_into_free_pages(plain: apsw.Connection) -> None:
    """`release` frees as many pages as are needed, gives up when no padding is left, and keeps secure_delete on."""
    plain.pragma("secure_delete", 1)
    filled(plain)
    count, free, padded = pages(plain)
    release(plain, free)
    assert pages(plain) == (count, free, padded)
    release(plain, free + 50)
    assert pages(plain)[1] >= free + 50
    release(plain, 10**9)
    _, now_free, now_padded = pages(plain)
    assert now_padded == 0
    assert now_free >= padded - 4
    assert plain.pragma("page_count") == count
    assert plain.pragma("secure_delete") == 1


def test_padding_is_rows_of_zeros_of_which_the_file_shows_nothing(seeds: Seeds) -> None:
    """Inside the pages padding is zeros; on disk every block of 4 KiB differs and none is zeros."""
    store = seeds.create_space()
    with store.read() as connection:
        assert {
            row for (row,) in connection.execute("SELECT DISTINCT max(data) = zeroblob(length(data)) FROM padding")
        } == {1}
    store.close()
    content = (seeds.folder / "space.db").read_bytes()
    assert len(content) == MIB
    blocks = [content[start : start + PAGE] for start in range(0, len(content), PAGE)]
    assert len(set(blocks)) == len(blocks)
    assert bytes(16) not in content

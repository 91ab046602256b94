"""Traces of erased rows in the gaps of pages are found; what is not there is not claimed."""

from __future__ import annotations

import os
import random

import apsw
import pytest

from mimir_vault.store import traces


@pytest.mark.parametrize("value", [None, 5, 1.5, b"", b"x", "x", ""])
def test_what_says_nothing_is_not_sought(value: object) -> None:
    """Numbers and single bytes stand everywhere."""
    assert traces.pieces(value) == set()


def test_a_value_is_sought_by_its_start_middle_and_end() -> None:
    """Short values whole, long ones in pieces of 16 bytes, zeros not at all."""
    assert traces.pieces("abc") == {b"abc"}
    assert traces.pieces("é") == {b"\xc3\xa9"}
    assert traces.pieces(bytes(range(16))) == {bytes(range(16))}
    long = bytes(range(100))
    assert traces.pieces(long) == {long[:16], long[42:58], long[-16:]}
    assert traces.pieces(bytes(100)) == set()
    assert all(piece in long for piece in traces.pieces(long))


def test_an_unfinished_erasure_is_noted(plain: apsw.Connection) -> None:
    """From the erasure until nothing is left."""
    assert not traces.are_due(plain)
    traces.note_due(plain)
    traces.note_due(plain)
    assert traces.are_due(plain)
    traces.note_done(plain)
    assert not traces.are_due(plain)


def test_nothing_sought_is_nothing_left(plain: apsw.Connection) -> None:
    """And more than can be sought counts as left."""
    assert not traces.are_left(plain, set())
    assert traces.are_left(plain, {number.to_bytes(3, "big") for number in range(traces.PIECES_MAX + 1)})


def test_a_file_too_large_to_look_through_is_rebuilt(plain: apsw.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the bound the answer is yes without looking."""
    monkeypatch.setattr(traces, "IMAGE_BYTES_MAX", 4_096)
    assert traces.are_left(plain, {b"anything"})


def test_what_balancing_leaves_in_gaps_is_found(plain: apsw.Connection) -> None:
    """Rows that were moved to another page leave bytes in the gap, also under secure_delete; VACUUM removes them."""
    plain.pragma("secure_delete", 1)
    source = random.Random(5)
    secrets: list[bytes] = []
    left = 0
    for number in range(4_000):
        secrets.append(source.randbytes(16))
        row = (source.randrange(1 << 40), secrets[-1] + source.randbytes(source.randrange(400)))
        plain.execute("INSERT INTO words VALUES (?, ?)", row)
        if number % 3 == 2:
            gone = secrets.pop(source.randrange(len(secrets)))
            plain.execute("DELETE FROM words WHERE substr(data, 1, 16) = ?", (gone,))
            present = gone in plain.serialize("main")
            assert traces.are_left(plain, {gone}) == present
            left += present
            if present:
                plain.execute("VACUUM")
                assert gone not in plain.serialize("main")
        if left == 3:
            break
    assert left == 3, "deletions left no traces: this test does not test what it says"


def test_live_rows_are_no_traces(plain: apsw.Connection) -> None:
    """What a row still holds is not a gap."""
    secret = os.urandom(16)
    plain.execute("INSERT INTO setting VALUES ('a', ?)", (secret,))
    assert secret in plain.serialize("main")
    assert not traces.are_left(plain, {secret})

"""Words: the terms of every node and, per term, which nodes hold it how often.

A node's own term list is written with it. Postings are written in batches: nodes newer than `through` form a tail that
readers scan from the term lists. Both lists hold 5 bytes a place: code or seq (4, little-endian), then the count (1).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from itertools import pairwise

import apsw
import numpy as np
from numpy.typing import NDArray

from mimir_vault.store.query import each, fetch

PLACE = np.dtype([("number", "<u4"), ("times", "u1")])
"""One place of a list: a term's code or a node's seq, and how often (saturated at 255)."""
_PLACE = struct.Struct("<IB")
BLOCK_PLACES = 760
"""Most places of one posting row: 3,800 bytes, so that a row stays within its page."""
KIND = "words"
"""Name of the words in the table `derived`."""

Places = NDArray[np.void]


def pack(places: Sequence[tuple[int, int]]) -> bytes:
    """Return a list as bytes."""
    return b"".join([_PLACE.pack(number, times) for number, times in places])


def unpack(data: bytes) -> Places:
    """Return the places of a list."""
    return np.frombuffer(data, dtype=PLACE)


def codes(connection: apsw.Connection, texts: Iterable[str], *, create: bool) -> dict[str, int]:
    """Return the codes of terms; with `create` those that are new get one, otherwise they are left out."""
    wanted = sorted(set(texts))
    if not wanted:
        return {}
    known = "SELECT text, code FROM term WHERE text IN carray(?)"
    found: dict[str, int] = dict(each(connection, known, (apsw.carray(tuple(wanted)),)))
    if create and (missing := [text for text in wanted if text not in found]):
        connection.executemany("INSERT INTO term (text, nodes) VALUES (?, 0)", [(text,) for text in missing])
        found.update(each(connection, known, (apsw.carray(tuple(missing)),)))
    return found


def newest_code(connection: apsw.Connection) -> int:
    """Return the highest code that a term has now, 0 where there is none."""
    return int(fetch(connection, "SELECT coalesce(max(code), 0) FROM term")[0][0])


def drop(connection: apsw.Connection, term_codes: Iterable[int]) -> None:
    """Inside a write transaction: remove terms that stand in no list."""
    connection.executemany("DELETE FROM term WHERE code = ?", [(code,) for code in term_codes])


def through(connection: apsw.Connection) -> int:
    """Return the seq up to which postings are written."""
    rows = fetch(connection, "SELECT through FROM derived WHERE kind = ?", (KIND,))
    return int(rows[0][0]) if rows else 0


def stored_version(connection: apsw.Connection) -> int:
    """Return the version of the terms that the postings hold, 0 where there are none yet."""
    rows = fetch(connection, "SELECT version FROM derived WHERE kind = ?", (KIND,))
    return int(rows[0][0]) if rows else 0


def tail(connection: apsw.Connection, above: int) -> tuple[NDArray[np.int64], Places]:
    """Return the term lists of nodes with seq above `above`: seqs repeated per place, and the places."""
    rows = fetch(connection, "SELECT seq, data FROM words WHERE seq > ? ORDER BY seq", (above,))
    places = unpack(b"".join(data for _, data in rows))
    lengths = [len(data) // PLACE.itemsize for _, data in rows]
    return np.repeat(np.array([seq for seq, _ in rows], dtype=np.int64), lengths), places


def tail_nodes(connection: apsw.Connection) -> int:
    """Return how many nodes the postings do not hold yet."""
    return int(fetch(connection, "SELECT count(*) FROM words WHERE seq > ?", (through(connection),))[0][0])


def postings(connection: apsw.Connection, term_codes: Sequence[int]) -> dict[int, Places]:
    """Return the places (seq, times) of each term, ascending by seq; terms without postings are left out."""
    if not term_codes:
        return {}
    blocks: dict[int, list[bytes]] = {}
    for term, data in each(
        connection,
        "SELECT term, data FROM posting WHERE term IN carray(?) ORDER BY term, first",
        (apsw.carray(np.array(term_codes, dtype=np.int64)),),
    ):
        blocks.setdefault(term, []).append(data)
    return {term: unpack(b"".join(parts)) for term, parts in blocks.items()}


def frequencies(connection: apsw.Connection, texts: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return code and number of nodes (without the tail) of each term that is known."""
    if not texts:
        return {}
    return {
        text: (code, nodes)
        for text, code, nodes in each(
            connection, "SELECT text, code, nodes FROM term WHERE text IN carray(?)", (apsw.carray(tuple(texts)),)
        )
    }


def merge(connection: apsw.Connection, version: int) -> int:
    """Inside a write transaction: write the postings of the tail; return how many nodes it held."""
    start = through(connection)
    seqs, places = tail(connection, start)
    newest = fetch(connection, "SELECT coalesce(max(seq), 0) FROM words")[0][0]
    order = np.lexsort((seqs, places["number"]))
    terms, seqs, times = places["number"][order], seqs[order], places["times"][order]
    borders = np.flatnonzero(terms[1:] != terms[:-1]) + 1
    for begin, end in pairwise([0, *borders.tolist(), len(terms)] if len(terms) else []):
        added = np.empty(end - begin, dtype=PLACE)
        added["number"], added["times"] = seqs[begin:end], times[begin:end]
        _append(connection, int(terms[begin]), added)
    connection.execute(
        "INSERT INTO derived VALUES (?, ?, 0, ?) ON CONFLICT (kind) DO UPDATE SET"
        " version = excluded.version, through = excluded.through",
        (KIND, version, max(int(newest), start)),
    )
    return len(np.unique(seqs))


def _append(connection: apsw.Connection, term: int, added: Places) -> None:
    last = fetch(connection, "SELECT first, data FROM posting WHERE term = ? ORDER BY first DESC LIMIT 1", (term,))
    rest = added
    if last and (room := BLOCK_PLACES - len(last[0][1]) // PLACE.itemsize) > 0:
        connection.execute(
            "UPDATE posting SET data = ? WHERE term = ? AND first = ?",
            (last[0][1] + rest[:room].tobytes(), term, last[0][0]),
        )
        rest = rest[room:]
    for begin in range(0, len(rest), BLOCK_PLACES):
        block = rest[begin : begin + BLOCK_PLACES]
        connection.execute("INSERT INTO posting VALUES (?, ?, ?)", (term, int(block["number"][0]), block.tobytes()))
    connection.execute("UPDATE term SET nodes = nodes + ? WHERE code = ?", (len(added), term))


def erase(connection: apsw.Connection, seqs: Sequence[int]) -> None:
    """Inside a write transaction, with an empty tail: remove nodes from all lists, and terms that none holds now."""
    for seq in seqs:
        rows = fetch(connection, "DELETE FROM words WHERE seq = ? RETURNING data", (seq,))
        for term in (int(code) for _, data in ((0, row[0]) for row in rows) for code in unpack(data)["number"]):
            _remove(connection, term, seq)


def _remove(connection: apsw.Connection, term: int, seq: int) -> None:
    rows = fetch(
        connection,
        "SELECT first, data FROM posting WHERE term = ? AND first <= ? ORDER BY first DESC LIMIT 1",
        (term, seq),
    )
    if rows:
        first, places = rows[0][0], unpack(rows[0][1])
        kept = places[places["number"] != seq]
        if len(kept):
            connection.execute(
                "UPDATE posting SET data = ? WHERE term = ? AND first = ?", (kept.tobytes(), term, first)
            )
        else:
            connection.execute("DELETE FROM posting WHERE term = ? AND first = ?", (term, first))
    connection.execute("UPDATE term SET nodes = nodes - 1 WHERE code = ?", (term,))
    connection.execute("DELETE FROM term WHERE code = ? AND nodes <= 0", (term,))

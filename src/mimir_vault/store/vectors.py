"""Vectors: models of a space, the quantised vector of every window, and the saved sketch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import apsw
import numpy as np
from numpy.typing import NDArray

from mimir_vault.errors import TamperedError
from mimir_vault.store.query import each, fetch

PART_BYTES = 256 << 10
"""The saved sketch is cut into rows of this size, so that one change rewrites little."""
_MODEL = "code, name, dimension, digest, probe, frozen, home"


@dataclass(frozen=True, slots=True)
class Model:
    """An embedder that a space holds vectors of; `probe` is its vector of a fixed sentence, float32 bytes.

    `frozen` is what the index fixed for this model before its first sketch (opaque here), None until then. `home` is 1
    for the space's own embedder, 0 for one that a view brought along.
    """

    code: int
    name: str
    dimension: int
    digest: str
    probe: bytes
    frozen: bytes | None
    home: int = 1


@dataclass(frozen=True, slots=True)
class NewVector:
    """The vector of one window of a node: character offsets into its text, and the stored row."""

    window: int
    start: int
    stop: int
    data: bytes


@dataclass(frozen=True, slots=True)
class VectorRows:
    """Vectors read at once: `data` has one stored row per vector, (n, width) uint8."""

    vids: NDArray[np.int64]
    seqs: NDArray[np.int64]
    windows: NDArray[np.int64]
    data: NDArray[np.uint8]


def models(connection: apsw.Connection) -> list[Model]:
    """Return the models of a space, oldest first."""
    return [Model(*row) for row in each(connection, f"SELECT {_MODEL} FROM model ORDER BY code")]


def put_model(
    connection: apsw.Connection, name: str, dimension: int, digest: str, probe: bytes, *, home: bool = True
) -> Model:
    """Write a new model."""
    row = fetch(
        connection,
        f"INSERT INTO model (name, dimension, digest, probe, home) VALUES (?, ?, ?, ?, ?) RETURNING {_MODEL}",
        (name, dimension, digest, probe, int(home)),
    )[0]
    return Model(*row)


def about(model: Model, window: int) -> bytes:
    """Return what a sealed vector is bound to besides its node: name and dimension of its model, and its window."""
    return model.name.encode() + b"\x00" + model.dimension.to_bytes(4, "big") + window.to_bytes(4, "big")


def freeze(connection: apsw.Connection, model: int, frozen: bytes) -> None:
    """Fix what the index needs to know of a model."""
    connection.execute("UPDATE model SET frozen = ? WHERE code = ?", (frozen, model))


VectorRow = tuple[int, int, int, bytes]
"""seq, model, window and data of a vector, as it is written."""


def rows_of(seq: int, model: int, vectors: Sequence[NewVector]) -> list[VectorRow]:
    """Return the rows of a node's vectors."""
    return [(seq, model, one.window, one.data) for one in vectors]


def put_passages(connection: apsw.Connection, seq: int, model: int, vectors: Sequence[NewVector]) -> None:
    """Write which passage each vector of a node stands for, where there are several."""
    if len(vectors) > 1:
        connection.executemany(
            "INSERT INTO passage VALUES (?, ?, ?, ?, ?)",
            [(seq, model, one.window, one.start, one.stop) for one in vectors],
        )


def copy(connection: apsw.Connection, older: int, newer: int) -> int:
    """Give a node the vectors of another one, by whatever models they are; return how many there were."""
    connection.execute(
        "INSERT INTO vector (seq, model, window, data) SELECT ?, model, window, data FROM vector WHERE seq = ?"
        " ORDER BY vid",
        (newer, older),
    )
    copied = connection.changes()
    connection.execute(
        "INSERT INTO passage SELECT ?, model, window, start, stop FROM passage WHERE seq = ?", (newer, older)
    )
    return copied


def put_sealed(connection: apsw.Connection, seq: int, model: int, sealed: Sequence[bytes]) -> None:
    """Write the sealed vectors that a caller gave for a node: they are truth, and outlive every rebuild."""
    rows = [(seq, model, window, data) for window, data in enumerate(sealed)]
    connection.executemany("INSERT INTO sealed_vector VALUES (?, ?, ?, ?)", rows)


def sealed_of(connection: apsw.Connection, seqs: Sequence[int]) -> dict[tuple[int, int], list[bytes]]:
    """Return the sealed vectors of nodes by (seq, model), in the order of their windows."""
    found: dict[tuple[int, int], list[bytes]] = {}
    if len(seqs):
        rows = each(
            connection,
            "SELECT seq, model, data FROM sealed_vector WHERE seq IN carray(?) ORDER BY seq, model, window",
            (apsw.carray(np.array(seqs, dtype=np.int64)),),
        )
        for seq, model, data in rows:
            found.setdefault((seq, model), []).append(data)
    return found


def models_of(connection: apsw.Connection, seqs: Sequence[int]) -> dict[int, int]:
    """Return the code of the model that each of these nodes has vectors of; nodes without vectors are left out."""
    return (
        dict(
            each(
                connection,
                "SELECT seq, max(model) FROM vector WHERE seq IN carray(?) GROUP BY seq",
                (apsw.carray(np.array(seqs, dtype=np.int64)),),
            )
        )
        if len(seqs)
        else {}
    )


def erase(connection: apsw.Connection, seqs: Sequence[int]) -> list[tuple[int, int]]:
    """Remove the vectors of nodes; return (model, vid) of each."""
    gone: list[tuple[int, int]] = []
    for seq in seqs:
        gone += fetch(connection, "DELETE FROM vector WHERE seq = ? RETURNING model, vid", (seq,))
        connection.execute("DELETE FROM passage WHERE seq = ?", (seq,))
    return gone


def _rows(cursor: Iterator[tuple[int, int, int, bytes]]) -> VectorRows:
    rows = list(cursor)
    width = len(rows[0][3]) if rows else 0
    joined = b"".join(row[3] for row in rows)
    if len(joined) != width * len(rows):
        raise TamperedError("a stored vector has a wrong length; run `mimir rebuild`")
    return VectorRows(
        np.array([row[0] for row in rows], dtype=np.int64),
        np.array([row[1] for row in rows], dtype=np.int64),
        np.array([row[2] for row in rows], dtype=np.int64),
        np.frombuffer(joined, dtype=np.uint8).reshape(len(rows), width),
    )


def by_vid(connection: apsw.Connection, vids: NDArray[np.int64]) -> VectorRows:
    """Return the vectors of these vids that still exist, in one statement."""
    return (
        _rows(
            connection.execute("SELECT vid, seq, window, data FROM vector WHERE vid IN carray(?)", (apsw.carray(vids),))
        )
        if len(vids)
        else _rows(iter(()))
    )


def by_seq(connection: apsw.Connection, model: int, seqs: NDArray[np.int64]) -> VectorRows:
    """Return all vectors of these nodes by one model, in one statement."""
    return (
        _rows(
            connection.execute(
                "SELECT vid, seq, window, data FROM vector WHERE seq IN carray(?) AND model = ?",
                (apsw.carray(seqs), model),
            )
        )
        if len(seqs)
        else _rows(iter(()))
    )


def after(connection: apsw.Connection, model: int, vid: int, limit: int = -1) -> VectorRows:
    """Return the vectors of a model with vids above `vid`, ascending, at most `limit` of them."""
    return _rows(
        connection.execute(
            "SELECT vid, seq, window, data FROM vector WHERE vid > ? AND model = ? ORDER BY vid LIMIT ?",
            (vid, model, limit),
        )
    )


def all_vids(connection: apsw.Connection, model: int) -> NDArray[np.int64]:
    """Return the vids of all vectors of a model, ascending."""
    found = each(connection, "SELECT vid FROM vector WHERE model = ? ORDER BY vid", (model,))
    return np.array([row[0] for row in found], dtype=np.int64)


def count(connection: apsw.Connection, model: int) -> int:
    """Return how many vectors of a model there are."""
    return int(fetch(connection, "SELECT count(*) FROM vector WHERE model = ?", (model,))[0][0])


def passages(connection: apsw.Connection, model: int, seqs: Sequence[int]) -> dict[tuple[int, int], tuple[int, int]]:
    """Return (start, stop) of each (seq, window)."""
    return (
        {
            (seq, window): (start, stop)
            for seq, window, start, stop in each(
                connection,
                "SELECT seq, window, start, stop FROM passage WHERE seq IN carray(?) AND model = ?",
                (apsw.carray(np.array(seqs, dtype=np.int64)), model),
            )
        }
        if len(seqs)
        else {}
    )


def sketch_kind(model: int) -> str:
    """Return the name of a model's sketch in the table `derived`."""
    return f"sketch {model}"


def save_sketch(connection: apsw.Connection, model: int, version: int, through: int, saved: bytes) -> None:
    """Inside a write transaction: write a sketch that holds the vectors up to vid `through`; unchanged parts stay."""
    parts = [saved[begin : begin + PART_BYTES] for begin in range(0, len(saved), PART_BYTES)]
    old: dict[int, bytes] = dict(each(connection, "SELECT part, data FROM sketch WHERE model = ?", (model,)))
    for number, part in enumerate(parts):
        if old.get(number) != part:
            connection.execute("INSERT OR REPLACE INTO sketch VALUES (?, ?, ?)", (model, number, part))
    connection.execute("DELETE FROM sketch WHERE model = ? AND part >= ?", (model, len(parts)))
    connection.execute(
        "INSERT INTO derived VALUES (?, ?, ?, ?) ON CONFLICT (kind) DO UPDATE SET"
        " version = excluded.version, through = excluded.through",
        (sketch_kind(model), version, model, through),
    )


def load_sketch(connection: apsw.Connection, model: int, version: int) -> tuple[int, bytes] | None:
    """Return (through, saved bytes) of a model's sketch, None where there is none of this version."""
    rows = fetch(
        connection, "SELECT through FROM derived WHERE kind = ? AND version = ?", (sketch_kind(model), version)
    )
    if not rows:
        return None
    parts = fetch(connection, "SELECT data FROM sketch WHERE model = ? ORDER BY part", (model,))
    return int(rows[0][0]), b"".join(part[0] for part in parts)


def drop_sketch(connection: apsw.Connection, model: int) -> None:
    """Remove a model's sketch; it is made again from the vectors."""
    connection.execute("DELETE FROM sketch WHERE model = ?", (model,))
    connection.execute("DELETE FROM derived WHERE kind = ?", (sketch_kind(model),))

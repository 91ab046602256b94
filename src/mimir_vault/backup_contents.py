"""What the segments and the contents of a backup hold: rows by database and table, and the state they were taken in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from typing import Any

import msgspec

from mimir_vault.backup_file import BackupReader, Segment
from mimir_vault.errors import FormatError
from mimir_vault.store.catalog import SpaceRow
from mimir_vault.store.query import Row
from mimir_vault.store.transfer import State

CATALOG = b""
"""Stands for the catalog where a space's id names its database."""
_VERSION = 1
_FRAME_BYTES = 64 << 10
"""Rows are gathered into a frame until they hold about so many bytes."""
_SPACE_ROW = tuple(field.name for field in fields(SpaceRow))
_ENCODER = msgspec.msgpack.Encoder()


class Rows(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    """Rows of a table, with the names of its columns; `database` is a space's id, or `CATALOG`."""

    database: bytes
    table: str
    columns: list[str]
    rows: list[list[Any]]


class Contents(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    """The first frame of the contents: when the backup was made (microseconds since 1970), how many rows of nodes its
    segments hold (a node whose state changed has several), and the state of each database. The frames after it are the
    rows of the catalog, and those of the tables that are taken whole.
    """

    version: int
    at: int
    node_rows: int
    states: dict[bytes, State]

    @classmethod
    def of(cls, at: int, node_rows: int, states: dict[bytes, State]) -> Contents:
        """Return contents of this version."""
        return cls(_VERSION, at, node_rows, states)

    @property
    def nodes(self) -> int:
        """How many nodes the backup holds."""
        return sum(state.nodes for state in self.states.values())

    def encode(self) -> bytes:
        """Return the first frame."""
        return _ENCODER.encode(self)


def read_contents(reader: BackupReader) -> tuple[Contents, list[Rows]]:
    """Return the contents of a backup that is unlocked (TamperedError when they are not what was written)."""
    frames = reader.frames(reader.guide.contents)
    try:
        first = next(frames)
        contents = msgspec.msgpack.decode(first, type=Contents)
    except (StopIteration, msgspec.MsgspecError):
        raise reader.damaged() from None
    if contents.version != _VERSION:
        raise FormatError(f"a newer version of Mimir made the backup {reader.path}; update Mimir")
    return contents, [_decoded(reader, frame) for frame in frames]


def read_rows(reader: BackupReader, segment: Segment) -> Iterator[Rows]:
    """Yield the rows of a segment in the order they were put."""
    for frame in reader.frames(segment):
        yield _decoded(reader, frame)


def spaces_in(reader: BackupReader, rows: Iterable[Rows]) -> dict[bytes, SpaceRow]:
    """Return the spaces that the catalog in a backup names, by id."""
    found: dict[bytes, SpaceRow] = {}
    for part in rows:
        if (part.database, part.table) == (CATALOG, "space"):
            if tuple(part.columns) != _SPACE_ROW:
                raise reader.damaged()
            found |= {row[0]: SpaceRow(*row) for row in part.rows}
    return found


def put_rows(
    put: Callable[[bytes], None], database: bytes, table: str, columns: Sequence[str], rows: Iterable[Row]
) -> Iterator[int]:
    """Gather rows into frames and put each; yield, frame by frame, how many rows were put."""
    gathered: list[list[Any]] = []
    size = 0
    for row in rows:
        gathered.append(list(row))
        size += sum(len(value) if isinstance(value, (bytes, str)) else 8 for value in row)
        if size >= _FRAME_BYTES:
            put(_ENCODER.encode(Rows(database, table, list(columns), gathered)))
            yield len(gathered)
            gathered, size = [], 0
    if gathered:
        put(_ENCODER.encode(Rows(database, table, list(columns), gathered)))
        yield len(gathered)


def _decoded(reader: BackupReader, frame: bytes) -> Rows:
    try:
        rows = msgspec.msgpack.decode(frame, type=Rows)
    except msgspec.MsgspecError:
        raise reader.damaged() from None
    if any(len(row) != len(rows.columns) for row in rows.rows):
        raise reader.damaged()
    return rows

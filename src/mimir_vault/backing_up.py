"""Backing up a vault in use: into one sealed and padded file, which the next backup to the same place goes on from."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import apsw

from mimir_vault.backup_contents import CATALOG, Contents, put_rows, read_contents, spaces_in
from mimir_vault.backup_file import MAGIC, SEGMENTS_MAX, BackupReader, BackupWriter, SegmentWriter
from mimir_vault.checking import DERIVED_TABLES
from mimir_vault.crypto.backup_sealer import MARK_LENGTH, BackupSealer
from mimir_vault.crypto.randomness import draw
from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.crypto.vault_keys import VaultKeys
from mimir_vault.errors import ExistsError, FormatError, LockedError, MimirError, NotFoundError, TamperedError
from mimir_vault.keyslots import header_file
from mimir_vault.model.clock import from_micros, to_micros
from mimir_vault.new_file import new_file
from mimir_vault.open_space import OpenSpace
from mimir_vault.spaces import Spaces
from mimir_vault.store import feed, transfer
from mimir_vault.store.catalog import SPACE_FLOOR, Catalog, SpaceRow
from mimir_vault.store.padding import SPACE_FLOOR as SPACE_FLOOR_BYTES
from mimir_vault.store.query import Row, each, fetch
from mimir_vault.store.transfer import State
from mimir_vault.surroundings import Surroundings

log = logging.getLogger("mimir_vault")

LAST_BACKUP = "last backup"
"""Name of the catalog's setting that holds when the last backup was made, microseconds since 1970."""
NODE_ROWS_MAX = 2
"""A backup with so many rows for each node is written anew: states that changed since make it longer every time."""
TRIES = 5
"""How often a backup begins again because spaces were renamed or erased while it was made."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class BackupDone:
    """A backup that was made: `nodes` are in it, `added` of them read this time, `bytes` is the length of the file.

    `incremental` says that it went on from the backup that was there; else it was written anew.
    """

    path: Path
    nodes: int
    added: int
    bytes: int
    incremental: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class Source:
    """What a backup needs of an open vault."""

    folder: Path
    root_key: SecretBytes
    catalog: Catalog
    keys: VaultKeys
    spaces: Spaces
    around: Surroundings


@dataclass(frozen=True, slots=True)
class _Earlier:
    """The backup of this vault that lies at the place, and the wrapped key ring of each space in it."""

    reader: BackupReader
    contents: Contents
    rings: dict[bytes, bytes]


class _Anew(Exception):
    """What was taken earlier is not all there any more, so nothing of the earlier backup may be kept."""


def back_up(source: Source, place: Path, progress: Progress | None = None) -> BackupDone:
    """Write a backup of a vault to a file; one of the same vault that lies there is gone on from, or replaced.

    `progress(done, total)` counts the nodes read. Until the new file is whole, the old one stays.

    Raises:
        ExistsError: something else lies there, or a backup of a state this vault never was in.
        ValueError: the place is inside the vault, or the call inside a transaction.
        TamperedError: a space is not what was last written to it.
        VaultBusyError, NotFoundError, DiskFullError, ReadOnlyError, StorageError: the file cannot be written.
    """
    real = place.resolve()  # What a link leads to is replaced, not the link.
    if real.is_relative_to(source.folder.resolve()):
        raise ValueError("a backup lies outside its vault")
    at = source.around.clock.now()
    with new_file(real, MAGIC) as file, ExitStack() as stack:
        key = source.keys.backup_key()
        stack.callback(key.wipe)
        earlier = _find_earlier(source, real, key, stack)
        anew = earlier is None or _is_used_up(earlier)
        for tried in range(TRIES):
            try:
                done = _Run(source, place, key, earlier, anew, at, progress).write(file)
                break
            except _Anew:
                anew = True
            except (NotFoundError, LockedError):  # A space was renamed or erased, and closed for that.
                if tried == TRIES - 1:
                    raise
            file.seek(0)
            file.truncate()
    _note(source, done)
    return done


def _find_earlier(source: Source, place: Path, key: SecretBytes, stack: ExitStack) -> _Earlier | None:
    """Return the backup of this vault that lies at the place; None for nothing, or for one too damaged to go on from.

    Raises:
        ExistsError: it is anything else.
    """
    if not place.exists():
        return None
    other = ExistsError(f"what lies at {place} is no backup of this vault; give another place, or move it away")
    try:
        reader = stack.enter_context(BackupReader(place))
        if reader.header.vault_id != source.keys.vault_id:
            raise other
        reader.header.check_mac(source.root_key)
    except (FormatError, TamperedError, NotFoundError):
        raise other from None
    try:
        reader.unlock(BackupSealer(key, source.keys.vault_id, reader.id, source.around.random))
        contents, rows = read_contents(reader)
    except TamperedError:
        log.warning("the backup %s is damaged and is written anew", place)
        return None
    return _Earlier(reader, contents, {row.id: row.ring for row in spaces_in(reader, rows).values()})


def _is_used_up(earlier: _Earlier) -> bool:
    """Say whether a backup has too many segments, or too many rows that later ones replace."""
    contents = earlier.contents
    return len(earlier.reader.guide.segments) >= SEGMENTS_MAX or contents.node_rows > NODE_ROWS_MAX * (
        contents.nodes + 1
    )


class _Run:
    """One writing of the file, from the first byte to the last: going on from the earlier backup, or `anew`."""

    def __init__(
        self, source: Source, place: Path, key: SecretBytes, earlier: _Earlier | None, anew: bool, at: int,
        progress: Progress | None,
    ) -> None:  # fmt: skip
        self._source, self._place, self._key, self._at = source, place, key, at
        self._earlier, self._base = earlier, None if anew else earlier
        self._progress, self._total = progress, 0
        self._states: dict[bytes, State] = {}
        self._frames: list[bytes] = []
        self._added = 0

    def write(self, file: BinaryIO) -> BackupDone:
        """Write everything and say what was done."""
        source, base = self._source, self._base
        header = header_file.read(source.folder).header.encode()
        backup_id = draw(source.around.random, MARK_LENGTH) if base is None else base.reader.id
        sealer = BackupSealer(self._key, source.keys.vault_id, backup_id, source.around.random)
        writer = BackupWriter(file, backup_id, header, sealer, source.around.random)
        if base is not None:
            try:
                writer.keep(base.reader)
            except TamperedError:
                log.warning("the backup %s is damaged and is written anew", self._place)
                raise _Anew from None
        rows = self._take_catalog()
        self._count(rows)
        segment = writer.segment()
        for row in rows:
            with source.spaces.borrow(row) as space:
                self._take_space(row, space, segment)
        if [(row.id, row.name) for row in source.catalog.spaces()] != [(row.id, row.name) for row in rows]:
            raise NotFoundError("spaces are renamed and erased again and again; back up when that has ended")
        if segment.frames:
            writer.add(segment)
        node_rows = self._added + (base.contents.node_rows if base is not None else 0)
        made = Contents.of(self._at, node_rows, self._states)
        contents = writer.segment()
        contents.put(made.encode())
        for frame in self._frames:
            contents.put(frame)
        size = writer.finish(contents, source.catalog.setting(SPACE_FLOOR) or SPACE_FLOOR_BYTES)
        return BackupDone(self._place, made.nodes, self._added, size, base is not None, from_micros(self._at))

    def _take_catalog(self) -> list[SpaceRow]:
        """Take all rows of the catalog and return its spaces."""
        catalog = self._source.catalog
        with catalog.fresh.read() as connection:
            self._check_line(connection, CATALOG)
            self._states[CATALOG] = transfer.state(connection)
            for table in transfer.growing(connection):
                self._take_all(connection, CATALOG, table, transfer.rows_above(connection, table, -1))
            for table in transfer.whole(connection, ()):
                self._take_all(connection, CATALOG, table, each(connection, f"SELECT * FROM {table}"))
            rows = catalog.spaces()
        if self._base is not None and not self._base.rings.items() <= {row.id: row.ring for row in rows}.items():
            raise _Anew  # A space was erased, or has other keys.
        return rows

    def _check_line(self, connection: apsw.Connection, database: bytes) -> bool:
        """Say whether it is sure that a database was in the state of the earlier backup; True where it is not in it.

        Refuse (ExistsError) when it is sure that it never was: the backup may hold more than the vault. A space that is
        in the backup alone was erased, for the catalog is of the same line.
        """
        state = None if self._earlier is None else self._earlier.contents.states.get(database)
        is_of_line = True if state is None else transfer.is_of_line(connection, state)
        if is_of_line is False:
            raise ExistsError(
                f"the backup at {self._place} holds a state that this vault never was in; give another place, so that "
                "it is not lost"
            )
        return is_of_line is True

    def _count(self, rows: list[SpaceRow]) -> None:
        """Count the nodes that are to be read, where somebody wants to know."""
        for row in rows if self._progress is not None else ():
            base = self._base_of(row)
            with self._source.spaces.borrow(row) as space, space.store.read() as connection:
                above = -1 if base is None else base.marks["node"].highest
                self._total += int(fetch(connection, "SELECT count(*) FROM node WHERE seq > ?", (above,))[0][0])

    def _base_of(self, row: SpaceRow) -> State | None:
        return None if self._base is None else self._base.contents.states.get(row.id)

    def _take_space(self, row: SpaceRow, space: OpenSpace, segment: SegmentWriter) -> None:
        """Take what is new in a space, in one read transaction."""
        if space.transaction is not None:
            raise ValueError("a backup is made outside a transaction, which may still be undone")
        base = self._base_of(row)
        with space.store.read() as connection:
            is_of_line = self._check_line(connection, row.id)
            if base is not None and not (
                is_of_line and transfer.only_grew(connection, base, feed.rebuilt_at(connection))
            ):
                raise _Anew
            state = self._states[row.id] = transfer.state(connection)
            if base is None:
                try:
                    transfer.check(connection, space.store.sealer, state)
                except TamperedError:
                    raise TamperedError(
                        f"space {row.name} is not what was last written to it, so it was not backed up; run `mimir "
                        "verify`"
                    ) from None
            for table in transfer.growing(connection):
                above = -1 if base is None else base.marks[table].highest
                self._take_new(connection, row.id, table, transfer.rows_above(connection, table, above), segment)
            if base is not None:
                self._take_new(connection, row.id, "node", transfer.changed_nodes(connection, base), segment)
            for table in transfer.whole(connection, DERIVED_TABLES):
                self._take_all(connection, row.id, table, each(connection, f"SELECT * FROM {table}"))

    def _take_new(
        self, connection: apsw.Connection, database: bytes, table: str, rows: Iterator[Row], segment: SegmentWriter
    ) -> None:
        for count in put_rows(segment.put, database, table, transfer.columns(connection, table), rows):
            if table == "node":
                self._added += count
                if self._progress is not None:
                    self._progress(self._added, max(self._added, self._total))

    def _take_all(self, connection: apsw.Connection, database: bytes, table: str, rows: Iterator[Row]) -> None:
        for _ in put_rows(self._frames.append, database, table, transfer.columns(connection, table), rows):
            pass


def _note(source: Source, done: BackupDone) -> None:
    """Note in the catalog when the vault was backed up; the backup is there whether or not that can be written."""
    if source.around.read_only:
        return
    try:
        with source.catalog.write() as change:
            source.catalog.put_setting(change, LAST_BACKUP, to_micros(done.at))
            source.catalog.audit(change, "backed up", nodes=done.nodes, added=done.added, incremental=done.incremental)
    except MimirError as error:
        log.warning("that the vault was backed up could not be noted in it: %s", error)

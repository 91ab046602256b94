"""Restoring a vault from a backup: built beside its place, every node opened, and moved there at once."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby, islice
from pathlib import Path

import apsw
import numpy as np
from numpy.typing import NDArray

from mimir_vault.backup_contents import CATALOG, Rows, read_contents, read_rows, spaces_in
from mimir_vault.backup_file import BackupReader
from mimir_vault.checking import rebuild
from mimir_vault.crypto.backup_sealer import BackupSealer
from mimir_vault.crypto.sealer import SpaceSealer
from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.crypto.vault_keys import VaultKeys
from mimir_vault.errors import ExistsError, FormatError, TamperedError
from mimir_vault.keyslots import change, header_file
from mimir_vault.keyslots.header import Header
from mimir_vault.keyslots.unlock import UnlockedRoot
from mimir_vault.new_file import disk_error
from mimir_vault.open_space import OpenSpace
from mimir_vault.spaces import SPACES_FOLDER, Spaces, sync_folder
from mimir_vault.store import audit, freshness, schema, transfer
from mimir_vault.store.catalog import HEADER_EPOCH, Catalog, SpaceRow
from mimir_vault.store.cipher import AegisPages
from mimir_vault.store.database import Database
from mimir_vault.store.fresh_database import CATALOG as CATALOG_KIND
from mimir_vault.store.fresh_database import SPACE as SPACE_KIND
from mimir_vault.store.freshness import Digester
from mimir_vault.store.pins import PinOf
from mimir_vault.surroundings import Surroundings
from mimir_vault.upkeep import Upkeep

Progress = Callable[[int, int], None]
FRAMES_AT_ONCE = 32
"""Frames, of 64 KiB each but for large nodes, that are written in one transaction."""


def restore(
    backup: Path,
    folder: Path,
    unlocked: Callable[[Header], UnlockedRoot],
    around: Surroundings,
    progress: Progress | None = None,
) -> UnlockedRoot:
    """Make the vault that a backup holds at a folder that is not there yet (or is empty), and return its root.

    Ids, keys and numbers are those of the backup; the replica id is new. `progress(done, total)` counts every node
    twice: when it is read and when it is opened.

    Raises:
        ExistsError: something is at the folder. NotFoundError, FormatError: there is no backup, or one of a newer
        format. TamperedError: the backup was changed or cut. WrongKeyError: the secret opens no key slot.
        DiskFullError, ReadOnlyError, StorageError: the folder cannot be written. Nothing is left at it then.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ExistsError(f"there is something at {folder} already; restore the backup to another place")
    with BackupReader(backup) as reader:
        root = unlocked(reader.header)
        keys = VaultKeys(root.vault_id, root.catalog_key, around.random)
        key = keys.backup_key()
        new = folder.with_name(f"{folder.name}.new-{around.random(4).hex()}")
        try:
            reader.unlock(BackupSealer(key, root.vault_id, reader.id, around.random))
            header = change.new_replica(reader.header, root, random=around.random)
            _Restoration(reader, new, root, header, keys, around, progress).build()
            root.refresh(header)
            for made in (new / SPACES_FOLDER, new):
                sync_folder(made)
            if folder.exists():
                folder.rmdir()
            os.rename(new, folder)
            sync_folder(folder.parent)
        except OSError as error:
            root.wipe()
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                raise ExistsError(f"somebody else made something at {folder} just now; choose another place") from error
            raise disk_error(error, f"the vault at {folder}") from error
        except BaseException:
            root.wipe()
            raise
        finally:
            key.wipe()
            keys.wipe()
            shutil.rmtree(new, ignore_errors=True)
    return root


class _Restoration:
    """Builds the files of a vault in a folder of its own."""

    def __init__(
        self, reader: BackupReader, new: Path, root: UnlockedRoot, header: Header, keys: VaultKeys,
        around: Surroundings, progress: Progress | None,
    ) -> None:  # fmt: skip
        self._reader, self._new, self._root, self._header = reader, new, root, header
        self._keys, self._around, self._progress = keys, around, progress
        self._contents, rows = read_contents(reader)
        self._whole: dict[bytes, list[Rows]] = {}
        for part in rows:
            self._whole.setdefault(part.database, []).append(part)
        self._spaces = spaces_in(reader, rows)
        if {CATALOG, *self._spaces} != set(self._contents.states):
            raise reader.damaged()
        self._nodes_read = self._nodes_opened = 0

    def build(self) -> None:
        """Make header, catalog and spaces, and check them."""
        (self._new / SPACES_FOLDER).mkdir(parents=True, mode=0o700)
        self._new.chmod(0o700)
        header_file.write(self._new, self._header)
        for database in self._contents.states:
            self._make(database)
        for segment in self._reader.guide.segments:
            for database, parts in groupby(read_rows(self._reader, segment), key=lambda part: part.database):
                self._put(database, parts)
        for database, state in self._contents.states.items():
            self._put(database, iter(self._whole.get(database, ())))
            with self._opened(database) as made, made.write() as connection:
                transfer.settle(connection, state)
        self._finish()

    def _make(self, database: bytes) -> None:
        """Make the empty file of a database with the tables of the release that the backup is of."""
        kind = CATALOG_KIND if database == CATALOG else SPACE_KIND
        version = self._contents.states[database].format
        if version > len(kind.migrations):
            raise FormatError(f"a newer version of Mimir made the backup {self._reader.path}; update Mimir")
        with self._opened(database, create=True) as made, made.write() as connection:
            schema.migrate(connection, kind.migrations[:version], kind.application_id, made.name)
            freshness.begin(connection)

    def _put(self, database: bytes, parts: Iterator[Rows]) -> None:
        if database not in self._contents.states:
            raise self._reader.damaged()
        with self._opened(database) as made:
            while some := list(islice(parts, FRAMES_AT_ONCE)):
                with made.write() as connection:
                    for part in some:
                        transfer.put(connection, part.table, part.columns, part.rows)
                made.restart_long_wal()
                self._nodes_read += sum(len(part.rows) for part in some if part.table == "node")
                self._tell()

    @contextmanager
    def _opened(self, database: bytes, *, create: bool = False) -> Iterator[Database]:
        """Open a database for raw rows; nothing in it has to last before all of it is there."""
        if database == CATALOG:
            cipher = AegisPages(self._keys.catalog_page_key(), self._root.vault_id)
            path, name = self._new / self._root.catalog_file, "the catalog"
        else:
            row = self._spaces[database]
            cipher = AegisPages(self._page_key(row), bytes.fromhex(row.file[:32]))
            path, name = self._new / SPACES_FOLDER / row.file, f"space {row.name}"
        made = Database(path, cipher, name, create=create, durable=False)
        try:
            yield made
        finally:
            made.close()

    def _page_key(self, row: SpaceRow) -> SecretBytes:
        ring = self._keys.unwrap_ring(row.id, row.ring)
        sealer = SpaceSealer(row.id, ring, self._around.random)
        try:
            return sealer.page_key()
        finally:
            sealer.wipe()
            for secret in ring.values():
                secret.wipe()

    def _finish(self) -> None:
        """Check everything, derive what was left out, and note in the audit that the vault was restored."""
        catalog = Catalog.open(
            self._new / self._root.catalog_file, AegisPages(self._keys.catalog_page_key(), self._root.vault_id),
            self._keys.digests(), PinOf(None, "catalog", b""), self._around.clock, read_only=False,
            accept_rollback=False,
        )  # fmt: skip
        try:
            with catalog.fresh.read() as connection:
                self._check(connection, catalog.fresh.digester, CATALOG)
            around = replace(self._around, embedder=_NoneAtHand())
            spaces = Spaces(self._new, self._header.replica_id, catalog, self._keys, None, around)
            for row in self._spaces.values():
                try:
                    self._finish_space(spaces.open(row.name), row.id)
                finally:
                    spaces.close()
            with catalog.write() as changing:
                catalog.put_setting(changing, HEADER_EPOCH, self._header.epoch)
                catalog.audit(changing, "restored", backup_at=self._contents.at, nodes=self._contents.nodes)
                changing.recount = True
        finally:
            catalog.close()

    def _finish_space(self, space: OpenSpace, space_id: bytes) -> None:
        """Check a space against its state, open every node, and make again what is derived but for the vectors."""
        space.upkeep = _Idle(space.store, space.index, space.clock)
        with space.store.read() as connection:
            self._check(connection, space.store.sealer, space_id)
        before = self._nodes_opened

        def opened(done: int, total: int) -> None:
            self._nodes_opened = before + done
            self._tell()

        rebuild(space, opened)

    def _check(self, connection: apsw.Connection, digester: Digester, database: bytes) -> None:
        try:
            transfer.check(connection, digester, self._contents.states[database])
            for _ in audit.events(connection, digester):
                pass
        except TamperedError:
            raise self._reader.damaged() from None

    def _tell(self) -> None:
        if self._progress is not None:
            nodes = self._contents.nodes
            self._progress(min(self._nodes_read, nodes) + self._nodes_opened, 2 * nodes)


class _NoneAtHand:
    """Stands where an embedder would: it is the embedder of no vectors there are, so all are kept as they are."""

    name, dimension = "none at hand", 1

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return what an embedder must; none of it is kept."""
        return np.ones((len(texts), self.dimension), np.float32)


class _Idle(Upkeep):
    """No upkeep: a vault that is being restored is not in use yet."""

    def wrote(self) -> None:
        """Start nothing."""

    def stop(self) -> None:
        """Save nothing."""

"""The spaces of an open vault: creating, opening, renaming and erasing encrypted databases."""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mimir_vault.checking import rebuild
from mimir_vault.crypto.sealer import SpaceSealer
from mimir_vault.crypto.vault_keys import VaultKeys
from mimir_vault.errors import DiskFullError, FormatError, MimirError, ReadOnlyError
from mimir_vault.model.clock import from_micros
from mimir_vault.model.draft import check_name
from mimir_vault.open_space import OpenSpace
from mimir_vault.recall.terms import TERMS_VERSION
from mimir_vault.shared_embedder import SharedEmbedder
from mimir_vault.store import words
from mimir_vault.store.catalog import SPACE_FLOOR, Catalog, SpaceRow
from mimir_vault.store.cipher import AegisPages
from mimir_vault.store.pins import PinOf, Pins
from mimir_vault.store.space import SpaceStore
from mimir_vault.surroundings import Surroundings

if TYPE_CHECKING:
    from mimir_vault.embed.embedder import Embedder

log = logging.getLogger("mimir_vault")
SPACES_FOLDER = "spaces"
_OWN_FILE = re.compile(r"[0-9a-f]{32}\.db(\.new)?(-wal|-shm|-journal)?")


@dataclass(frozen=True, slots=True)
class SpaceInfo:
    """A space of a vault."""

    name: str
    id: str
    created: datetime


def check_space_name(name: str) -> None:
    """Refuse a name that is no text, empty, too long, or that does not print on one line."""
    check_name("" if name is None else name, "the name of a space")
    if not name.isprintable() or name != name.strip():
        raise ValueError("the name of a space is printable text on one line, without blanks around it")


class Spaces:
    """Opens each space once; changes hold the lock of the vault (a write transaction of the catalog)."""

    def __init__(
        self,
        vault_path: Path,
        replica: bytes,
        catalog: Catalog,
        keys: VaultKeys,
        pins: Pins | None,
        surroundings: Surroundings,
    ) -> None:
        self._folder = vault_path / SPACES_FOLDER
        self._replica, self._catalog, self._keys, self._pins = replica, catalog, keys, pins
        self._around = surroundings
        self._embedder = SharedEmbedder(surroundings.embedder)
        self._open: dict[bytes, OpenSpace] = {}
        self._lock = threading.RLock()

    def list(self) -> list[SpaceInfo]:
        """Return the spaces, oldest first."""
        return [SpaceInfo(row.name, row.id.hex(), from_micros(row.created)) for row in self._catalog.spaces()]

    def open(self, name: str, embedder: Embedder | None = None) -> OpenSpace:
        """Return an open space, the same one for all who ask (NotFoundError when there is none)."""
        with self._lock:
            space = self._opened(name)
            if embedder is not None and not space.embedder.is_of(embedder):
                space.embedder = SharedEmbedder(embedder)
                space.embedder.get()  # What is no embedder is refused now.
            return space

    @contextmanager
    def borrow(self, row: SpaceRow) -> Iterator[OpenSpace]:
        """Hold a space for a block, without upkeep: who goes through all spaces need not keep them open afterwards."""
        with self._lock:
            space = self._open.get(row.id)
        if space is not None:
            yield space
            return
        space = self._open_space(row)
        try:
            yield space
        finally:
            space.store.close()

    def pin_all(self) -> None:
        """Note the state of every space outside the vault now, not when it is first opened: of a new replica."""
        for row in self._catalog.spaces():
            try:
                with self.borrow(row):
                    pass
            except MimirError as error:
                log.warning("the state of a space could not be noted outside the vault: %s", error)

    def give_embedder(self, name: str, embedder: Embedder | None) -> None:
        """Give a new space an embedder of its own: noted at once, so that no other takes its place."""
        if embedder is not None:
            space = self.open(name, embedder)
            with space.store.write() as writer:
                space.new_model(writer.connection, space.embedder)

    def _opened(self, name: str) -> OpenSpace:
        with self._lock:
            row = self._catalog.space(name)
            if row.id not in self._open:
                space = self._open_space(row)
                try:
                    self._renew_words(space)
                except BaseException:
                    space.close()
                    raise
                self._open[row.id] = space
            return self._open[row.id]

    def _renew_words(self, space: OpenSpace) -> None:
        """Make derived data anew that a release with other terms wrote."""
        with space.store.read() as connection:
            version = words.stored_version(connection)
        if version > TERMS_VERSION:
            raise FormatError(f"space {space.name} was indexed by a newer version of Mimir; update Mimir")
        if 0 < version < TERMS_VERSION and not self._around.read_only:
            rebuild(space)

    def create(self, name: str) -> None:
        """Create an empty space: its file is whole before the catalog names it."""
        check_space_name(name)
        if self._around.read_only:
            raise ReadOnlyError("the vault was opened read-only; open it without read_only to create a space")
        space_id, file = self._around.random(16), self._around.random(16).hex() + ".db"
        ring = self._keys.new_ring()
        floor = self._catalog.setting(SPACE_FLOOR)
        row = SpaceRow(space_id, name, file, self._keys.wrap_ring(space_id, ring), floor, self._around.clock.now())
        sealer = SpaceSealer(space_id, ring, self._around.random)
        for secret in ring.values():
            secret.wipe()
        try:
            with self._lock, self._catalog.write() as change:
                self._catalog.add_space(change, row)
                self._catalog.audit(change, "space created", space=space_id.hex())
                self._build(row, sealer)
        except BaseException:
            for path in (self._path(file), self._path(f"{file}.new")):
                unlink(path)
            raise
        finally:
            sealer.wipe()

    def _build(self, row: SpaceRow, sealer: SpaceSealer) -> None:
        new = self._path(f"{row.file}.new")
        try:
            store = SpaceStore.create(
                new, AegisPages(sealer.page_key(), _salt(row)), sealer, self._pin_of(row), self._around.clock,
                size_floor=row.size_floor, words_version=TERMS_VERSION, name=f"space {row.name}",
            )  # fmt: skip
            store.close()
            os.replace(new, self._path(row.file))
            sync_folder(self._folder)
        except OSError as error:
            raise DiskFullError(f"the file of space {row.name} could not be made: {error.strerror}") from error

    def rename(self, old: str, new: str) -> None:
        """Give a space another name."""
        check_space_name(new)
        with self._lock, self._catalog.write() as change:
            self._catalog.rename_space(change, old, new)
            self._catalog.audit(change, "space renamed")
        for space in self._open.values():
            if space.name == old:
                space.name = new

    def erase(self, name: str) -> None:
        """Erase a space: first the only copy of its keys, then its file."""
        if self._around.read_only:
            raise ReadOnlyError("the vault was opened read-only; open it without read_only to erase a space")
        with self._lock:
            row = self._catalog.space(name)
            space = self._open.pop(row.id, None)
            if space is not None:
                space.close()
            with self._catalog.write() as change:
                self._catalog.remove_space(change, name)
                self._catalog.audit(change, "space erased", space=row.id.hex())
            self._catalog.fresh.checkpoint(wait_ms=1_000)
            unlink(self._path(row.file))
            self._pin_of(row).drop()

    def sweep(self) -> None:
        """Remove files that no space owns, left by a crash while one was made or erased.

        Only where the catalog is known to be the newest: an older one does not know the spaces made after it.
        """
        if self._around.read_only or not self._folder.is_dir() or not self._catalog.fresh.is_newest_seen:
            return
        if self._strays():
            with self._catalog.write():
                for path in self._strays():
                    path.unlink(missing_ok=True)

    def _strays(self) -> tuple[Path, ...]:
        """Return the files that Mimir made and no space owns; whatever else lies there is not Mimir's to remove."""
        owned = {row.file for row in self._catalog.spaces()}
        ours = [path for path in self._folder.iterdir() if _OWN_FILE.fullmatch(path.name) and path.is_file()]
        return tuple(path for path in ours if path.name[: len("0" * 32 + ".db")] not in owned)

    def close(self) -> None:
        """Close all open spaces."""
        with self._lock:
            for space in self._open.values():
                space.close()
            self._open.clear()

    def _path(self, file: str) -> Path:
        return self._folder / file

    def _pin_of(self, row: SpaceRow) -> PinOf:
        return PinOf(self._pins, row.id.hex(), self._replica)

    def _open_space(self, row: SpaceRow) -> OpenSpace:
        ring = self._keys.unwrap_ring(row.id, row.ring)
        sealer = SpaceSealer(row.id, ring, self._around.random)
        for secret in ring.values():
            secret.wipe()
        try:
            store = SpaceStore.open(
                self._path(row.file), AegisPages(sealer.page_key(), _salt(row)), sealer, self._pin_of(row),
                self._around.clock, size_floor=row.size_floor, words_version=TERMS_VERSION, name=f"space {row.name}",
                read_only=self._around.read_only, accept_rollback=self._around.accept_rollback,
            )  # fmt: skip
        except BaseException:
            sealer.wipe()
            raise
        self._around.bound(store.fresh.database)
        return OpenSpace(row.name, store, self._around.clock, self._around.random, self._embedder)


def _salt(row: SpaceRow) -> bytes:
    """Return the cipher salt of a space's file: the 32 hexadecimal digits of its name."""
    return bytes.fromhex(row.file[:32])


def unlink(path: Path) -> None:
    """Remove a database and its companions."""
    for left in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
        left.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make renames and new files in a folder durable; Windows orders them by itself."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

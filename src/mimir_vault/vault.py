"""The vault: a directory, locked as a whole; creating, opening and locking it, and its spaces."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, Unpack

from mimir_vault.adopting import adopt
from mimir_vault.backing_up import BackupDone, Source, back_up
from mimir_vault.checking import Finding, Progress, check_database
from mimir_vault.compacting import Compacted, compact
from mimir_vault.creating import FIRST_SPACE, build, checked_place, checked_size_floor
from mimir_vault.crypto.keys import KdfProfile
from mimir_vault.crypto.vault_keys import VaultKeys
from mimir_vault.crypto.wiping import discard_text
from mimir_vault.errors import (
    LockedError,
    MimirError,
    RollbackError,
)
from mimir_vault.given_secret import Opening, surroundings_given, unlock_given
from mimir_vault.key_slots import KeySlots
from mimir_vault.keyslots import header_file
from mimir_vault.keyslots.header import Header
from mimir_vault.keyslots.slot import KeySlot
from mimir_vault.keyslots.unlock import UnlockedRoot, create_header, unlock
from mimir_vault.memory import Memory
from mimir_vault.model.clock import Clock
from mimir_vault.restoring import restore
from mimir_vault.spaces import SpaceInfo, Spaces
from mimir_vault.state_file import open_pins
from mimir_vault.status import VaultStatus, bytes_below, space_status
from mimir_vault.store.catalog import HEADER_EPOCH, Catalog
from mimir_vault.store.cipher import AegisPages
from mimir_vault.store.pins import PinOf, Pins
from mimir_vault.surroundings import Random, Surroundings
from mimir_vault.unlockers import UnlockChain

if TYPE_CHECKING:
    from mimir_vault.embed.embedder import Embedder

log = logging.getLogger("mimir_vault")


class Vault:
    """An open vault. Use as a context manager, or call `lock()` (= `close()`) at the end.

    Threads may share a vault; a forked child has to open it again.
    """

    def __init__(self, path: Path, header: Header, root: UnlockedRoot, surroundings: Surroundings) -> None:
        """Open what an unlocked header leads to; callers use `Vault.open` and `Vault.create`."""
        self.path = path
        self.read_only = surroundings.read_only
        self._recovery_code: str | None = None
        self._header, self._root, self._around = header, root, surroundings
        self._keys = VaultKeys(root.vault_id, root.catalog_key, surroundings.random)
        self._lock = threading.RLock()
        self._pins: Pins | None = None
        self._closed = False
        self._process = os.getpid()
        try:
            self._pins = open_pins(self._keys, surroundings)
            self._catalog = self._open_catalog()
            self._check_header()
        except BaseException:
            self._wipe()
            raise
        self.keyslots = KeySlots(path, root, self._catalog, surroundings.clock, surroundings.random)
        self._spaces = Spaces(path, header.replica_id, self._catalog, self._keys, self._pins, surroundings)

    # -- creating and opening -------------------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        *,
        passphrase: str | bytearray | None = None,
        raw_key: bytes | None = None,
        profile: str = "moderate",
        recovery: bool = True,
        size_floor: int | None = None,
        embedder: Embedder | None = None,
        clock: Clock | None = None,
        random: Random = os.urandom,
        state_folder: str | os.PathLike[str] | None = None,
        memory_budget: int | str | None = None,
    ) -> Vault:
        """Create a vault with one space, `main`, and return it open.

        Args:
            path: the folder to create; it may not exist yet (or be empty).
            passphrase: one way to unlock; `raw_key` (32 random bytes) is another for machines.
            profile: cost of a passphrase: "interactive" 64 MiB, "moderate" 256 MiB, "sensitive" 1 GiB.
            recovery: also make a recovery code; its 24 words are in `vault.recovery_code` this once.
            size_floor: smallest file size of a space in bytes (default 16 MiB): what a glance at the files tells.
            embedder: what turns text into vectors; the bundled model when None.
            memory_budget: as for `open`.

        Raises:
            ExistsError: something is at `path` already. ValueError: no way to unlock, or an unknown profile.
        """
        folder = checked_place(path)
        floor = checked_size_floor(size_floor)
        around = Surroundings.of(embedder, clock, random, state_folder, memory_budget=memory_budget)
        header, root, words = create_header(
            passphrase=passphrase, raw_key=raw_key, profile=KdfProfile.of_name(profile), recovery=recovery,
            random=random, now=around.clock.now(),
        )  # fmt: skip
        try:
            build(folder, header, root, around, floor)
            try:
                vault = cls(folder, header, root, around)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)  # Nobody has seen its recovery code.
                raise
        except BaseException:
            root.wipe()
            raise
        vault._recovery_code = words
        return vault

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        passphrase: str | bytearray | None = None,
        recovery_code: str | None = None,
        raw_key: bytes | None = None,
        keyslot: KeySlot | None = None,
        read_only: bool = False,
        accept_rollback: bool = False,
        embedder: Embedder | None = None,
        clock: Clock | None = None,
        random: Random = os.urandom,
        state_folder: str | os.PathLike[str] | None = None,
        memory_budget: int | str | None = None,
    ) -> Vault:
        """Open a vault with one secret; with none, by the first way that has one (`mimir_vault.unlockers`).

        These are what other packages add (a keyring, a TPM), MIMIR_PASSPHRASE_FILE, MIMIR_PASSPHRASE_COMMAND and a
        prompt at the terminal or in a notebook. `memory_budget` (bytes, or text such as "256MiB"; else
        MIMIR_MEMORY_BUDGET) bounds the page caches, so far.

        Raises:
            NotFoundError, FormatError: there is no vault, or one of a newer format.
            WrongKeyError: the secret opens no key slot. LockedError: there is no secret; it lists what was tried.
            TamperedError: bytes were changed. RollbackError: the vault is older than last seen here; `accept_rollback`
            takes it as it is, and notes that in the audit.
        """
        folder = Path(path).absolute()
        around = Surroundings.of(embedder, clock, random, state_folder, read_only, accept_rollback, memory_budget)

        def unlocked(header: Header) -> UnlockedRoot:
            if all(one is None for one in (passphrase, recovery_code, raw_key, keyslot)):
                return UnlockChain.of_this_process().unlock(folder, header)
            return unlock(header, passphrase=passphrase, recovery_code=recovery_code, raw_key=raw_key, keyslot=keyslot)

        return cls.open_unlocked(folder, unlocked, around)

    @classmethod
    def open_unlocked(cls, folder: Path, unlocked: Callable[[Header], UnlockedRoot], around: Surroundings) -> Vault:
        """Open the vault in a folder with the root that `unlocked` gets from its header; errors as in `open`."""
        found = header_file.read(folder)
        root = unlocked(found.header)
        try:
            vault = cls(folder, found.header, root, around)
        except BaseException:
            root.wipe()
            raise
        try:
            vault._settle(found)
        except BaseException:
            vault.lock()
            raise
        return vault

    @classmethod
    def restore(
        cls, backup: str | os.PathLike[str], path: str | os.PathLike[str], *, progress: Progress | None = None,
        **opening: Unpack[Opening],
    ) -> Vault:  # fmt: skip
        """Make the vault of a backup at `path`, every node checked, and return it open; keywords as for `open`.

        The secret is one of the time of the backup. ExistsError when something is at `path`; TamperedError when the
        backup was changed or cut.
        """
        folder, around = Path(path).absolute(), surroundings_given(opening)
        root = restore(Path(backup).absolute(), folder, partial(unlock_given, Path(backup), opening), around, progress)
        return cls._open_replica(folder, root, around)

    @classmethod
    def adopt(cls, path: str | os.PathLike[str], **opening: Unpack[Opening]) -> Vault:
        """Take a vault that was copied here as it is, make it a replica of its own and open it; keywords as for `open`.

        Afterwards it opens without RollbackError; that it was adopted is noted in the audit.
        """
        folder, around = Path(path).absolute(), surroundings_given(opening)
        root = unlock_given(folder, opening, header_file.read(folder).header)
        adopt(folder, root, around)
        return cls._open_replica(folder, root, around)

    @classmethod
    def _open_replica(cls, folder: Path, root: UnlockedRoot, around: Surroundings) -> Vault:
        (vault := cls.open_unlocked(folder, lambda _: root, around))._spaces.pin_all()
        return vault

    def _open_catalog(self) -> Catalog:
        cipher = AegisPages(self._keys.catalog_page_key(), self._root.vault_id)
        path = self.path / self._root.catalog_file
        pin = PinOf(self._pins, "catalog", self._header.replica_id)
        digests = self._keys.digests()
        catalog = Catalog.open(
            path, cipher, digests, pin, self._around.clock, read_only=self.read_only,
            accept_rollback=self._around.accept_rollback,
        )  # fmt: skip
        self._around.bound(catalog.fresh.database)
        return catalog

    def _check_header(self) -> None:
        lowest = self._catalog.setting(HEADER_EPOCH)
        if self._header.epoch < lowest and not self._around.accept_rollback:
            raise RollbackError(
                f"the header of this vault is an old copy (change {self._header.epoch}, the vault has seen {lowest}); "
                "bring the newer one back, or accept it with accept_rollback (--accept-rollback)"
            )

    def _settle(self, found: header_file.HeaderOnDisk) -> None:
        """After opening: mend a lost copy of the header and note what was accepted."""
        self._spaces.sweep()
        if self.read_only or not (found.stale or self._around.accept_rollback):
            return
        with self._catalog.write() as change:
            now = header_file.read(self.path)
            if now.stale:
                header_file.repair(self.path, now)
                self._catalog.audit(change, "header repaired", copies=list(now.stale))
                log.warning("a damaged or missing copy of the vault's header was mended: %s", ", ".join(now.stale))
            if self._around.accept_rollback:
                self._catalog.put_setting(change, HEADER_EPOCH, self._header.epoch)
                self._catalog.audit(change, "rollback accepted")

    # -- spaces ---------------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The vault's id, 32 hexadecimal digits."""
        return self._root.vault_id.hex()

    @property
    def recovery_code(self) -> str | None:
        """The 24 words of a new vault's recovery code: given once, then None for ever."""
        words, self._recovery_code = self._recovery_code, None
        return words

    @property
    def profile(self) -> str:
        """The cost of the vault's passphrases by name."""
        return self._header.profile.name.lower()

    def spaces(self) -> list[SpaceInfo]:
        """Return the spaces, oldest first."""
        return self._spaces.list()

    def space(self, name: str = FIRST_SPACE, *, embedder: Embedder | None = None) -> Memory:
        """Return a space as a memory; the same space is opened once (NotFoundError when there is none).

        `embedder` is the one that the space was created with, where it has one of its own.
        """
        self._check_open()
        return Memory(self, self._spaces.open(name, embedder))

    def memory_that_owns(self, name: str) -> Memory:
        """Return a space as a memory that locks this vault when it is closed."""
        self._check_open()
        return Memory(self, self._spaces.open(name), owns_vault=True)

    def create_space(self, name: str, embedder: Embedder | None = None) -> Memory:
        """Create an empty space, an encrypted database with a key of its own.

        With an `embedder` of its own it has to be handed in again to open the space: `vault.space(name, embedder=…)`.
        ExistsError when the vault has a space of that name, ValueError for an impossible name.
        """
        self._check_open()
        self._spaces.create(name)
        self._spaces.give_embedder(name, embedder)
        return self.space(name)

    def rename_space(self, old: str, new: str) -> None:
        """Give a space another name; its id, file and keys stay."""
        self._check_open()
        self._spaces.rename(old, new)

    def erase_space(self, name: str) -> None:
        """Erase a space for ever: first the only copy of its keys, then its file."""
        self._check_open()
        self._spaces.erase(name)

    def verify(self, full: bool = False, progress: Progress | None = None) -> list[Finding]:
        """Check the catalog and every space; an empty list is good news. `full` opens every node."""
        self._check_open()
        with self._catalog.fresh.read() as connection:
            found = list(check_database(connection, self._catalog.fresh.digester, "the catalog"))
        for row in self._catalog.spaces():
            try:
                found += self.space(row.name).verify(full=full, progress=progress)
            except MimirError as error:
                found.append(Finding(f"space {row.name}", str(error)))
        return found

    def rebuild(self, space: str | None = None, progress: Progress | None = None) -> int:
        """Make everything derived again, in one space or in all; return how many nodes there are."""
        self._check_open()
        names = [row.name for row in self._catalog.spaces()] if space is None else [space]
        return sum(self.space(name).rebuild(progress) for name in names)

    def backup(self, path: str | os.PathLike[str], progress: Progress | None = None) -> BackupDone:
        """Back the vault up into one sealed file while it is in use; a backup of it at `path` is gone on from.

        Raises:
            ExistsError: something else is at `path`, which is never overwritten. And as any write to a disk.
        """
        self._check_open()
        source = Source(self.path, self._root.root_key, self._catalog, self._keys, self._spaces, self._around)
        return back_up(source, Path(path).absolute(), progress)

    def compact(self, space: str | None = None, progress: Progress | None = None) -> list[Compacted]:
        """Pack the file of one space or of all, down to its size class; `progress` counts spaces."""
        self._check_open()
        names = [row.name for row in self._catalog.spaces()] if space is None else [space]
        done: list[Compacted] = []
        for name in names:
            done.append(compact(self._spaces.open(name)))
            if progress is not None:
                progress(len(done), len(names))
        return done

    def status(self) -> VaultStatus:
        """Return the vault in figures."""
        self._check_open()
        return VaultStatus(
            path=self.path,
            id=self.id,
            profile=self.profile,
            keyslots=self.keyslots.list(),
            spaces=[space_status(self._spaces.open(row.name)) for row in self._catalog.spaces()],
            state_file=self._pins.path if self._pins is not None else None,
            bytes_on_disk=bytes_below(self.path),
        )

    def _check_open(self) -> None:
        if self._process != os.getpid():
            raise LockedError("this process was forked; open the vault again in the child")
        if self._closed:
            raise LockedError("the vault is locked; open it again")

    def lock(self) -> None:
        """Close all spaces, leave files of whole size classes without a WAL, and wipe the keys."""
        if self._process != os.getpid():
            return  # The vault is the parent's; the child's copies of its keys were wiped when it was forked.
        with self._lock:
            if self._closed:
                return
            self._closed = True
            try:
                self._spaces.close()
                self._catalog.close()
            finally:
                self._wipe()

    close = lock

    def _wipe(self) -> None:
        if self._pins is not None:
            self._pins.close()
        self._keys.wipe()
        self._root.wipe()
        words, self._recovery_code = self._recovery_code, None
        if words is not None:
            discard_text(words)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lock()

    def __repr__(self) -> str:
        return f"<Vault {str(self.path)!r}{' locked' if self._closed else ''}>"

"""The key slots of an open vault: listing, adding, changing and removing ways to unlock it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mimir_vault.errors import ReadOnlyError
from mimir_vault.keyslots import change, header_file
from mimir_vault.keyslots.header import Header
from mimir_vault.keyslots.unlock import UnlockedRoot
from mimir_vault.model.clock import Clock, from_micros
from mimir_vault.store.catalog import HEADER_EPOCH, Catalog


@dataclass(frozen=True, slots=True)
class KeySlotInfo:
    """What may be shown of a key slot; `current` is the one this vault was opened with."""

    id: str
    kind: str
    label: str
    created: datetime
    current: bool


class KeySlots:
    """`vault.keyslots`. Every change writes both copies of the header while it holds the lock of the vault."""

    def __init__(
        self, path: Path, root: UnlockedRoot, catalog: Catalog, clock: Clock, random: Callable[[int], bytes]
    ) -> None:
        self._path, self._root, self._catalog = path, root, catalog
        self._clock, self._random = clock, random

    def list(self) -> list[KeySlotInfo]:
        """Return the key slots, oldest first."""
        header = header_file.read(self._path).header
        return [
            KeySlotInfo(slot.id, slot.kind_name, slot.label, from_micros(slot.created), slot.id == self._root.slot_id)
            for slot in change.list_slots(header, self._root)
        ]

    def add_passphrase(self, passphrase: str | bytearray, label: str = "") -> None:
        """Add a passphrase beside those there are."""
        self._change(
            "key slot added",
            lambda header: change.add_passphrase(
                header, self._root, passphrase, label=label, random=self._random, now=self._clock.now()
            ),
            kind="passphrase",
        )

    def add_recovery_code(self, label: str = "") -> str:
        """Add a recovery code and return its 24 words, this once: they are kept nowhere."""
        words: list[str] = []

        def add(header: Header) -> Header:
            changed, code = change.add_recovery_code(
                header, self._root, label=label, random=self._random, now=self._clock.now()
            )
            words.append(code)
            return changed

        self._change("key slot added", add, kind="recovery code")
        return words.pop()

    def add_raw_key(self, raw_key: bytes, label: str = "") -> None:
        """Add 32 random bytes that somebody keeps elsewhere as a way to unlock."""
        self._change(
            "key slot added",
            lambda header: change.add_raw_key(
                header, self._root, raw_key, label=label, random=self._random, now=self._clock.now()
            ),
            kind="raw key",
        )

    def change_passphrase(self, passphrase: str | bytearray, slot_id: str | None = None) -> None:
        """Replace the passphrase this vault was opened with, or the one named.

        The root key stays, so this does not help when the old passphrase was stolen together with a copy of the vault.
        """
        self._change(
            "passphrase changed",
            lambda header: change.change_passphrase(
                header, self._root, passphrase, slot_id=slot_id, random=self._random, now=self._clock.now()
            ),
        )

    def remove(self, slot_id: str) -> None:
        """Remove a key slot; the last one stays. Copies of the vault made before still open with it."""
        self._change(
            "key slot removed",
            lambda header: change.remove_slot(header, self._root, slot_id, random=self._random),
            slot=slot_id,
        )

    def _change(self, verb: str, make: Callable[[Header], Header], **facts: str) -> None:
        """Under the vault's lock: change the newest header, write it, and refuse older ones from now on."""
        if self._catalog.fresh.database.read_only:
            raise ReadOnlyError("the vault was opened read-only; open it without read_only to change its key slots")
        with self._catalog.write() as changing:
            header = make(header_file.read(self._path).header)
            # The header goes first: if the power fails between the two, the catalog still accepts the newer header.
            header_file.write(self._path, header)
            self._root.refresh(header)
            self._catalog.put_setting(changing, HEADER_EPOCH, header.epoch)
            self._catalog.audit(changing, verb, **facts)

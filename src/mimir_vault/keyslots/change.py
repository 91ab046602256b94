"""Changes to the header of an unlocked vault. Each returns a new header, one epoch on, for `header_file.write`.

Keys stay as they are: taking a slot away closes this header to its secret, not an older copy of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from mimir_vault.crypto.envelope import SCOPE_LENGTH
from mimir_vault.crypto.keys import SALT_LENGTH, KdfProfile
from mimir_vault.crypto.primitives import Octets
from mimir_vault.crypto.randomness import Random, draw
from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.errors import FormatError, MimirError, NotFoundError
from mimir_vault.keyslots.header import EPOCH_MAX, Header
from mimir_vault.keyslots.passphrase import PassphraseSlot
from mimir_vault.keyslots.raw_key import RawKeySlot
from mimir_vault.keyslots.recovery_code import RecoveryCodeSlot, generate
from mimir_vault.keyslots.sealed_part import LABEL_MAX, HeaderContents, SlotDescription
from mimir_vault.keyslots.slot import SLOT_LENGTH, KeySlot, SlotKind
from mimir_vault.keyslots.unlock import UnlockedRoot, compose, free_index, new_slot_id, read_contents


def add_slot(
    header: Header, unlocked: UnlockedRoot, way: KeySlot, *, label: str = "", random: Random, now: int
) -> Header:
    """Add a way to unlock. ValueError when all 24 slots are in use or the label is too long."""
    _check_label(label)
    with _Change(header, unlocked) as change:
        described = list(change.contents.slots)
        index = free_index(described, random)
        body = way.wrap(unlocked.root_key, header.place(index), random)
        described.append(SlotDescription(new_slot_id(described, random), index, way.kind, label, now))
        return change.compose({index: body}, described, random)


def add_passphrase(
    header: Header, unlocked: UnlockedRoot, passphrase: str | bytearray, *, label: str = "", random: Random, now: int
) -> Header:
    """Add a passphrase, at the vault's salt and profile. ValueError when it is empty."""
    way = PassphraseSlot(passphrase)
    try:
        return add_slot(header, unlocked, way, label=label, random=random, now=now)
    finally:
        way.wipe()


def add_recovery_code(
    header: Header, unlocked: UnlockedRoot, *, label: str = "", random: Random, now: int
) -> tuple[Header, str]:
    """Add a recovery code and return it: 24 words, given this once and kept nowhere."""
    words = generate(random)
    way = RecoveryCodeSlot(words)
    try:
        return add_slot(header, unlocked, way, label=label, random=random, now=now), words
    finally:
        way.wipe()


def add_raw_key(
    header: Header,
    unlocked: UnlockedRoot,
    raw_key: Octets | SecretBytes,
    *,
    label: str = "",
    random: Random,
    now: int,
) -> Header:
    """Add 32 random bytes that somebody keeps elsewhere."""
    way = RawKeySlot(raw_key)
    try:
        return add_slot(header, unlocked, way, label=label, random=random, now=now)
    finally:
        way.wipe()


def change_passphrase(
    header: Header,
    unlocked: UnlockedRoot,
    passphrase: str | bytearray,
    *,
    slot_id: str | None = None,
    profile: KdfProfile | None = None,
    random: Random,
    now: int,
) -> Header:
    """Replace a passphrase: the slot named, or the one that unlocked, or the only one there is.

    A vault has one Argon2id salt and profile, so both change only where no other passphrase slot depends on them;
    `profile` may only rise. The root key stays: whoever has the old passphrase and an old header still gets in.
    """
    with _Change(header, unlocked) as change:
        old = _passphrase_slot(change.contents.slots, unlocked.slot_id if slot_id is None else slot_id, slot_id)
        alone = sum(slot.kind == SlotKind.PASSPHRASE for slot in change.contents.slots) == 1
        wanted = header.profile if profile is None else profile
        if wanted < header.profile:
            raise ValueError("The key-derivation profile of a vault can be raised but not lowered.")
        if wanted != header.profile and not alone:
            raise ValueError("Other passphrases depend on the vault's profile; remove them before raising it.")
        if alone:
            change.header = replace(change.header, profile=wanted, kdf_salt=draw(random, SALT_LENGTH))
        way = PassphraseSlot(passphrase)
        try:
            body = way.wrap(unlocked.root_key, change.header.place(old.index), random)
        finally:
            way.wipe()
        described = [replace(slot, created=now) if slot.id == old.id else slot for slot in change.contents.slots]
        return change.compose({old.index: body}, described, random)


def remove_slot(header: Header, unlocked: UnlockedRoot, slot_id: str, *, random: Random) -> Header:
    """Overwrite a slot with random bytes. NotFoundError for an unknown id; MimirError for the last slot."""
    with _Change(header, unlocked) as change:
        gone = _slot_of(change.contents.slots, slot_id)
        if len(change.contents.slots) == 1:
            raise MimirError("This is the last way to unlock the vault; add another before removing it.")
        described = [slot for slot in change.contents.slots if slot.id != slot_id]
        return change.compose({gone.index: draw(random, SLOT_LENGTH)}, described, random)


def replace_catalog_keys(
    header: Header,
    unlocked: UnlockedRoot,
    *,
    current: SecretBytes,
    following: SecretBytes | None,
    file: str | None = None,
    random: Random,
) -> Header:
    """Name another catalog key, or the key of a rekey under way beside it, or another catalog file."""
    with _Change(header, unlocked) as change:
        contents = HeaderContents(
            catalog_file=change.contents.catalog_file if file is None else file,
            catalog_key=current,
            next_catalog_key=following,
            slots=change.contents.slots,
        )
        return compose(change.header, header.slots, contents, unlocked.root_key, random)


def new_replica(header: Header, unlocked: UnlockedRoot, *, random: Random) -> Header:
    """Give the vault another replica id, so that a restored backup or second device is no rollback of the first."""
    with _Change(header, unlocked) as change:
        change.header = replace(change.header, replica_id=draw(random, SCOPE_LENGTH))
        return change.compose({}, change.contents.slots, random)


def list_slots(header: Header, unlocked: UnlockedRoot) -> tuple[SlotDescription, ...]:
    """Return what may be shown about the slots of this header, oldest first."""
    with _Change(header, unlocked, to_write=False) as change:
        return tuple(sorted(change.contents.slots, key=lambda slot: (slot.created, slot.index)))


class _Change:
    """A header that was checked and opened, with its clear part one epoch on; wipes the opened keys on leaving."""

    def __init__(self, header: Header, unlocked: UnlockedRoot, to_write: bool = True) -> None:
        if to_write and header.newer:
            raise FormatError("A newer version of Mimir wrote this header; it can be read but not changed here.")
        if header.epoch >= EPOCH_MAX:
            raise FormatError("This header was changed as often as the format allows; make a new vault.")
        self.contents = read_contents(header, unlocked.root_key)
        self.header = replace(header, epoch=header.epoch + 1)
        self._root_key = unlocked.root_key

    def compose(self, bodies: dict[int, bytes], described: Iterable[SlotDescription], random: Random) -> Header:
        slots = tuple(bodies.get(index, body) for index, body in enumerate(self.header.slots))
        in_order = tuple(sorted(described, key=lambda slot: slot.index))
        return compose(self.header, slots, replace(self.contents, slots=in_order), self._root_key, random)

    def __enter__(self) -> _Change:
        return self

    def __exit__(self, *_: object) -> None:
        self.contents.wipe()


def _check_label(label: str) -> None:
    if len(label.encode("utf-8", "surrogatepass")) > LABEL_MAX or not label.isprintable():
        raise ValueError(f"The label of a key slot is printable text of at most {LABEL_MAX} bytes.")


def _slot_of(slots: tuple[SlotDescription, ...], slot_id: str) -> SlotDescription:
    for slot in slots:
        if slot.id == slot_id:
            return slot
    raise NotFoundError(f"There is no key slot {slot_id}; `mimir key list` shows those there are.")


def _passphrase_slot(slots: tuple[SlotDescription, ...], likely: str | None, named: str | None) -> SlotDescription:
    if named is not None and _slot_of(slots, named).kind != SlotKind.PASSPHRASE:
        raise ValueError(f"Key slot {named} holds no passphrase.")
    passphrases = [slot for slot in slots if slot.kind == SlotKind.PASSPHRASE]
    for slot in passphrases:
        if slot.id == likely:
            return slot
    if len(passphrases) == 1:
        return passphrases[0]
    if not passphrases:
        raise NotFoundError("This vault has no passphrase to change; add one.")
    raise ValueError("This vault has several passphrases; name the slot whose passphrase is to change.")

"""Making the header of a new vault, and getting from a secret to the root key of an existing one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import TracebackType
from typing import Final, Self

from mimir_vault.crypto.envelope import SCOPE_LENGTH
from mimir_vault.crypto.keys import SALT_LENGTH, KdfProfile
from mimir_vault.crypto.primitives import DIGEST_LENGTH, Octets
from mimir_vault.crypto.randomness import Random, draw
from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.errors import TamperedError, WrongKeyError
from mimir_vault.keyslots.header import FILL_LENGTH, MINOR, Header
from mimir_vault.keyslots.passphrase import PassphraseSlot
from mimir_vault.keyslots.raw_key import RawKeySlot
from mimir_vault.keyslots.recovery_code import RecoveryCodeSlot, generate
from mimir_vault.keyslots.sealed_part import (
    SLOT_ID_LENGTH,
    HeaderContents,
    SlotDescription,
    open_contents,
    seal_contents,
)
from mimir_vault.keyslots.slot import ROOT_KEY_LENGTH, SLOT_COUNT, SLOT_LENGTH, KeySlot

CATALOG_FILE: Final = "catalog.db"
FIRST_HEADER_EPOCH: Final = 1


@dataclass(slots=True)
class UnlockedRoot:
    """What a right secret opens: the root key, the sealed part of the header, and which slot it was.

    `slot_id` is None right after creation. `refresh` takes over a header that was changed and written.
    """

    root_key: SecretBytes
    contents: HeaderContents
    vault_id: bytes
    epoch: int
    slot_id: str | None

    @property
    def catalog_file(self) -> str:
        """The name of the catalog's file in the vault's folder."""
        return self.contents.catalog_file

    @property
    def catalog_key(self) -> SecretBytes:
        """The catalog key, to be tried first."""
        return self.contents.catalog_key

    @property
    def next_catalog_key(self) -> SecretBytes | None:
        """The catalog key to be tried second; None unless a rekey was under way."""
        return self.contents.next_catalog_key

    @property
    def slots(self) -> tuple[SlotDescription, ...]:
        """What may be shown about the key slots, oldest first."""
        return tuple(sorted(self.contents.slots, key=lambda slot: (slot.created, slot.index)))

    def refresh(self, header: Header) -> None:
        """Take over the contents of a newer header of the same root key; TamperedError when it is not one."""
        contents = read_contents(header, self.root_key)
        self.contents.wipe()
        self.contents, self.epoch = contents, header.epoch

    def wipe(self) -> None:
        """Wipe all keys; again and again is harmless."""
        self.root_key.wipe()
        self.contents.wipe()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wipe()


def create_header(
    *,
    passphrase: str | bytearray | None = None,
    raw_key: Octets | SecretBytes | None = None,
    profile: KdfProfile = KdfProfile.MODERATE,
    recovery: bool = True,
    random: Random,
    now: int,
) -> tuple[Header, UnlockedRoot, str | None]:
    """Return the header of a new vault, its root, and the recovery code (24 words, given this once) if one is wanted.

    `now` is in microseconds since 1970, UTC. Vault id, root key and catalog key are new and random. ValueError when
    there would be no way to unlock, or the passphrase is empty.
    """
    ways: list[KeySlot] = []
    words: str | None = None
    try:
        if passphrase is not None:
            ways.append(PassphraseSlot(passphrase))
        if raw_key is not None:
            ways.append(RawKeySlot(raw_key))
        if recovery:
            words = generate(random)
            ways.append(RecoveryCodeSlot(words))
        if not ways:
            raise ValueError("A vault needs at least one way to unlock it: a passphrase, a recovery code or a raw key.")
        header, root = _build(ways, profile, random, now)
    finally:
        for way in ways:
            way.wipe()
    return header, root, words


def unlock(
    header: Header,
    *,
    passphrase: str | bytearray | None = None,
    recovery_code: str | None = None,
    raw_key: Octets | SecretBytes | None = None,
    keyslot: KeySlot | None = None,
) -> UnlockedRoot:
    """Return the root that exactly one secret opens.

    WrongKeyError: it opens no slot (after one Argon2id run, if it is a passphrase). TamperedError: it does, but the
    header is not what Mimir wrote. A `keyslot` handed in stays its owner's to wipe.
    """
    given = [secret for secret in (passphrase, recovery_code, raw_key, keyslot) if secret is not None]
    if len(given) != 1:
        raise ValueError("Give exactly one of passphrase, recovery_code, raw_key and keyslot.")
    if keyslot is not None:
        return _open_with(keyslot, header)
    way: KeySlot
    if passphrase is not None:
        way = PassphraseSlot(passphrase)
    elif recovery_code is not None:
        way = RecoveryCodeSlot(recovery_code)
    else:
        assert raw_key is not None
        way = RawKeySlot(raw_key)
    try:
        return _open_with(way, header)
    finally:
        way.wipe()


def read_contents(header: Header, root_key: SecretBytes) -> HeaderContents:
    """Return the sealed part after checking the MAC over the whole header; TamperedError when either is wrong."""
    header.check_mac(root_key)
    return open_contents(header.sealed, root_key, header.vault_id, header.epoch)


def _open_with(way: KeySlot, header: Header) -> UnlockedRoot:
    for index, body in enumerate(header.slots):
        try:
            root_key = way.unwrap(body, header.place(index))
        except WrongKeyError:
            continue
        try:
            contents = read_contents(header, root_key)
            slot_id = next((slot.id for slot in contents.slots if slot.index == index), None)
            if slot_id is None:
                contents.wipe()
                raise TamperedError("A key slot opens that the header does not list; restore a backup.")
        except BaseException:
            root_key.wipe()
            raise
        return UnlockedRoot(root_key, contents, header.vault_id, header.epoch, slot_id)
    raise WrongKeyError()


def _build(ways: list[KeySlot], profile: KdfProfile, random: Random, now: int) -> tuple[Header, UnlockedRoot]:
    """Lay out a first header: every slot random, then one for each way; seal and authenticate it."""
    vault_id = draw(random, SCOPE_LENGTH)
    root_key = SecretBytes.random(ROOT_KEY_LENGTH, random)
    blank = Header(
        minor=MINOR,
        profile=profile,
        epoch=FIRST_HEADER_EPOCH,
        vault_id=vault_id,
        replica_id=draw(random, SCOPE_LENGTH),
        kdf_salt=draw(random, SALT_LENGTH),
        slots=tuple(draw(random, SLOT_LENGTH) for _ in range(SLOT_COUNT)),
        sealed=b"",
        fill=draw(random, FILL_LENGTH),
        mac=bytes(DIGEST_LENGTH),
    )
    bodies = list(blank.slots)
    described: list[SlotDescription] = []
    for way in ways:
        index = free_index(described, random)
        bodies[index] = way.wrap(root_key, blank.place(index), random)
        described.append(SlotDescription(new_slot_id(described, random), index, way.kind, "", now))
    contents = HeaderContents(
        catalog_file=CATALOG_FILE,
        catalog_key=SecretBytes.random(ROOT_KEY_LENGTH, random),
        next_catalog_key=None,
        slots=tuple(sorted(described, key=lambda slot: slot.index)),
    )
    header = compose(blank, tuple(bodies), contents, root_key, random)
    return header, UnlockedRoot(root_key, contents, vault_id, header.epoch, None)


def compose(
    clear: Header, bodies: tuple[bytes, ...], contents: HeaderContents, root_key: SecretBytes, random: Random
) -> Header:
    """Return `clear` with these slots and contents, sealed for its epoch and authenticated by the root key."""
    sealed = seal_contents(contents, root_key, clear.vault_id, clear.epoch, random)
    return replace(clear, slots=bodies, sealed=sealed).authenticated(root_key)


def free_index(described: list[SlotDescription], random: Random) -> int:
    """Return a random unused place, so that its number does not tell how many slots came before it."""
    used = {slot.index for slot in described}
    free = [index for index in range(SLOT_COUNT) if index not in used]
    if not free:
        raise ValueError(f"All {SLOT_COUNT} key slots are in use; remove one first.")
    return free[int.from_bytes(draw(random, 4), "big") % len(free)]


def new_slot_id(described: list[SlotDescription], random: Random) -> str:
    """Return 8 hex digits that no slot of this header has."""
    taken = {slot.id for slot in described}
    while True:
        slot_id = draw(random, SLOT_ID_LENGTH).hex()
        if slot_id not in taken:
            return slot_id

"""The seam of the key slots: what a way to unlock must do, and the sealed body that the ways in this folder share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol

from mimir_vault.crypto.envelope import OVERHEAD, Context, Role, open_envelope, seal
from mimir_vault.crypto.keys import KdfProfile, Label, derive_from_weak
from mimir_vault.crypto.primitives import KEY_LENGTH
from mimir_vault.crypto.randomness import Random, draw
from mimir_vault.crypto.secret import SecretBytes, discard
from mimir_vault.errors import TamperedError, WrongKeyError

SLOT_LENGTH: Final = 2048  # bytes; a hybrid recipient needs 1,168 and a FIDO2 credential id up to 1,023
SLOT_COUNT: Final = 24
ROOT_KEY_LENGTH: Final = KEY_LENGTH
SEALED_ROOT_LENGTH: Final = ROOT_KEY_LENGTH + OVERHEAD  # 104 bytes at the start of a slot; the rest is random


class SlotKind(IntEnum):
    """The ways to unlock that this version has. Their slots look random, whatever the kind; 16 and above are kept for
    devices, whose slots can be recognised.
    """

    PASSPHRASE = 1
    RECOVERY_CODE = 2
    RAW_KEY = 3


@dataclass(frozen=True, slots=True)
class SlotPlace:
    """Where a slot stands: what its body is bound to, and the salt and profile of the vault for passphrases."""

    vault_id: bytes
    index: int
    kdf_salt: bytes
    profile: KdfProfile


class KeySlot(Protocol):
    """One way to unwrap the root key, holding its secret from construction to `wipe()`."""

    @property
    def kind(self) -> int:
        """The number that `key list` and the sealed part of the header know this way by."""
        ...

    def wrap(self, root_key: SecretBytes, place: SlotPlace, random: Random) -> bytes:
        """Return the 2,048 bytes of a slot that opens to `root_key`."""
        ...

    def unwrap(self, body: bytes, place: SlotPlace) -> SecretBytes:
        """Return the root key; WrongKeyError when this slot is not one that this secret opens."""
        ...

    def wipe(self) -> None:
        """Wipe the secret; again and again is harmless."""
        ...


def key_encryption_key(secret: SecretBytes, kind: int, profile: int, vault_id: bytes) -> SecretBytes:
    """Return the key that wraps the root key: HKDF with salt = vault id, info = label | kind | profile."""
    return derive_from_weak(secret, vault_id, Label.KEY_SLOT, bytes((kind, profile)))


def seal_root(kek: SecretBytes, root_key: SecretBytes, kind: int, place: SlotPlace, random: Random) -> bytes:
    """Return a slot's 2,048 bytes: the root key in an envelope, then random bytes.

    The envelope commits to its key, so no body can be made that opens under two passphrases at once, which would let
    an attacker test many guesses in one try.
    """
    plain = bytes(root_key.view())
    sealed = seal(kek, _context(kind, place), plain, random)
    discard(plain)
    return sealed + draw(random, SLOT_LENGTH - len(sealed))


def open_root(kek: SecretBytes, body: bytes, kind: int, place: SlotPlace) -> SecretBytes:
    """Return the root key; WrongKeyError when the body is not an envelope under this key for this place."""
    try:
        opened = open_envelope(kek, _context(kind, place), body[:SEALED_ROOT_LENGTH])
    except TamperedError:
        raise WrongKeyError() from None
    root_key = SecretBytes.copy_of(opened)
    discard(opened)
    return root_key


def _context(kind: int, place: SlotPlace) -> Context:
    return Context(Role.KEY_SLOT, place.vault_id, bytes((kind, place.index)))

"""Every label of the key tree in one table, derivation by label, and the enumerated costs of passphrases."""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import Final, NamedTuple

from mimir_vault.crypto.primitives import KEY_LENGTH, argon2id_into, hkdf_expand_into, hkdf_extract
from mimir_vault.crypto.secret import SecretBytes, discard
from mimir_vault.errors import FormatError

SALT_LENGTH: Final = 16  # bytes, of the vault's one Argon2 salt (RFC 9106, 3.1)


class Label(Enum):
    """What a derived key or a hash is for. Each ends in a zero byte, so that no label is the beginning of another."""

    # from a slot secret
    KEY_SLOT = b"mimir/v1/key-slot\0"
    # from the root key
    HEADER_MAC = b"mimir/v1/header-mac\0"
    HEADER_SEAL = b"mimir/v1/header-seal\0"
    # from the catalog key
    CATALOG_PAGES = b"mimir/v1/catalog-pages\0"
    PINS_PAGES = b"mimir/v1/pins-pages\0"
    AUDIT = b"mimir/v1/audit\0"
    IDENTITY_WRAP = b"mimir/v1/identity-wrap\0"
    SPACE_RING_WRAP = b"mimir/v1/space-ring-wrap\0"
    BACKUP = b"mimir/v1/backup\0"
    # from the space key of an epoch
    SPACE_PAGES = b"mimir/v1/space-pages\0"
    NODE_KEY_WRAP = b"mimir/v1/node-key-wrap\0"
    DIGEST = b"mimir/v1/digest\0"
    CHAIN = b"mimir/v1/chain\0"
    SYNC = b"mimir/v1/sync\0"
    PACK = b"mimir/v1/pack\0"
    # from a node key, and from every other key that seals an envelope
    ENVELOPE = b"mimir/v1/envelope\0"
    # prefixes of hashes that no key goes into
    NODE_ID = b"mimir/v1/node-id\0"
    PIN_FILE_NAME = b"mimir/v1/pin-file-name\0"


class Cost(NamedTuple):
    """What one Argon2id run takes."""

    memory_kib: int
    passes: int
    lanes: int


class KdfProfile(IntEnum):
    """The cost of a passphrase, one byte in the header. Costs are never read from a file as numbers, so neither a
    downgrade nor a memory bomb can be written into one.
    """

    INTERACTIVE = 1
    MODERATE = 2
    SENSITIVE = 3

    @property
    def cost(self) -> Cost:
        """The Argon2id parameters: the floor is the second option of RFC 9106, 4."""
        return _COSTS[self]

    @classmethod
    def of_byte(cls, number: int) -> KdfProfile:
        """Return the profile of a header's byte; FormatError when this version knows none of that number."""
        try:
            return cls(number)
        except ValueError:
            raise FormatError(
                f"The vault names key-derivation profile {number}, which this version does not know; update Mimir."
            ) from None

    @classmethod
    def of_name(cls, name: str) -> KdfProfile:
        """Return the profile a caller names: "interactive", "moderate" or "sensitive"."""
        try:
            return cls[name.upper()]
        except KeyError:
            names = ", ".join(profile.name.lower() for profile in cls)
            raise ValueError(f"There is no key-derivation profile {name!r}; choose one of {names}.") from None


_COSTS: Final = {
    KdfProfile.INTERACTIVE: Cost(memory_kib=64 * 1024, passes=3, lanes=4),
    KdfProfile.MODERATE: Cost(memory_kib=256 * 1024, passes=3, lanes=4),
    KdfProfile.SENSITIVE: Cost(memory_kib=1024 * 1024, passes=3, lanes=4),
}


def derive(secret: SecretBytes, label: Label, context: bytes = b"", length: int = KEY_LENGTH) -> SecretBytes:
    """Derive `length` bytes for the purpose of `label` from a uniformly random secret.

    HKDF-Expand with SHA-512, info = label | context. Expand alone is right here because every secret of the tree is
    already a random key (RFC 5869, 3.3).
    """
    derived = SecretBytes(length)
    hkdf_expand_into(secret.view(), label.value + context, derived.view())
    return derived


def derive_from_weak(secret: SecretBytes, salt: bytes, label: Label, context: bytes = b"") -> SecretBytes:
    """Derive 32 bytes from a secret that somebody handed in and that may not be uniform: HKDF-Extract, then Expand."""
    extracted = hkdf_extract(salt, secret.view())
    derived = SecretBytes(KEY_LENGTH)
    hkdf_expand_into(extracted, label.value + context, derived.view())
    discard(extracted)
    return derived


def stretch(passphrase: SecretBytes, salt: bytes, profile: KdfProfile) -> SecretBytes:
    """Turn a passphrase into 32 bytes at the cost of `profile` (one Argon2id run)."""
    stretched = SecretBytes(KEY_LENGTH)
    cost = profile.cost
    argon2id_into(
        passphrase.view(), salt, memory_kib=cost.memory_kib, passes=cost.passes, lanes=cost.lanes, out=stretched.view()
    )
    return stretched

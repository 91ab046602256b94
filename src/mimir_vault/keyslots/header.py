"""The header of a vault, 64 KiB: its clear part, 24 key slots, the sealed part, checksum and MAC."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace
from typing import Final

from mimir_vault.crypto.envelope import Suite
from mimir_vault.crypto.keys import KdfProfile, Label, derive
from mimir_vault.crypto.primitives import DIGEST_LENGTH, equal, hmac_sha256, sha256
from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.errors import FormatError, TamperedError
from mimir_vault.keyslots.sealed_part import SEALED_LENGTH
from mimir_vault.keyslots.slot import SLOT_COUNT, SLOT_LENGTH, SlotPlace

HEADER_LENGTH: Final = 64 * 1024
MAGIC: Final = b"MIMIR\r\n\x1a"  # the line ending and end-of-file mark show a copy that was taken for text
MAJOR: Final = 1
MINOR: Final = 0
EPOCH_MAX: Final = 2**32 - 1

_CLEAR: Final = struct.Struct(">8sBBBBI16s16s16s")  # magic, major, minor, suite, profile, epoch, vault, replica, salt
_SLOTS_START: Final = _CLEAR.size
_SEALED_START: Final = _SLOTS_START + SLOT_COUNT * SLOT_LENGTH
_FILL_START: Final = _SEALED_START + SEALED_LENGTH
_CHECKSUM_START: Final = HEADER_LENGTH - 2 * DIGEST_LENGTH
_MAC_START: Final = HEADER_LENGTH - DIGEST_LENGTH
FILL_LENGTH: Final = _CHECKSUM_START - _FILL_START
_MAJOR_OFFSET: Final = len(MAGIC)


@dataclass(frozen=True, slots=True)
class Header:
    """A header as it lies on disk. Decoding checks form and checksum; only `check_mac`, with the root key, says that
    Mimir wrote it. `epoch` rises by one with every change.
    """

    minor: int
    profile: KdfProfile
    epoch: int
    vault_id: bytes
    replica_id: bytes
    kdf_salt: bytes
    slots: tuple[bytes, ...] = field(repr=False)
    sealed: bytes = field(repr=False)
    fill: bytes = field(repr=False)
    mac: bytes = field(repr=False)

    def encode(self) -> bytes:
        """Return the 65,536 bytes."""
        body = self._body()
        return body + sha256(body) + self.mac

    @classmethod
    def decode(cls, raw: bytes) -> Header:
        """Return the header in `raw`.

        FormatError: no header, or of a version, suite or profile unknown here. TamperedError: cut off or changed.
        Magic and major version are looked at first, so that a later version may lay out the rest as it likes.
        """
        if raw[: len(MAGIC)] != MAGIC:
            raise FormatError("This is not a vault: its header does not begin as Mimir's do.")
        if len(raw) > _MAJOR_OFFSET and raw[_MAJOR_OFFSET] != MAJOR:
            raise FormatError(f"The vault has format {raw[_MAJOR_OFFSET]}, this version knows {MAJOR}; update Mimir.")
        if len(raw) != HEADER_LENGTH:
            raise TamperedError(
                f"The vault's header has {len(raw)} bytes instead of {HEADER_LENGTH}; restore a backup."
            )
        if sha256(memoryview(raw)[:_CHECKSUM_START]) != raw[_CHECKSUM_START:_MAC_START]:
            raise TamperedError("The vault's header is damaged: its checksum does not fit; restore a backup.")
        _, _, minor, suite, profile, epoch, vault_id, replica_id, kdf_salt = _CLEAR.unpack_from(raw)
        if suite != Suite.AES_256_GCM:
            raise FormatError(f"The vault names cipher suite {suite}, which this version does not know; update Mimir.")
        return cls(
            minor=minor,
            profile=KdfProfile.of_byte(profile),
            epoch=epoch,
            vault_id=vault_id,
            replica_id=replica_id,
            kdf_salt=kdf_salt,
            slots=tuple(raw[start : start + SLOT_LENGTH] for start in range(_SLOTS_START, _SEALED_START, SLOT_LENGTH)),
            sealed=raw[_SEALED_START:_FILL_START],
            fill=raw[_FILL_START:_CHECKSUM_START],
            mac=raw[_MAC_START:],
        )

    def check_mac(self, root_key: SecretBytes) -> None:
        """Raise TamperedError unless this header was written by somebody who had the root key."""
        if not equal(self._mac_under(root_key), self.mac):
            raise TamperedError("The vault's header was changed by something other than Mimir; restore a backup.")

    def authenticated(self, root_key: SecretBytes) -> Header:
        """Return this header with the MAC that the root key gives it."""
        return replace(self, mac=self._mac_under(root_key))

    @property
    def newer(self) -> bool:
        """Whether a later minor version wrote it: it may be read, but what is unknown in it must not be rewritten."""
        return self.minor > MINOR

    def place(self, index: int) -> SlotPlace:
        """Return what the slot at `index` is bound to."""
        return SlotPlace(vault_id=self.vault_id, index=index, kdf_salt=self.kdf_salt, profile=self.profile)

    def _body(self) -> bytes:
        clear = _CLEAR.pack(
            MAGIC,
            MAJOR,
            self.minor,
            Suite.AES_256_GCM,
            self.profile,
            self.epoch,
            self.vault_id,
            self.replica_id,
            self.kdf_salt,
        )
        return clear + b"".join(self.slots) + self.sealed + self.fill

    def _mac_under(self, root_key: SecretBytes) -> bytes:
        body = self._body()
        with derive(root_key, Label.HEADER_MAC, self.vault_id) as mac_key:
            return hmac_sha256(mac_key.view(), body + sha256(body))

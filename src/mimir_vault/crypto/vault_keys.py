"""What hangs on the catalog key: page keys of catalog and pins, audit key, wrap of each space's ring."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mimir_vault.crypto.digests import Digests
from mimir_vault.crypto.envelope import SCOPE_LENGTH, Context, Role, open_envelope, seal
from mimir_vault.crypto.keys import Label, derive
from mimir_vault.crypto.primitives import KEY_LENGTH, hmac_sha256
from mimir_vault.crypto.randomness import Random
from mimir_vault.crypto.secret import SecretBytes, discard
from mimir_vault.crypto.wrap import encode_epoch
from mimir_vault.errors import TamperedError

PIN_FILE_NAME_LENGTH: Final = 16  # bytes; in hex it is also the cipher's salt
RING_MAX: Final = 4096  # epochs in one ring; one more per `key rotate`
_EPOCH_LENGTH: Final = 4
_RUNG: Final = _EPOCH_LENGTH + KEY_LENGTH
_FIRST_EPOCH: Final = 1


class VaultKeys:
    """The keys of an open vault below one catalog key, which is copied here; its owner wipes the original."""

    def __init__(self, vault_id: bytes, catalog_key: SecretBytes, random: Random) -> None:
        if len(vault_id) != SCOPE_LENGTH:
            raise ValueError(f"A vault id has {SCOPE_LENGTH} bytes, not {len(vault_id)}.")
        self.vault_id = vault_id
        self._catalog_key = SecretBytes.copy_of(catalog_key.view())
        self._random = random

    @property
    def pins_file_name(self) -> str:
        """32 hex digits; see `pins_file_name`."""
        return pins_file_name(self.vault_id)

    def catalog_page_key(self) -> SecretBytes:
        """Return the 32 bytes that encrypt the pages of the catalog; the caller wipes them."""
        return derive(self._catalog_key, Label.CATALOG_PAGES, self.vault_id)

    def pins_page_key(self) -> SecretBytes:
        """Return the 32 bytes that encrypt the pages of the pins; the caller wipes them."""
        return derive(self._catalog_key, Label.PINS_PAGES, self.vault_id)

    def audit_key(self) -> SecretBytes:
        """Return the 32 bytes that the audit chain starts from; the caller wipes them."""
        return derive(self._catalog_key, Label.AUDIT, self.vault_id)

    def backup_key(self) -> SecretBytes:
        """Return the 32 bytes that seal the parts of a backup; the caller wipes them."""
        return derive(self._catalog_key, Label.BACKUP, self.vault_id)

    def digests(self) -> Digests:
        """Return the keyed hashes of the catalog's database."""
        return Digests(self._catalog_key, self.vault_id)

    def new_ring(self) -> dict[int, SecretBytes]:
        """Return the key ring of a new space: epoch 1 with 32 random bytes."""
        return {_FIRST_EPOCH: SecretBytes.random(KEY_LENGTH, self._random)}

    def next_ring(self, ring: Mapping[int, SecretBytes]) -> dict[int, SecretBytes]:
        """Return copies of a ring's secrets and one more epoch with 32 random bytes."""
        copies = {epoch: SecretBytes.copy_of(secret.view()) for epoch, secret in ring.items()}
        return {**copies, max(ring) + 1: SecretBytes.random(KEY_LENGTH, self._random)}

    def wrap_ring(self, space_id: bytes, ring: Mapping[int, SecretBytes]) -> bytes:
        """Return the ring as an envelope for the catalog: (epoch, 4 bytes | 32 random bytes), oldest first."""
        if not 1 <= len(ring) <= RING_MAX:
            raise ValueError(f"A key ring has 1 to {RING_MAX} epochs, not {len(ring)}.")
        plain = b"".join(encode_epoch(epoch) + ring[epoch].view() for epoch in sorted(ring))
        with derive(self._catalog_key, Label.SPACE_RING_WRAP, self.vault_id) as wrap_key:
            wrapped = seal(wrap_key, self._ring_context(space_id), plain, self._random)
        discard(plain)
        return wrapped

    def unwrap_ring(self, space_id: bytes, wrapped: bytes) -> dict[int, SecretBytes]:
        """Return the ring; TamperedError when the envelope is not the one wrapped for this space of this vault."""
        with derive(self._catalog_key, Label.SPACE_RING_WRAP, self.vault_id) as wrap_key:
            plain = open_envelope(wrap_key, self._ring_context(space_id), wrapped)
        ring: dict[int, SecretBytes] = {}
        if not plain or len(plain) % _RUNG:
            raise TamperedError("A space's key ring has the wrong length; restore a backup.")
        for start in range(0, len(plain), _RUNG):
            epoch = int.from_bytes(plain[start : start + _EPOCH_LENGTH], "big")
            if epoch <= max(ring, default=0):
                raise TamperedError("A space's key ring is out of order; restore a backup.")
            ring[epoch] = SecretBytes.copy_of(memoryview(plain)[start + _EPOCH_LENGTH : start + _RUNG])
        discard(plain)
        return ring

    def wipe(self) -> None:
        """Wipe the catalog key; again and again is harmless."""
        self._catalog_key.wipe()

    def _ring_context(self, space_id: bytes) -> Context:
        return Context(Role.SPACE_RING, space_id, self.vault_id)


def pins_file_name(vault_id: bytes) -> str:
    """Return the name of a vault's pins: the first 16 bytes, in hex, of HMAC-SHA-256(label, vault id).

    No key of the vault goes in: the name must stay the same when the catalog key is rotated, or an older vault put
    back with its older key would look for pins under another name, find none and pass for a first use.
    """
    return hmac_sha256(Label.PIN_FILE_NAME.value, vault_id)[:PIN_FILE_NAME_LENGTH].hex()

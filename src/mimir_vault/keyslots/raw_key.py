"""The raw-key slot: 32 random bytes, as a key file or a keyring holds them; no Argon2id, they need none."""

from __future__ import annotations

from mimir_vault.crypto.primitives import Octets
from mimir_vault.crypto.randomness import Random
from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.keyslots.slot import (
    ROOT_KEY_LENGTH,
    SlotKind,
    SlotPlace,
    key_encryption_key,
    open_root,
    seal_root,
)

_NO_PROFILE = 0  # the cost of a passphrase plays no part in this way


class RawKeySlot:
    """32 bytes of randomness that somebody keeps outside the vault."""

    def __init__(self, raw_key: Octets | SecretBytes) -> None:
        content = raw_key.view() if isinstance(raw_key, SecretBytes) else raw_key
        if not isinstance(content, bytes | bytearray | memoryview):
            raise TypeError(f"A raw key is bytes, not {type(raw_key).__name__}.")
        if len(content) != ROOT_KEY_LENGTH:
            raise ValueError(f"A raw key has exactly {ROOT_KEY_LENGTH} bytes, not {len(content)}.")
        self._secret = SecretBytes.copy_of(content)

    @property
    def kind(self) -> int:
        """The number of this way to unlock."""
        return SlotKind.RAW_KEY

    def wrap(self, root_key: SecretBytes, place: SlotPlace, random: Random) -> bytes:
        """Return a slot that opens to `root_key`."""
        with key_encryption_key(self._secret, self.kind, _NO_PROFILE, place.vault_id) as kek:
            return seal_root(kek, root_key, self.kind, place, random)

    def unwrap(self, body: bytes, place: SlotPlace) -> SecretBytes:
        """Return the root key; WrongKeyError when this key does not open the slot."""
        with key_encryption_key(self._secret, self.kind, _NO_PROFILE, place.vault_id) as kek:
            return open_root(kek, body, self.kind, place)

    def wipe(self) -> None:
        """Wipe the secret; again and again is harmless."""
        self._secret.wipe()

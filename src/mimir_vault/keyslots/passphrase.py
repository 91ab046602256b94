"""The passphrase slot: Argon2id at the vault's profile, run once for all slots of one header."""

from __future__ import annotations

import unicodedata
from typing import Final

from mimir_vault.crypto.keys import KdfProfile, stretch
from mimir_vault.crypto.randomness import Random
from mimir_vault.crypto.secret import SecretBytes, wipe
from mimir_vault.keyslots.slot import SlotKind, SlotPlace, key_encryption_key, open_root, seal_root

PASSPHRASE_MAX: Final = 4096  # bytes after normalising; far above any passphrase, and far below what could hurt


class PassphraseSlot:
    """A passphrase; it takes `str`, or UTF-8 in a `bytearray` that the caller can wipe at once."""

    def __init__(self, passphrase: str | bytearray) -> None:
        self._passphrase = normalise(passphrase)
        self._stretched_for: tuple[bytes, bytes, KdfProfile] | None = None
        self._kek: SecretBytes | None = None

    @property
    def kind(self) -> int:
        """The number of this way to unlock."""
        return SlotKind.PASSPHRASE

    def wrap(self, root_key: SecretBytes, place: SlotPlace, random: Random) -> bytes:
        """Return a slot that opens to `root_key` (one Argon2id run, unless this passphrase just had one)."""
        return seal_root(self._stretch(place), root_key, self.kind, place, random)

    def unwrap(self, body: bytes, place: SlotPlace) -> SecretBytes:
        """Return the root key; WrongKeyError when this passphrase does not open the slot."""
        return open_root(self._stretch(place), body, self.kind, place)

    def wipe(self) -> None:
        """Wipe passphrase and key; again and again is harmless."""
        self._passphrase.wipe()
        if self._kek is not None:
            self._kek.wipe()

    def _stretch(self, place: SlotPlace) -> SecretBytes:
        """Return the key-encryption key; all slots of a header share salt and profile, so it is made once."""
        wanted = (place.vault_id, place.kdf_salt, place.profile)
        if self._kek is None or self._stretched_for != wanted:
            with stretch(self._passphrase, place.kdf_salt, place.profile) as stretched:
                kek = key_encryption_key(stretched, self.kind, place.profile, place.vault_id)
            if self._kek is not None:
                self._kek.wipe()
            self._kek, self._stretched_for = kek, wanted
        return self._kek


def normalise(passphrase: str | bytearray) -> SecretBytes:
    """Return a passphrase as NFKC in UTF-8.

    One passphrase is typed in many ways: macOS composes accents otherwise than Linux, and an input method may give
    full-width digits. NFKC makes them one; nothing is trimmed and case counts. Plain ASCII is its own normal form and
    is copied without ever becoming a `str`, which could not be wiped.
    """
    if isinstance(passphrase, str):
        encoded = _encode(unicodedata.normalize("NFKC", passphrase))
    elif isinstance(passphrase, bytearray):
        encoded = bytearray(passphrase)
        if not encoded.isascii():
            try:
                text = encoded.decode("utf-8")
            except UnicodeDecodeError:
                raise ValueError("The passphrase is not valid UTF-8; check how it was entered or stored.") from None
            finally:
                wipe(encoded)
            encoded = _encode(unicodedata.normalize("NFKC", text))
    else:
        raise TypeError(f"A passphrase is a str or a bytearray, not {type(passphrase).__name__}.")
    try:
        if not encoded:
            raise ValueError("The passphrase is empty; choose one with several words.")
        if len(encoded) > PASSPHRASE_MAX:
            raise ValueError(f"The passphrase is longer than {PASSPHRASE_MAX} bytes; choose a shorter one.")
        return SecretBytes.copy_of(encoded)
    finally:
        wipe(encoded)


def _encode(text: str) -> bytearray:
    try:
        return bytearray(text, "utf-8")
    except UnicodeEncodeError:
        raise ValueError("The passphrase holds half a character (a lone surrogate); type it again.") from None

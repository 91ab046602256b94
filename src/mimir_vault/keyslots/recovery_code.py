"""The recovery-code slot: 256 random bits as 24 English words (BIP 39), shown once and kept by a person."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from mnemonic import Mnemonic

from mimir_vault.crypto.randomness import Random
from mimir_vault.crypto.secret import SecretBytes, discard, wipe
from mimir_vault.errors import WrongKeyError
from mimir_vault.keyslots.slot import SlotKind, SlotPlace, key_encryption_key, open_root, seal_root

WORD_COUNT: Final = 24
ENTROPY_LENGTH: Final = 32
_LANGUAGE: Final = "english"  # The published vectors of other languages do not all match between libraries.
_ABBREVIATION: Final = 4  # The first four letters tell all words of the list apart; metal plates hold no more.
_NO_PROFILE: Final = 0


class RecoveryCodeSlot:
    """A recovery code, as typed by a person: any case, any spacing, numbered or not."""

    def __init__(self, words: str) -> None:
        self._entropy = parse(words)

    @property
    def kind(self) -> int:
        """The number of this way to unlock."""
        return SlotKind.RECOVERY_CODE

    def wrap(self, root_key: SecretBytes, place: SlotPlace, random: Random) -> bytes:
        """Return a slot that opens to `root_key`."""
        with key_encryption_key(self._entropy, self.kind, _NO_PROFILE, place.vault_id) as kek:
            return seal_root(kek, root_key, self.kind, place, random)

    def unwrap(self, body: bytes, place: SlotPlace) -> SecretBytes:
        """Return the root key; WrongKeyError when this code does not open the slot."""
        with key_encryption_key(self._entropy, self.kind, _NO_PROFILE, place.vault_id) as kek:
            return open_root(kek, body, self.kind, place)

    def wipe(self) -> None:
        """Wipe the secret; again and again is harmless."""
        self._entropy.wipe()


def generate(random: Random) -> str:
    """Return a new recovery code: 24 words, one space between two; nothing of it is kept here."""
    with SecretBytes.random(ENTROPY_LENGTH, random) as entropy:
        plain = bytes(entropy.view())
        words: str = Mnemonic(_LANGUAGE).to_mnemonic(plain)
        discard(plain)
    return words


def parse(words: str) -> SecretBytes:
    """Return the 32 bytes of a recovery code; WrongKeyError names the number of the word that cannot be right.

    The sentence never repeats a word: errors end up in logs.
    """
    if not isinstance(words, str):
        raise TypeError(f"A recovery code is a str of {WORD_COUNT} words, not {type(words).__name__}.")
    mnemonic = Mnemonic(_LANGUAGE)
    typed = re.findall(r"[^\W\d_]+", unicodedata.normalize("NFKD", words).lower())
    known = set(mnemonic.wordlist)
    of_abbreviation = {word[:_ABBREVIATION]: word for word in mnemonic.wordlist}
    full: list[str] = []
    for number, word in enumerate(typed, start=1):
        found = word if word in known else of_abbreviation.get(word)
        if found is None:
            raise WrongKeyError(f"Word {number} of the recovery code is not in the word list; check its spelling.")
        full.append(found)
    if len(full) != WORD_COUNT:
        raise WrongKeyError(f"A recovery code has {WORD_COUNT} words; this one has {len(full)}.")
    try:
        entropy = mnemonic.to_entropy(full)
    except ValueError:
        raise WrongKeyError(
            f"Words 1 to {WORD_COUNT} of the recovery code are all real, but do not belong together: one is wrong or "
            "two are swapped."
        ) from None
    secret = SecretBytes.copy_of(entropy)
    wipe(entropy)
    return secret

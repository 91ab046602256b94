"""Keyed hashes of what a database holds: elements of its set digests and values of its chain."""

from __future__ import annotations

from typing import Final

from mimir_vault.crypto.keys import Label, derive
from mimir_vault.crypto.primitives import DIGEST_LENGTH, blake2b_256, hmac_sha256
from mimir_vault.crypto.secret import SecretBytes

TAG_MAX: Final = 255  # bytes, of the tag that says what kind of element goes into a digest


class Digests:
    """Digest and chain keys derived from one secret for one scope (space id or vault id, 16 bytes)."""

    def __init__(self, secret: SecretBytes, scope: bytes) -> None:
        self._digest_key = derive(secret, Label.DIGEST, scope)
        self._chain_key = derive(secret, Label.CHAIN, scope)

    def digest_element(self, tag: bytes, element: bytes) -> int:
        """Return keyed BLAKE2b-256(length of tag | tag | element) as an integer below 2**256, to be summed."""
        if len(tag) > TAG_MAX:
            raise ValueError(f"A digest tag has at most {TAG_MAX} bytes, not {len(tag)}.")
        return int.from_bytes(blake2b_256(self._digest_key.view(), bytes((len(tag),)) + tag + element), "big")

    def chain(self, previous: bytes, digest: bytes) -> bytes:
        """Return the next chain value, HMAC-SHA-256(previous (32 bytes) | digest)."""
        if len(previous) != DIGEST_LENGTH:
            raise ValueError(f"A chain value has {DIGEST_LENGTH} bytes, not {len(previous)}.")
        return hmac_sha256(self._chain_key.view(), previous + digest)

    def wipe(self) -> None:
        """Wipe both keys; again and again is harmless."""
        self._digest_key.wipe()
        self._chain_key.wipe()

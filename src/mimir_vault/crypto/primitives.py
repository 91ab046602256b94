"""The only calls into the crypto libraries; their errors become Mimir's here. Nothing in this file chooses a key, a
nonce or a label: that is `keys.py`, `envelope.py` and `wrap.py`.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError

from mimir_vault.crypto.wiping import discard, wipe
from mimir_vault.errors import MimirError, TamperedError

Octets: TypeAlias = bytes | bytearray | memoryview

KEY_LENGTH: Final = 32  # bytes, of every cipher and MAC here
TAG_LENGTH: Final = 16  # bytes, of both AEADs
AES_GCM_NONCE_LENGTH: Final = 12
XCHACHA_NONCE_LENGTH: Final = 24
DIGEST_LENGTH: Final = 32  # bytes, of SHA-256, HMAC-SHA-256 and BLAKE2b-256 as used here

_SHA512: Final = SHA512()
_BROKEN: Final = "Sealed bytes do not open: they were changed, or belong somewhere else. Restore a backup."


class AesGcm:
    """AES-256-GCM (NIST SP 800-38D) under one key; the library keeps copies of it until this object goes."""

    __slots__ = ("_cipher",)

    def __init__(self, key: Octets) -> None:
        self._cipher = AESGCM(_whole_key(key))

    def seal(self, nonce: bytes, plaintext: Octets, associated: bytes) -> bytes:
        """Return ciphertext and 16-byte tag. A (key, nonce) pair must never come twice."""
        return self._cipher.encrypt(nonce, plaintext, associated)

    def open(self, nonce: bytes, ciphertext: Octets, associated: bytes) -> bytes:
        """Return the plaintext; TamperedError when tag, nonce, key or associated bytes are not those of sealing."""
        try:
            return self._cipher.decrypt(nonce, ciphertext, associated)
        except InvalidTag:
            raise TamperedError(_BROKEN) from None

    def open_into(self, nonce: bytes, ciphertext: Octets, associated: bytes, out: memoryview) -> None:
        """Open as `open` does, into `out` (16 bytes shorter than `ciphertext`), so that no other copy is made."""
        try:
            self._cipher.decrypt_into(nonce, ciphertext, associated, out)
        except InvalidTag:
            wipe(out)  # The library decrypts before it compares the tag, and leaves there what nobody vouches for.
            raise TamperedError(_BROKEN) from None


def xchacha20_poly1305_seal(key: Octets, nonce: bytes, plaintext: bytes, associated: bytes) -> bytes:
    """Return ciphertext and 16-byte tag of XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03), nonce 24 bytes."""
    plain_key = bytes(_whole_key(key))  # The library takes keys as `bytes` only.
    try:
        sealed: bytes = crypto_aead_xchacha20poly1305_ietf_encrypt(plaintext, associated, nonce, plain_key)
    finally:
        discard(plain_key)
    return sealed


def xchacha20_poly1305_open(key: Octets, nonce: bytes, ciphertext: bytes, associated: bytes) -> bytes:
    """Return the plaintext; TamperedError when tag, nonce, key or associated bytes are not those of sealing."""
    if len(ciphertext) < TAG_LENGTH:
        raise TamperedError(_BROKEN)
    plain_key = bytes(_whole_key(key))
    try:
        opened: bytes = crypto_aead_xchacha20poly1305_ietf_decrypt(ciphertext, associated, nonce, plain_key)
    except CryptoError:
        raise TamperedError(_BROKEN) from None
    finally:
        discard(plain_key)
    return opened


def hkdf_extract(salt: bytes, secret: Octets) -> bytes:
    """Return the 64-byte pseudorandom key of HKDF-Extract with SHA-512 (RFC 5869, 2.2); the caller discards it."""
    return hmac.digest(salt, secret, "sha512")


def hkdf_expand_into(pseudorandom_key: Octets, info: bytes, out: memoryview) -> None:
    """Fill `out` (at most 16,320 bytes) with HKDF-Expand under SHA-512 (RFC 5869, 2.3).

    SHA-512 and not SHA-256: one block gives 64 bytes, so the 76 or 88 bytes of an envelope take two blocks instead of
    three, which costs the same on 64-bit machines (2.7 µs against 2.4 µs), and commitments keep the wider state.
    """
    HKDFExpand(_SHA512, len(out), info).derive_into(pseudorandom_key, out)


def argon2id_into(password: Octets, salt: bytes, *, memory_kib: int, passes: int, lanes: int, out: memoryview) -> None:
    """Fill `out` with Argon2id version 0x13 (RFC 9106) of `password`."""
    try:
        derivation = Argon2id(salt=salt, length=len(out), iterations=passes, lanes=lanes, memory_cost=memory_kib)
        derivation.derive_into(password, out)  # type: ignore[arg-type]  # it takes any buffer; its stub says bytes
    except MemoryError:
        raise MimirError(
            f"Unlocking needs {memory_kib // 1024} MiB of free memory for a moment; close other programs and try again."
        ) from None


def hmac_sha256(key: Octets, message: Octets) -> bytes:
    """Return the 32-byte HMAC-SHA-256 (RFC 2104) of `message`."""
    return hmac.digest(key, message, "sha256")


def blake2b_256(key: Octets, message: Octets) -> bytes:
    """Return the 32-byte keyed BLAKE2b (RFC 7693) of `message`."""
    return hashlib.blake2b(message, key=key, digest_size=DIGEST_LENGTH).digest()


def sha256(*parts: Octets) -> bytes:
    """Return the 32-byte SHA-256 (FIPS 180-4) of the parts, joined."""
    first, *others = parts
    state = hashlib.sha256(first)
    for part in others:
        state.update(part)
    return state.digest()


def equal(left: Octets, right: Octets) -> bool:
    """Compare in a time that depends on the lengths only."""
    return hmac.compare_digest(left, right)


def _whole_key(key: Octets) -> Octets:
    if len(key) != KEY_LENGTH:
        raise ValueError(f"A key has {KEY_LENGTH} bytes, not {len(key)}.")
    return key

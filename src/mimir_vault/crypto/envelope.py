"""Envelopes: sealed bytes that commit to their key and are bound to what they are; and the node id over two of them."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from mimir_vault.crypto.key_cells import KeyCell, KeyCells
from mimir_vault.crypto.keys import Label
from mimir_vault.crypto.primitives import (
    AES_GCM_NONCE_LENGTH,
    KEY_LENGTH,
    TAG_LENGTH,
    XCHACHA_NONCE_LENGTH,
    AesGcm,
    equal,
    hkdf_expand_into,
    sha256,
    xchacha20_poly1305_open,
    xchacha20_poly1305_seal,
)
from mimir_vault.crypto.randomness import Random, draw
from mimir_vault.crypto.secret import SecretBytes, discard
from mimir_vault.errors import TamperedError

FORMAT_VERSION: Final = 1
SCOPE_LENGTH: Final = 16  # bytes, of a space id or vault id
ENVELOPE_SALT_LENGTH: Final = 24  # so long that random salts never repeat, however many envelopes there are
COMMIT_LENGTH: Final = 32
OVERHEAD: Final = ENVELOPE_SALT_LENGTH + COMMIT_LENGTH + TAG_LENGTH  # 72 bytes
MAX_PLAINTEXT: Final = 2**30  # bytes; both AEADs allow more, but no memory needs it

_HEAD: Final = ENVELOPE_SALT_LENGTH + COMMIT_LENGTH
_ENVELOPE_LABEL: Final = Label.ENVELOPE.value
_NODE_ID_LABEL: Final = Label.NODE_ID.value
_CELLS: Final = KeyCells(KEY_LENGTH + AES_GCM_NONCE_LENGTH + COMMIT_LENGTH)
_EXTENDED_CELLS: Final = KeyCells(KEY_LENGTH + XCHACHA_NONCE_LENGTH + COMMIT_LENGTH)


class Suite(IntEnum):
    """The ciphers of format version 1, each with HKDF-SHA-512; there is no other and no "none"."""

    AES_256_GCM = 1
    XCHACHA20_POLY1305 = 2


class Role(IntEnum):
    """What an envelope holds; the role also fixes its cipher."""

    PAYLOAD = 1
    METADATA = 2
    STATE = 3
    VECTOR = 4
    KEY_SLOT = 16
    HEADER = 17
    SPACE_RING = 18
    IDENTITY = 19
    BACKUP = 20

    @property
    def suite(self) -> Suite:
        """Metadata has another cipher than the payload, so that a fault in one leaves the other closed."""
        return Suite.XCHACHA20_POLY1305 if self is Role.METADATA else Suite.AES_256_GCM


class Context:
    """What an envelope is bound to: format version | suite | scope (space id or vault id, 16 bytes) | role | detail.

    The same bytes go into the derivation and into the associated data. All but the detail have fixed lengths, so two
    different contexts never have the same bytes.
    """

    __slots__ = ("cells", "encoded", "extended_nonce", "suite")

    def __init__(self, role: Role, scope: bytes, detail: bytes = b"") -> None:
        if len(scope) != SCOPE_LENGTH:
            raise ValueError(f"A space id or vault id has {SCOPE_LENGTH} bytes, not {len(scope)}.")
        self.suite = role.suite
        self.extended_nonce = self.suite is Suite.XCHACHA20_POLY1305
        self.cells = _EXTENDED_CELLS if self.extended_nonce else _CELLS
        self.encoded = bytes((FORMAT_VERSION, self.suite)) + scope + bytes((role,)) + detail


def seal(key: SecretBytes, context: Context, plaintext: bytes, random: Random) -> bytes:
    """Return salt (24) | commit (32) | ciphertext and tag, opened once again before it is returned.

    `key` is 32 random bytes. A fresh salt gives every envelope a cipher key and nonce of its own, so no nonce is ever
    chosen by a caller and none can repeat (C2SP chunked-encryption derives its keys the same way).
    """
    if len(plaintext) > MAX_PLAINTEXT:
        raise ValueError(f"An envelope holds at most {MAX_PLAINTEXT} bytes, not {len(plaintext)}.")
    salt = draw(random, ENVELOPE_SALT_LENGTH)
    with context.cells.borrow() as derived:
        nonce, commit = _derive_into(derived, key, salt, context)
        if context.extended_nonce:
            ciphertext = xchacha20_poly1305_seal(derived.key, nonce, plaintext, context.encoded)
        else:
            ciphertext = AesGcm(derived.key).seal(nonce, plaintext, context.encoded)
    envelope = salt + commit + ciphertext
    opened = open_envelope(key, context, envelope)
    same = opened == plaintext
    discard(opened)
    if not same:
        raise TamperedError("What was just sealed did not open to the same bytes; check this computer's memory.")
    return envelope


def open_envelope(key: SecretBytes, context: Context, envelope: bytes) -> bytes:
    """Return the plaintext; TamperedError when a byte, the key or anything in the context is another one.

    The commitment is compared, in constant time, before anything is decrypted: AES-GCM alone would let one envelope
    open under two keys, and one node id would then mean two memories.
    """
    if len(envelope) < OVERHEAD:
        raise TamperedError("An envelope is shorter than any that Mimir writes; restore a backup.")
    with context.cells.borrow() as derived:
        nonce, commit = _derive_into(derived, key, envelope[:ENVELOPE_SALT_LENGTH], context)
        if not equal(commit, envelope[ENVELOPE_SALT_LENGTH:_HEAD]):
            raise TamperedError("An envelope was sealed under another key or for another place; restore a backup.")
        if context.extended_nonce:
            return xchacha20_poly1305_open(derived.key, nonce, envelope[_HEAD:], context.encoded)
        return AesGcm(derived.key).open(nonce, envelope[_HEAD:], context.encoded)


def node_id(payload_envelope: bytes, metadata_envelope: bytes) -> bytes:
    """Return SHA-256(label | length | payload envelope | length | metadata envelope), 32 bytes; lengths are 8 bytes.

    Over the whole committing envelopes, so an id names exactly one memory.
    """
    return sha256(
        _NODE_ID_LABEL + len(payload_envelope).to_bytes(8, "big"),
        payload_envelope,
        len(metadata_envelope).to_bytes(8, "big") + metadata_envelope,
    )


def _derive_into(derived: KeyCell, key: SecretBytes, salt: bytes, context: Context) -> tuple[bytes, bytes]:
    """Fill the cell with cipher key (32) | nonce (12 or 24) | commit (32) = HKDF-Expand(key, label | salt | context);
    return nonce and commit, which are no secrets.
    """
    hkdf_expand_into(key.view(), _ENVELOPE_LABEL + salt + context.encoded, derived.whole)
    public = derived.rest.tobytes()
    return public[:-COMMIT_LENGTH], public[-COMMIT_LENGTH:]

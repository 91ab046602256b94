"""The wrap of a node key: plain AES-256-GCM under the key of an epoch, bound to the node's id and that epoch."""

from __future__ import annotations

from typing import Final

from mimir_vault.crypto.primitives import AES_GCM_NONCE_LENGTH, KEY_LENGTH, TAG_LENGTH, AesGcm
from mimir_vault.crypto.randomness import Random, draw
from mimir_vault.crypto.secret import SecretBytes, discard
from mimir_vault.errors import TamperedError

WRAP_LENGTH: Final = AES_GCM_NONCE_LENGTH + KEY_LENGTH + TAG_LENGTH  # 60 bytes
EPOCH_MAX: Final = 2**32 - 1


class NodeKeyWrap:
    """Wraps the node keys of one epoch; holds that epoch's cipher as long as it lives.

    No commitment is needed here: a wrap forged to open to another node key leads to envelopes whose own commitment
    refuses that key. The nonce is random; 2**32 wraps in one epoch keep the chance of a repeat below 2**-32 (NIST SP
    800-38D, 8.3), and an epoch that grows beyond that is to be followed by a new one.
    """

    __slots__ = ("_cipher", "_epoch")

    def __init__(self, wrap_key: SecretBytes, epoch: int) -> None:
        self._cipher = AesGcm(wrap_key.view())
        self._epoch = encode_epoch(epoch)

    def wrap(self, node_key: SecretBytes, node_id: bytes, random: Random) -> bytes:
        """Return nonce (12) | node key (32) | tag (16)."""
        nonce = draw(random, AES_GCM_NONCE_LENGTH)
        return nonce + self._cipher.seal(nonce, node_key.view(), node_id + self._epoch)

    def unwrap(self, wrapped: bytes, node_id: bytes) -> SecretBytes:
        """Return the node key; TamperedError when the wrap, the id or the epoch is another one."""
        if len(wrapped) != WRAP_LENGTH:
            raise TamperedError("The wrapped key of a node has the wrong length; restore a backup.")
        nonce = wrapped[:AES_GCM_NONCE_LENGTH]
        opened = self._cipher.open(nonce, wrapped[AES_GCM_NONCE_LENGTH:], node_id + self._epoch)
        node_key = SecretBytes.copy_of(opened)
        discard(opened)
        return node_key


def encode_epoch(epoch: int) -> bytes:
    """Return an epoch (1 to 2**32 - 1) as 4 bytes, big-endian."""
    if not 1 <= epoch <= EPOCH_MAX:
        raise ValueError(f"An epoch is a number from 1 to {EPOCH_MAX}, not {epoch}.")
    return epoch.to_bytes(4, "big")

"""The wrap of a node key: plain AES-256-GCM under the key of an epoch, bound to the node's id and that epoch."""

from __future__ import annotations

from typing import Final

from mimir_vault.crypto.key_cells import KeyCells
from mimir_vault.crypto.primitives import AES_GCM_NONCE_LENGTH, KEY_LENGTH, TAG_LENGTH, AesGcm, equal
from mimir_vault.crypto.randomness import Random, draw
from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.errors import TamperedError

WRAP_LENGTH: Final = AES_GCM_NONCE_LENGTH + KEY_LENGTH + TAG_LENGTH  # 60 bytes
EPOCH_MAX: Final = 2**32 - 1

_CELLS: Final = KeyCells(KEY_LENGTH)


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
        """Return nonce (12) | node key (32) | tag (16), opened once again before it is returned."""
        nonce = draw(random, AES_GCM_NONCE_LENGTH)
        wrapped = nonce + self._cipher.seal(nonce, node_key.view(), node_id + self._epoch)
        with _CELLS.borrow() as opened:
            self._open_into(opened.whole, wrapped, node_id)
            same = equal(opened.whole, node_key.view())
        if not same:
            raise TamperedError("What was just sealed did not open to the same bytes; check this computer's memory.")
        return wrapped

    def unwrap(self, wrapped: bytes, node_id: bytes) -> SecretBytes:
        """Return the node key; TamperedError when the wrap, the id or the epoch is another one."""
        if len(wrapped) != WRAP_LENGTH:
            raise TamperedError("The wrapped key of a node has the wrong length; restore a backup.")
        node_key = SecretBytes(KEY_LENGTH)
        self._open_into(node_key.view(), wrapped, node_id)
        return node_key

    def _open_into(self, out: memoryview, wrapped: bytes, node_id: bytes) -> None:
        nonce, sealed = wrapped[:AES_GCM_NONCE_LENGTH], wrapped[AES_GCM_NONCE_LENGTH:]
        self._cipher.open_into(nonce, sealed, node_id + self._epoch, out)


def encode_epoch(epoch: int) -> bytes:
    """Return an epoch (1 to 2**32 - 1) as 4 bytes, big-endian."""
    if not 1 <= epoch <= EPOCH_MAX:
        raise ValueError(f"An epoch is a number from 1 to {EPOCH_MAX}, not {epoch}.")
    return epoch.to_bytes(4, "big")

"""Tests of the wrap of a node key."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mimir_vault.crypto.primitives import AesGcm
from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.crypto.wrap import WRAP_LENGTH, NodeKeyWrap, encode_epoch
from mimir_vault.errors import TamperedError

NODE_ID = bytes(range(32))
Source = Callable[[int], bytes]


@pytest.fixture
def wrap_key(source: Source) -> SecretBytes:
    """The wrap key of an epoch."""
    return SecretBytes.random(32, source)


def test_a_wrapped_node_key_unwraps(wrap_key: SecretBytes, node_key: SecretBytes, source: Source) -> None:
    """60 bytes, which open to the node key."""
    wrapped = NodeKeyWrap(wrap_key, 7).wrap(node_key, NODE_ID, source)

    assert len(wrapped) == WRAP_LENGTH == 60
    assert NodeKeyWrap(wrap_key, 7).unwrap(wrapped, NODE_ID) == node_key


def test_the_layout_is_nonce_then_aes_gcm(wrap_key: SecretBytes, node_key: SecretBytes, source: Source) -> None:
    """Any AES-GCM opens it, with node id and epoch as associated data."""
    wrapped = NodeKeyWrap(wrap_key, 258).wrap(node_key, NODE_ID, source)

    opened = AESGCM(bytes(wrap_key.view())).decrypt(wrapped[:12], wrapped[12:], NODE_ID + b"\0\0\1\2")

    assert opened == bytes(node_key.view())


def test_every_changed_bit_is_refused(wrap_key: SecretBytes, node_key: SecretBytes, source: Source) -> None:
    """No bit of a wrap can be flipped, and no other length opens."""
    wrap = NodeKeyWrap(wrap_key, 1)
    wrapped = wrap.wrap(node_key, NODE_ID, source)

    for bit in range(WRAP_LENGTH * 8):
        changed = bytearray(wrapped)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(TamperedError):
            wrap.unwrap(bytes(changed), NODE_ID)
    for other in (wrapped[:-1], wrapped + b"\0", b""):
        with pytest.raises(TamperedError, match="length"):
            wrap.unwrap(other, NODE_ID)


def test_another_node_epoch_or_key_is_refused(wrap_key: SecretBytes, node_key: SecretBytes, source: Source) -> None:
    """A wrap belongs to one node, one epoch and one key."""
    wrapped = NodeKeyWrap(wrap_key, 1).wrap(node_key, NODE_ID, source)

    with pytest.raises(TamperedError):
        NodeKeyWrap(wrap_key, 1).unwrap(wrapped, bytes(32))
    with pytest.raises(TamperedError):
        NodeKeyWrap(wrap_key, 2).unwrap(wrapped, NODE_ID)
    with pytest.raises(TamperedError):
        NodeKeyWrap(node_key, 1).unwrap(wrapped, NODE_ID)


@pytest.mark.parametrize("epoch", [0, -1, 2**32])
def test_an_epoch_has_four_bytes_and_is_not_zero(epoch: int) -> None:
    """Epochs outside the format are refused."""
    with pytest.raises(ValueError, match="An epoch is a number from 1 to 4294967295"):
        encode_epoch(epoch)


def test_the_first_and_the_last_epoch_are_of_the_format() -> None:
    """1 and 2**32 - 1 are encoded, big-endian."""
    assert encode_epoch(1) == b"\0\0\0\1"
    assert encode_epoch(2**32 - 1) == b"\xff" * 4


def test_a_fault_while_wrapping_is_noticed(
    wrap_key: SecretBytes, node_key: SecretBytes, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrap that does not open to the node key, or not at all, is never returned: nobody could read that node."""
    wrap, genuine = NodeKeyWrap(wrap_key, 1), AesGcm.seal
    monkeypatch.setattr(AesGcm, "seal", lambda self, nonce, _, aad: genuine(self, nonce, bytes(32), aad))
    with pytest.raises(TamperedError, match="did not open to the same bytes"):
        wrap.wrap(node_key, NODE_ID, source)

    monkeypatch.setattr(AesGcm, "seal", lambda self, nonce, plain, _: genuine(self, nonce, plain, b"other"))
    with pytest.raises(TamperedError):
        wrap.wrap(node_key, NODE_ID, source)

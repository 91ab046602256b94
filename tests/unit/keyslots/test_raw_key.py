"""Tests of the raw-key slot: what it takes for a key."""

from __future__ import annotations

import pytest

from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.keyslots.raw_key import RawKeySlot


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_a_raw_key_has_32_bytes(length: int) -> None:
    """Any other length is refused with the length it had."""
    with pytest.raises(ValueError, match=f"exactly 32 bytes, not {length}"):
        RawKeySlot(bytes(length))


@pytest.mark.parametrize("nonsense", ["k" * 32, 32, None])
def test_a_raw_key_is_bytes(nonsense: object) -> None:
    """Text or numbers are refused, never encoded by guess."""
    with pytest.raises(TypeError, match="A raw key is bytes"):
        RawKeySlot(nonsense)  # type: ignore[arg-type]


def test_the_key_is_copied() -> None:
    """The owner's buffer or secret may be wiped at once."""
    buffer, secret = bytearray(b"k" * 32), SecretBytes.copy_of(b"k" * 32)
    slots = [RawKeySlot(buffer), RawKeySlot(secret), RawKeySlot(memoryview(buffer))]

    buffer[:] = bytes(32)
    secret.wipe()

    assert all(bytes(slot._secret.view()) == b"k" * 32 for slot in slots)
